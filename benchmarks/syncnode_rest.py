"""Load four reference nodes, put faults on them, let them rest: what is left, and how did their memory go?

    python -m benchmarks.syncnode_rest --minutes 30 --seed 1

Exit status 0 where streams, tasks and open files came back to what they were, and all nodes have the same chain.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.timing import machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "unit" / "syncnode"))

from loopback import Net, Process, until

VALIDATORS = ["v0", "v1", "v2"]
RESTING = ("syncnode_open_streams", "syncnode_tasks", "process_open_fds")
MEMORY, HEIGHT = "process_resident_memory_bytes", "syncnode_chain_height"
CONFIG = 'block_time = 0.05\n[gossip]\npatience = "20s"'
BAN = '[p2p]\nban = "20s"\n'
FAULTS = (
    "stream_error",
    "reset_mid_frame",
    "truncate_frame",
    "wrong_block_count",
    "wrong_hash",
    "empty_hashes",
)
_REST_S = 15.0
_WARM = 0.2
"""Share of the time after which memory counts: caches and the heap fill up first."""


@dataclass
class Outcome:
    """What one run showed."""

    left: list[str] = field(default_factory=list)
    """Figures that did not come back, with what they were and what they are."""
    agreed: bool = False
    memory: dict[str, list[tuple[float, float, float]]] = field(default_factory=dict)
    """Of each node that was not killed: seconds, bytes of memory, height."""
    steps: int = 0

    def slope(self, name: str) -> tuple[float, float]:
        """Return KiB a minute by which a node grew, and how many of them its chain explains (40 bytes a block)."""
        rows = self.memory[name]
        rows = rows[int(len(rows) * _WARM) :]
        seconds, memory, heights = zip(*rows, strict=True)
        per_s = statistics.linear_regression(seconds, memory).slope
        return per_s * 60 / 1024, statistics.linear_regression(seconds, heights).slope * 40 * 60 / 1024


def figures(node: Process) -> dict[str, float]:
    """Return the metrics of a node by name."""
    text = node.get("/metrics", 9900)
    return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}


def run(folder: Path, seconds: float, seed: int) -> Outcome:
    """Load a net for so long, then wait until it is at rest."""
    net = Net(folder, [*VALIDATORS, "late"], VALIDATORS, CONFIG)
    for node in net.nodes.values():
        config = node.home / "config.toml"
        config.write_text(
            config.read_text().replace("[p2p]\n", BAN).replace('level = "debug"', 'level = "warn"')
        )
    try:
        net.start()
        return _run(net, seconds, random.Random(seed))
    finally:
        for node in net.nodes.values():
            if node.process is not None:
                node.process.kill()
                node.process.wait()


def _run(net: Net, seconds: float, rng: random.Random) -> Outcome:
    outcome = Outcome(memory={name: [] for name in VALIDATORS})
    until(lambda: all(len(node.peers()) == 3 for node in net.nodes.values()), what="a full mesh")
    until(lambda: min(node.height() for node in net.nodes.values()) >= 10, what="blocks are made")
    before = {name: _resting(node) for name, node in net.nodes.items()}
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        _step(net, rng)
        outcome.steps += 1
        for name, rows in outcome.memory.items():
            found = figures(net[name])
            rows.append((passed, found[MEMORY], found[HEIGHT]))
    with contextlib.suppress(AssertionError):
        until(lambda: not _left(net, before) and net.agree() and _mesh(net), _REST_S)
    outcome.left = _left(net, before)
    outcome.agreed = net.agree()
    return outcome


def _resting(node: Process) -> dict[str, float]:
    """Return the figures of a node that has nothing to do: the least of some, as queries come and go."""
    rows = []
    for _ in range(10):
        rows.append(figures(node))
        time.sleep(0.1)
    return {name: min(row[name] for row in rows) for name in RESTING}


def _left(net: Net, before: dict[str, dict[str, float]]) -> list[str]:
    found = {name: figures(node) for name, node in net.nodes.items()}
    return [
        f"{name}: {key} was {value:.0f}, is {found[name][key]:.0f}"
        for name, row in before.items()
        for key, value in row.items()
        if found[name][key] > value
    ]


def _mesh(net: Net) -> bool:
    return all(len(node.peers()) == 3 for node in net.nodes.values())


def _step(net: Net, rng: random.Random) -> None:
    """Do one thing to the net and undo it."""
    steps: list[Callable[[Net, random.Random], None]] = [_fault, _pause, _kill, _calls, _noise]
    rng.choices(steps, (4, 3, 1, 2, 2))[0](net, rng)


def _fault(net: Net, rng: random.Random) -> None:
    """Let one node answer wrongly, and another fall behind, so that it has to ask."""
    liar, other = rng.sample(sorted(net.nodes), 2)
    name = rng.choice(FAULTS)
    net[liar].call("debug_setFault", name, {"probability": 0.5})
    _paused(net[other], rng.uniform(0.5, 1.5))
    time.sleep(0.5)
    net[liar].call("debug_clearFault", name)


def _pause(net: Net, rng: random.Random) -> None:
    _paused(net[rng.choice(sorted(net.nodes))], rng.uniform(0.2, 2))


def _paused(node: Process, seconds: float) -> None:
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        node.process.send_signal(signal.SIGCONT)


def _kill(net: Net, rng: random.Random) -> None:
    net["late"].end(signal.SIGKILL)
    time.sleep(rng.uniform(0, 1))
    net["late"].start()
    until(lambda: net["late"].height() >= 0, what="it is there again")


def _calls(net: Net, rng: random.Random) -> None:
    node = net[rng.choice(sorted(net.nodes))]
    for _ in range(200):
        node.call(rng.choice(("hmyv2_getPeerInfo", "hmyv2_latestHeader", "hmyv2_getNodeMetadata")))


def _noise(net: Net, rng: random.Random) -> None:
    """Connect to all ports of a node, and say nothing, or nonsense."""
    host = net[rng.choice(sorted(net.nodes))].host
    open_ones = []
    for _ in range(60):
        sock = socket.create_connection((host, rng.choice((9000, 9000, 9500, 9900))), 5)
        with contextlib.suppress(ConnectionError):
            sock.sendall(os.urandom(rng.choice((0, 1, 20, 5000))))
        open_ones.append(sock)
    time.sleep(rng.uniform(0, 0.5))
    for sock in open_ones:
        sock.close()


def main() -> int:
    """Run it and print what it showed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        outcome = run(Path(name), options.minutes * 60, options.seed)
    print(f"{options.minutes:g} min, {outcome.steps} steps, seed {options.seed}")
    for name in outcome.memory:
        grown, explained = outcome.slope(name)
        last = outcome.memory[name][-1][1] / 2**20
        print(f"{name}: {last:.1f} MiB, {grown:+.1f} KiB/min, of which its chain {explained:.1f}")
    print("at rest as before" if not outcome.left else "\n".join(outcome.left))
    print("one chain" if outcome.agreed else "the chains differ")
    return 0 if outcome.agreed and not outcome.left else 1


if __name__ == "__main__":
    sys.exit(main())
