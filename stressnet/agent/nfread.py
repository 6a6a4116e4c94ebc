"""What nf_tables has, read back: chains and their rules, the elements of maps, and what sets of counters have counted.

Numbers are those of the kernel's uapi header nf_tables.h.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from stressnet.agent.netlink import attributes
from stressnet.agent.nftables import Nftables

_CHAINS, _RULES, _ELEMENTS = 4, 7, 13
_TABLE, _CHAIN_OF_RULE, _NAME_OF_CHAIN, _LIST = 1, 2, 3, 3
_KEY, _DATA, _EXPRESSION = 1, 2, 7
_VALUE, _VERDICT, _CHAIN_OF_VERDICT = 1, 2, 2
_BYTES, _PACKETS = 1, 2


@dataclass(frozen=True, slots=True)
class Counted:
    """What a set of counters has under one key."""

    packets: int
    bytes: int


def chains(tables: Nftables, table: str) -> set[str]:
    """Return the names of the chains of a table, none where there is no such table."""
    return {_text(parts[_NAME_OF_CHAIN]) for parts in tables.dump(_CHAINS) if _text(parts[_TABLE]) == table}


def rules(tables: Nftables, table: str) -> Counter[str]:
    """Return how many rules each chain of a table has."""
    return Counter(
        _text(parts[_CHAIN_OF_RULE]) for parts in tables.dump(_RULES, table) if _text(parts[_TABLE]) == table
    )


def counters(tables: Nftables, table: str, name: str) -> dict[bytes, Counted]:
    """Return what a set of counters holds, by key."""
    found = {}
    for key, parts in _elements(tables, table, name):
        counted = dict(attributes(dict(attributes(parts[_EXPRESSION]))[2]))
        found[key] = Counted(*(struct.unpack(">Q", counted[one])[0] for one in (_PACKETS, _BYTES)))
    return found


def values(tables: Nftables, table: str, name: str) -> dict[bytes, bytes]:
    """Return what a map has, by key."""
    return {key: dict(attributes(parts[_DATA]))[_VALUE] for key, parts in _elements(tables, table, name)}


def verdicts(tables: Nftables, table: str, name: str) -> dict[bytes, str]:
    """Return through which chain a map of verdicts has packets go, by key."""
    found = {}
    for key, parts in _elements(tables, table, name):
        verdict = dict(attributes(dict(attributes(parts[_DATA]))[_VERDICT]))
        found[key] = _text(verdict.get(_CHAIN_OF_VERDICT, b""))
    return found


def _elements(tables: Nftables, table: str, name: str) -> Iterator[tuple[bytes, dict[int, bytes]]]:
    for some in tables.dump(_ELEMENTS, table, name):
        for _, element in attributes(some.get(_LIST, b"")):
            parts = dict(attributes(element))
            yield dict(attributes(parts[_KEY]))[_VALUE], parts


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()
