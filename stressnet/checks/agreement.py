"""Whether all nodes have the same block at the same height."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stressnet.checks.check import Check, Finding, Nothing
from stressnet.plan import shorten
from stressnet.record import runs
from stressnet.record.record import Record

Blocks = Mapping[int, Mapping[str, str]]
"""By height and node: the hash of the block."""
_SHOWN = 16
"""Characters of a hash in a line."""


def judge(record: Record, _: Nothing) -> Finding:
    """Compare the hashes that were collected at the end of the run."""
    if not record.collected:
        return Finding("inconclusive", "blocks are collected at the end of the run")
    blocks = read_blocks(record)
    common = {height: hashes for height, hashes in blocks.items() if len(hashes) > 1}
    nodes = {name for one in blocks.values() for name in one}
    numbers: dict[str, Any] = {"heights": sorted(common), "nodes": sorted(nodes)}
    if not common:
        return Finding("inconclusive", "no two nodes told the hash of a block", (), None, (), numbers)
    split = {height: groups(hashes) for height, hashes in sorted(common.items())}
    split = {height: found for height, found in split.items() if len(found) > 1}
    if not split:
        said = f"{len(nodes)} nodes agree on {len(common)} blocks, up to height {max(common)}"
        return Finding("pass", said, (), None, (), numbers)
    lines = tuple(
        f"height {height}: " + "; ".join(f"{shorten(who)} {digest[:_SHOWN]}" for digest, who in found.items())
        for height, found in split.items()
    )
    lowest = min(split)
    # Who is right cannot be known: those are named who are not of the largest group.
    few = tuple(
        dict.fromkeys(name for found in split.values() for who in list(found.values())[1:] for name in who)
    )
    said = f"{shorten(few)} had another block than the others at height {lowest}"
    numbers["disagree"] = {str(height): found for height, found in split.items()}
    return Finding("fail", said, few, None, lines, numbers)


def groups(hashes: Mapping[str, str]) -> dict[str, list[str]]:
    """Return who has which hash, the largest group first."""
    found: dict[str, list[str]] = {}
    for name, digest in hashes.items():
        found.setdefault(digest, []).append(name)
    return dict(sorted(found.items(), key=lambda one: -len(one[1])))


def read_blocks(record: Record) -> Blocks:
    """Return what was collected; nothing where there is no such file."""
    try:
        raw = json.loads((record.path / runs.BLOCKS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {int(height): hashes for height, hashes in raw.items()}


CHECK = Check("agreement", "all nodes that have a height have the same block there", Nothing, judge)
