"""Nodes in the order of the plan, with their numbers and addresses."""

from __future__ import annotations

import fnmatch
import ipaddress
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from stressnet.compile.groups import Resolved

_SPARE = 3
"""Addresses that no node gets: the network's, the gateway's, the broadcast."""


_BENCHMARKS = ipaddress.IPv4Network("198.18.0.0/15")
_USUAL_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Member:
    """A node with its place in the plan."""

    name: str
    index: int
    kind_index: int
    address: str
    group: Resolved


def default_subnet(net: str, nodes: int) -> str:
    """Return a net's part of 198.18.0.0/15, which is reserved for benchmarks (RFC 2544).

    The part is drawn by the net's name, so that two nets side by side rarely want the same one: an engine
    refuses networks that overlap. A part has room for 1,021 nodes, or more where the net has more.
    """
    length = min(_USUAL_LENGTH, 32 - (nodes + _SPARE - 1).bit_length())
    parts = 2 ** max(0, length - _BENCHMARKS.prefixlen)
    place = int.from_bytes(sha256(net.encode()).digest()[:8], "big") % parts
    first = _BENCHMARKS.network_address + place * 2 ** (32 - length)
    return f"{first}/{max(length, _BENCHMARKS.prefixlen)}"


def capacity(subnet: str) -> int:
    """Return how many nodes a subnet holds."""
    return max(0, ipaddress.IPv4Network(subnet).num_addresses - _SPARE)


def gateway(subnet: str) -> str:
    """Return the first address of a subnet."""
    return str(ipaddress.IPv4Network(subnet).network_address + 1)


def number(groups: Sequence[Resolved], subnet: str) -> list[Member]:
    """Order nodes kind by kind, within a kind by role, and give them consecutive addresses."""
    first = int(ipaddress.IPv4Network(subnet).network_address) + 2
    members: list[Member] = []
    for kind in dict.fromkeys(group.kind.name for group in groups):
        alike = [group for group in groups if group.kind.name == kind]
        alike.sort(key=lambda group: group.kind.roles.index(group.role))
        names = [(name, group) for group in alike for name in group.nodes]
        for kind_index, (name, group) in enumerate(names):
            index = len(members)
            members.append(Member(name, index, kind_index, _dotted(first + index), group))
    return members


def _dotted(address: int) -> str:
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def select(members: Iterable[Member], selector: str) -> list[Member]:
    """Return the members that a name of a node or group, or a glob, means."""
    everyone = list(members)
    exact = [member for member in everyone if selector in (member.name, member.group.name)]
    return exact or [
        member
        for member in everyone
        if fnmatch.fnmatchcase(member.name, selector) or fnmatch.fnmatchcase(member.group.name, selector)
    ]


def dice(seed: int, purpose: str) -> random.Random:
    """Return a generator of its own for each purpose, so that one does not shift another."""
    return random.Random(int.from_bytes(sha256(f"{seed}:{purpose}".encode()).digest()[:8]))  # noqa: S311 - no secret
