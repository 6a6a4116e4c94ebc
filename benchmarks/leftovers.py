"""Kill a command (or the agent) with SIGKILL at a random moment, prune, and count what is left: it must be nothing.

    python -m benchmarks.leftovers --backend netns --times 100 --seed 1

Exit status 0 where nothing was ever left and a bystander was never touched.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stressnet.agent.names import AGENT

TOKEN = f"lo{os.getpid()}"
"""Part of the names of our net, its nodes and its folder: by it we know our own among everyone's things."""
TOPOLOGY = f"""
name: {TOKEN}
nodes:
  v-{TOKEN}: {{kind: syncnode, role: validator, count: 3, memory: 256MiB}}
  l-{TOKEN}: {{kind: syncnode, start: {{after: 1s}}}}
"""
COMMAND = [sys.executable, "-m", "stressnet"]
VICTIMS = ("up", "watch", "down", "agent")
LONGEST_S = {
    "netns": {"up": 1.5, "watch": 1.5, "down": 0.4, "agent": 1.0},
    "docker": {"up": 6.0, "watch": 2.0, "down": 2.5, "agent": 1.0},
}
"""About how long each takes when nobody kills it: moments are drawn from this span."""


def own_things(backend: str) -> dict[str, set[str]]:
    """Return everything on this machine that belongs to our net, by sort, from kernel and engine."""
    found = {
        "processes": set(_processes()),
        "groups": {folder for folder, _, _ in os.walk("/sys/fs/cgroup") if TOKEN in folder},
        "mounts": {
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/run/stressnet" in line
        },
        "interfaces": {
            path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"v\d+", path.name)
        },
        "folders": {path.name for path in (_state() / "nets").glob("*")},
    }
    if backend == "docker":
        for sort, listing in (
            ("containers", "ps -aq"),
            ("networks", "network ls -q"),
            ("volumes", "volume ls -q"),
        ):
            words = ["docker", *listing.split(), "--filter", f"label=stressnet.net={TOKEN}"]
            found[sort] = set(
                subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
            )
    return found


def _state() -> Path:
    return Path(os.environ["XDG_STATE_HOME"]) / "stressnet"


def _processes() -> Iterator[str]:
    """Processes that carry the token in their words or their environment, but those of this very program."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        if int(name) == os.getpid():
            continue
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            environment = Path(f"/proc/{name}/environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if TOKEN in words or TOKEN in environment:
            yield f"{name} {words[:80]}"


@dataclass(slots=True)
class Outcome:
    """What one round found: the victim, the moment of its death, and what was left after `prune`."""

    victim: str
    moment_s: float
    left: dict[str, set[str]] = field(default_factory=dict)


def round_of(backend: str, topology: Path, draw: random.Random, before: dict[str, set[str]]) -> Outcome:
    """Kill one victim at a random moment, prune, and compare with what was there before."""
    victim = draw.choice(VICTIMS)
    moment = draw.uniform(0, LONGEST_S[backend][victim])
    up = [*COMMAND, "up", str(topology), "--backend", backend]
    if victim == "up":
        _kill_after(moment, up)
    else:
        subprocess.run(up, check=True, capture_output=True)
        if victim == "agent":
            time.sleep(moment)
            _kill_agent(backend)
        else:
            _kill_after(
                moment, [*COMMAND, *(["status", "--watch", TOKEN] if victim == "watch" else ["down", TOKEN])]
            )
    prune = [*COMMAND, "prune", "--yes", "--net", TOKEN]
    pruned = subprocess.run(prune, check=False, capture_output=True, text=True)
    if pruned.returncode:
        return Outcome(victim, moment, {"prune": {pruned.stdout + pruned.stderr}})
    return Outcome(victim, moment, _difference(lambda: own_things(backend), before))


def _kill_after(moment_s: float, command: Sequence[str]) -> None:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    try:
        process.wait(moment_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _kill_agent(backend: str) -> None:
    """Kill the agent program of our net, and of no other."""
    ours = str(_state())
    if backend == "docker":
        words = ["docker", "ps", "-q", "--no-trunc", "--filter", f"label=stressnet.net={TOKEN}"]
        ours = "|".join(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            program = Path(f"/proc/{name}/comm").read_text().strip()
            place = Path(f"/proc/{name}/{'cgroup' if backend == 'docker' else 'cmdline'}").read_text()
        except OSError:
            continue
        if program == AGENT and any(one in place for one in ours.split("|") if one):
            os.kill(int(name), signal.SIGKILL)


def _difference(look: Callable[[], dict[str, set[str]]], before: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is there now and was not before; the kernel gets two seconds to finish what it has begun."""
    deadline = time.monotonic() + 2
    while True:
        left = {sort: things - before[sort] for sort, things in look().items() if things - before[sort]}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def rounds(backend: str, times: int, seed: int, folder: Path) -> list[Outcome]:
    """Play some rounds; a bystander with a namespace of its own must live through all of them."""
    topology = folder / f"{TOKEN}.yaml"
    topology.write_text(TOPOLOGY)
    draw = random.Random(seed)
    before = own_things(backend)
    someone_elses = ["unshare", "--user", "--map-root-user", "--net", "sleep", "3600"]
    bystander = subprocess.Popen(someone_elses, env={"PATH": os.environ["PATH"]})
    try:
        outcomes = [round_of(backend, topology, draw, before) for _ in range(times)]
        if bystander.poll() is not None:
            outcomes.append(Outcome("bystander", 0, {"killed": {"a process that is not ours"}}))
    finally:
        bystander.kill()
        bystander.wait()
    return outcomes


def main() -> None:
    """Play rounds and print what was left of each, if anything."""
    import tempfile

    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(suffix=TOKEN) as folder:
        os.environ["XDG_STATE_HOME"] = folder
        outcomes = rounds(options.backend, options.times, options.seed, Path(folder))
    bad = [outcome for outcome in outcomes if outcome.left]
    for outcome in bad:
        print(f"{outcome.victim} killed after {outcome.moment_s:.3f} s left: {outcome.left}")
    print(f"{options.backend}: {len(outcomes)} rounds, {len(bad)} that left something (seed {options.seed})")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
