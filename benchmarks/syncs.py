"""Old sync against new: a node catches up by gRPC, another by streams, from the same peers in one net.

python -m benchmarks.syncs [--blocks 400] [--repetitions 3] [--backend netns|docker]

On clean links, on slow ones, and on some that lose connections. Seconds until each has all the blocks that there were
when they were let loose, CPU seconds of the node that catches up, and bytes on its links.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.live import Live, brought_up
from benchmarks.timing import machine
from stressnet.engine.plan_topology import plan_topology

_NET = """
name: NAME
seed: 3
defaults: {kind: syncnode, config: {time_scale: 10, chain.block_time: 50ms, chain.payload: 2KiB}}
nodes:
  validator: {count: 4, ports: {p2p-dns: 6000/tcp}, config: {dns.server: true}}
  streams: {start: {height: BLOCKS, of: validator}, config: {gossip.blocks: false}}
  grpc:
    start: {height: BLOCKS, of: validator}
    config:
      gossip.blocks: false
      sync.enabled: false
      dns: {client: true, peers: "{knows:p2p-dns}"}
"""
_NODES = ("streams", "grpc")
_LINKS: dict[str, list[tuple[str, ...]]] = {
    "clean": [],
    "80 ms each way": [("latency", "latency=80ms")],
    "1 Mbit/s a connection": [("bandwidth", "rate=1Mbit/s")],
    "every connection cut after 64 KiB": [("cut", "bytes=64KiB")],
}
_PATIENCE_S = 180.0

Figures = tuple[float, float, float]
"""Seconds, CPU seconds, MB on the links; infinite where it did not catch up."""


async def _caught_up(live: Live, node: str, height: int, begun: float) -> Figures:
    async def there() -> bool:
        return await live.height(node) >= height

    if not await live.until(there, _PATIENCE_S):
        return (float("inf"),) * 3
    took = time.monotonic() - begun
    cpu = await live.total(node, "process_cpu_seconds_total")
    async with await live.net.connect() as agent:
        rows = await agent.call("links")
    carried = sum(row["bytes"] for row in rows if node in (row["source"], row["target"]))
    return took, cpu, carried / 1e6


async def _race(live: Live, faults: list[tuple[str, ...]], blocks: int) -> list[Figures]:
    """Let both go at the height that they wait for, on links that are as bad as asked from before."""
    for kind, *parameters in faults:
        for node in _NODES:
            await live.fault(kind, *parameters, between=(node, "validator"))

    async def due() -> bool:
        return await live.height("validator-1") >= blocks

    await live.until(due, 300)
    begun = time.monotonic()
    return list(await asyncio.gather(*(_caught_up(live, node, blocks, begun) for node in _NODES)))


async def _all(options: argparse.Namespace, folder: Path) -> None:
    print("| links | sync | seconds | CPU seconds | MB |\n| --- | --- | --- | --- | --- |")
    for links, faults in _LINKS.items():
        found: list[list[Figures]] = []
        for repetition in range(options.repetitions):
            file = folder / "syncs.yaml"
            name = f"bench-syncs-{os.getpid()}-{repetition}"
            file.write_text(_NET.replace("NAME", name).replace("BLOCKS", str(options.blocks)))
            async with brought_up(plan_topology(file, backend=options.backend)) as live:
                found.append(await _race(live, faults, options.blocks))
        for place, node in enumerate(_NODES):
            columns = zip(*(run[place] for run in found), strict=True)
            words = [f"{statistics.median(some):.1f} ({min(some):.1f}–{max(some):.1f})" for some in columns]
            print(f"| {links} | {node} | {' | '.join(words)} |", flush=True)


def main() -> None:
    """Measure on each sort of links in turn, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=400)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--backend", choices=("netns", "docker"), default="netns")
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        os.environ["XDG_STATE_HOME"] = name
        asyncio.run(_all(options, Path(name)))


if __name__ == "__main__":
    main()
