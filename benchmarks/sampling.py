"""What watching a crowd costs: CPU and memory of agent and relays, with samples and without.

python -m benchmarks.sampling netns 100
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.timing import machine
from stressnet.agent.names import AGENT
from stressnet.record.samples import HostSample, read

COMMAND = [sys.executable, "-m", "stressnet"]
TOPOLOGY = """
name: bench-sampling
sampling: {sampling}
links: {{random: {{degree: 6}}}}
defaults: {{kind: syncnode, config: {{chain.block_time: 3s}}}}
nodes:
  validator: {{count: 4}}
  full: {{count: {full}}}
"""
_SPAN_S = 40


def run(*words: str) -> None:
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


def agents(folder: Path, backend: str) -> Iterator[int]:
    """Yield the agent of the net."""
    ours, shown = str(folder), "cmdline"
    if backend == "docker":
        words = ["docker", "ps", "-q", "--no-trunc", "--filter", "name=^stressnet-bench-sampling_agent$"]
        ours, shown = (
            subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip(),
            "cgroup",
        )
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name == AGENT and ours in Path(f"/proc/{pid}/{shown}").read_text():
                yield int(pid)


def cpu_s(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure in turn, samples kept and not, after the net has come into step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=("netns", "docker"))
    parser.add_argument("count", type=int)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    found: dict[str, list[float]] = {"{every: 1s, closely: 10s}": [], "off": []}
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        topology = Path(name) / "bench-sampling.yaml"
        for repetition in range(options.repetitions):
            for sampling, shares in found.items():
                topology.write_text(TOPOLOGY.format(full=options.count - 4, sampling=sampling))
                run("up", str(topology), "--backend", options.backend)
                try:
                    run("status", "bench-sampling", "--until", "synced", "--timeout", "5m")
                    pids = list(agents(Path(name), options.backend))
                    before, begun = cpu_s(pids), time.monotonic()
                    time.sleep(_SPAN_S)
                    shares.append((cpu_s(pids) - before) / (time.monotonic() - begun))
                    if sampling != "off" and not repetition:
                        file = Path(name) / "samples.db"
                        run("samples", "--net", "bench-sampling", "--save", str(file))
                        last = list(read(file, HostSample))[-1]
                        memory = (last.agent_rss_bytes / 2**20, last.relays_rss_bytes / 2**20)
                        print("agent {:.0f} MiB, relays {:.0f} MiB".format(*memory))
                        print(
                            f"looks at most {max(row.late_s for row in read(file, HostSample)) * 1e3:.0f} ms late"
                        )
                finally:
                    run("down", "bench-sampling")
    for sampling, shares in found.items():
        words = f"{statistics.median(shares):.1%} ({min(shares):.1%}–{max(shares):.1%})"
        print(f"{options.count} nodes on {options.backend}, sampling {sampling}: agent {words} of a CPU")


if __name__ == "__main__":
    main()
