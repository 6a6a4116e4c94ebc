"""Keep the last packets of nodes of a live net, and save them as a file that tcpdump and Wireshark read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stressnet.backends.base import Backend


@dataclass(frozen=True, slots=True)
class Saved:
    """What is in a file of packets."""

    count: int
    lost: int
    """Packets that came faster than they could be kept."""


async def keep_packets(backend: Backend, nodes: Sequence[str], mib: int) -> None:
    """Have the agent keep the last `mib` MiB of packets of each of these nodes; 0: none any more.

    AgentError where it is too much (64 of one node, 256 in all), or the kernel does not let it.
    """
    async with await backend.connect() as agent:
        await agent.call("capture", nodes=list(nodes), mib=mib)


async def save_packets(backend: Backend, node: str, path: Path) -> Saved:
    """Write what is kept of a node into a file of the format pcap; it goes on being kept."""
    async with await backend.connect() as agent:
        told = await agent.call("capture_take", node=node)
        with path.open("wb") as file:
            await agent.receive(told["size"], file)
    return Saved(told["count"], told["lost"])
