"""How long `status` of a net takes, by the command line.

python -m benchmarks.status netns 100
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.timing import Times, machine, timed

COMMAND = [sys.executable, "-m", "stressnet"]
TOPOLOGY = """
name: bench-status
defaults: {{kind: syncnode, config: {{chain.block_time: 3s}}}}
nodes:
  validator: {{count: 4}}
  full: {{count: {full}}}
"""


def run(*words: str) -> None:
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print the median and the spread of ten calls, after the net has come into step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("backend", choices=("netns", "docker"))
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        topology = Path(name) / "bench-status.yaml"
        topology.write_text(TOPOLOGY.format(full=options.count - 4))
        run("up", str(topology), "--backend", options.backend)
        try:
            run("status", "bench-status", "--until", "synced", "--timeout", "5m")
            times = Times(tuple(timed(lambda: run("status", "bench-status")) for _ in range(10)))
        finally:
            run("down", "bench-status")
    print(f"{machine()}\nstatus of {options.count} nodes on {options.backend}: {times} s")


if __name__ == "__main__":
    main()
