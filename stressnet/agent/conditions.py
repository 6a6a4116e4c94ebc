"""What the router does to the packets of links with a fault: a chain for each way to treat them, and maps that say
which link goes through which; and what the kernel has of it.

Whoever may enter the router can take rules away. So before a fault is taken off it is read back what is there.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stressnet.agent import nftables as nft
from stressnet.agent.nfread import rules, values, verdicts
from stressnet.faults.compose import Packet

TABLE = "stressnet"
CUT = "cut-all"
_REJECT = "reject"
_TCP = b"\x06"

Pair = tuple[str, str]
"""Source and target address of a directed link."""


class Lack(NamedTuple):
    """What is not there of what should hold for the packets of a link, in words; empty where all is."""

    rule: str = ""
    queue: str = ""


def pair_key(pair: Pair) -> bytes:
    """Return the key of a link in maps and counters."""
    return socket.inet_aton(pair[0]) + socket.inet_aton(pair[1])


def way_of(packet: Packet) -> str:
    """Name the chain that does what holds for packets of a link; empty where nothing does."""
    if packet.drop >= 1:
        return CUT
    if packet.reject:
        return _REJECT
    return f"drop-{packet.drop:.6f}" if packet.drop else ""


def chain(name: str, share: float) -> Iterable[bytes]:
    """Make a chain and its rules; `share` is how many of its packets one that drops some of them drops."""
    yield nft.chain(TABLE, name)
    yield from _rules(name, share)


def _rules(name: str, share: float = 1.0) -> Iterable[bytes]:
    pair = (nft.source(0), nft.destination(1))
    yield nft.rule(TABLE, name, *pair, nft.count("offered"))
    if name == _REJECT:
        yield nft.rule(TABLE, name, *pair, nft.count("dropped"))
        yield nft.rule(TABLE, name, nft.meta(0, nft.PROTOCOL), nft.compare(0, _TCP), nft.reset())
        yield nft.rule(TABLE, name, nft.prohibit())
    elif name == CUT:
        yield nft.rule(TABLE, name, *pair, nft.count("dropped"), nft.drop())
    else:
        yield nft.rule(TABLE, name, nft.chance(share), *pair, nft.count("dropped"), nft.drop())


class Ruled:
    """What the kernel has of all this at the moment when it is made."""

    def __init__(self, tables: nft.Nftables, leading: Mapping[str, int]) -> None:
        """`leading` says how many rules each chain has that leads packets to what holds on their link."""
        there = rules(tables, TABLE)
        self._leads = all(there[name] >= count for name, count in leading.items())
        self._whole = {name for name, count in there.items() if count >= sum(1 for _ in _rules(name))}
        self._conditions = verdicts(tables, TABLE, "conditions")
        self._cuts = verdicts(tables, TABLE, "cuts")
        self._classes = values(tables, TABLE, "classes")

    def lack(self, pair: Pair, packet: Packet, class_id: int) -> Lack:
        """Return what a link lacks of what should hold for its packets; `class_id` is that of its queue, 0 for none."""
        key, way = pair_key(pair), way_of(packet)
        led = not class_id or (self._leads and self._classes.get(key) == struct.pack("=I", class_id))
        return Lack("" if not way or self._has(key, way) else "no rule", "" if led else "no queue")

    def _has(self, key: bytes, way: str) -> bool:
        return (
            self._leads
            and self._conditions.get(key) == way
            and (way != CUT or self._cuts.get(key) == way)
            and way in self._whole
        )
