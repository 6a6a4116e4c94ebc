"""What the links of a live net have carried, and whether all of it was under control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stressnet.backends.base import Backend


@dataclass(frozen=True, slots=True)
class LinkCount:
    """One directed link since the net came up, in packets but for `connections`."""

    source: str
    """A node; an address of no node where a packet said it came from there."""
    target: str
    carried: int
    """All packets that the source sent to the target."""
    bytes: int
    """Their bytes."""
    connections: int
    """TCP connections to p2p ports, all through a relay."""
    controlled: int
    """Packets to p2p ports."""
    bypassed: int
    """Packets to p2p ports that came by another way; dropped."""
    spoofed: int
    """Packets under an address that is not the sender's; dropped."""
    offered: int
    """Packets that came while a packet fault was on."""
    dropped: int
    """Dropped by it."""


@dataclass(frozen=True, slots=True)
class LinksStatus:
    """All links that have carried anything, and why there is no control where there is none."""

    links: tuple[LinkCount, ...]
    packets_problem: str
    streams_problem: str
    relays: int
    changed_by_others: Mapping[str, int]
    """How often anybody but the agent has changed `rules` and `queues` of links since it took control."""

    @property
    def uncontrolled(self) -> int:
        """Packets that tried to get around control."""
        return sum(link.bypassed + link.spoofed for link in self.links)


async def look_at_links(backend: Backend) -> LinksStatus:
    """Ask the net's agent once."""
    async with await backend.connect() as agent:
        return read_links(await agent.call("links"), await agent.call("control"))


def read_links(rows: list[Mapping[str, Any]], control: Mapping[str, Any]) -> LinksStatus:
    """Read the agent's answers to `links` and `control`: trouble first, then by name."""
    links = [LinkCount(**row) for row in rows]
    links.sort(key=lambda link: (-(link.bypassed + link.spoofed), link.source, link.target))
    return LinksStatus(
        tuple(links),
        control["packets_problem"],
        control["streams_problem"],
        control["relays"],
        control["changed_by_others"],
    )


async def changed_by_others(backend: Backend) -> Mapping[str, int]:
    """Ask the net's agent how often anybody else has changed `rules` and `queues` of links since it took control."""
    async with await backend.connect() as agent:
        found: Mapping[str, int] = (await agent.call("control"))["changed_by_others"]
        return found
