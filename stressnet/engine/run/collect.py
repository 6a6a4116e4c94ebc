"""Stage 6: what the nodes have written, and which blocks they have, brought into the record before the net goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stressnet.backends.base import Backend
from stressnet.engine.ask import ask
from stressnet.engine.run.asking import Ask, tellers
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record

LOG_BYTES = 4 << 20
"""How much of each node's log is kept: its end."""
_HEIGHTS = 9
"""Heights at which nodes are compared: nodes that part do not meet again, so few are enough to see it."""
_TRIES = 2
"""How often a node that should have a block is asked for its hash."""
_LEVELS, _NEAR = 4, 5
"""How many of the heights are where groups of nodes stand, and by how many blocks those of one group differ at most."""


async def collect_logs(
    plan: Plan,
    backend: Backend,
    path: Path,
    journal: RunJournal,
    since: Mapping[str, str] = MappingProxyType({}),
    most: int = LOG_BYTES,
) -> None:
    """Write the end of each node's log into the record, up to so many bytes; `since`: from where on, by node."""
    for node in plan.nodes:
        try:
            kept, size = await _end(backend, node.name, since.get(node.name, ""), most)
        except (StressnetError, OSError) as error:
            journal.note("log lost", node=node.name, why=str(error))
            continue
        (path / runs.LOGS / f"{node.name}.log").write_bytes(kept)
        if size > len(kept):
            journal.note("log cut", node=node.name, bytes=size, kept=len(kept))


async def _end(backend: Backend, node: str, since: str, most: int) -> tuple[bytes, int]:
    lines: list[bytes] = []
    size = held = dropped = 0
    async for line in backend.logs(node, follow=False, tail=None, since=since):
        lines.append(line)
        size += len(line) + 1
        held += len(line) + 1
        while held > most:
            held -= len(lines[dropped]) + 1
            lines[dropped] = b""
            dropped += 1
    return b"".join(line + b"\n" for line in lines[dropped:]), size


async def collect_blocks(
    plan: Plan, backend: Backend, path: Path, journal: RunJournal, ask: Ask = ask
) -> None:
    """Ask all nodes for the hashes of their blocks at a few heights, and write them into the record.

    Nodes whose kind does not say how are left out; without any there is no file.
    """
    able = tellers(plan, "block")
    if not able:
        return
    record = Record(path)
    tops = {name: height for name in able if (height := _last_height(record, name)) is not None}
    blocks: dict[str, dict[str, str]] = {}
    for height in heights_to_compare(list(tops.values()), _after_faults(record)):
        try:
            blocks[str(height)] = await _hashes(backend, tops, height, ask)
        except (StressnetError, OSError) as error:
            journal.note("blocks lost", height=height, why=str(error))
    runs.write_json(path / runs.BLOCKS, blocks)


async def _hashes(backend: Backend, tops: Mapping[str, int], height: int, ask: Ask) -> dict[str, str]:
    """Return the hashes at a height; StressnetError or OSError where nothing could be asked.

    Who should have that block and tells none is asked again: one lost answer may be that of the only node that differs.
    """
    hashes: dict[str, str] = {}
    asked = list(tops)
    for left in reversed(range(_TRIES)):
        try:
            told = await ask(backend, asked, "block", height=height)
        except (StressnetError, OSError):
            if not left and not hashes:
                raise
            continue
        # Left out is who has no such block, or does not answer.
        hashes |= {name: answer for name, answer in told.items() if isinstance(answer, str) and answer}
        asked = [name for name, top in tops.items() if top >= height and name not in hashes]
        if not asked:
            break
    return hashes


def _last_height(record: Record, name: str) -> int | None:
    """Return the height of a node that runs at the end."""
    rows = record.nodes[name]
    if not rows or rows[-1].state not in ("ready", "starting"):
        return None
    return next((row.height for row in reversed(rows) if row.height is not None), None)


def _after_faults(record: Record) -> list[int]:
    """Return the heights of the first blocks after each fault, the last fault first."""
    found = []
    for ended in sorted((span.ended for span in record.faults if span.ended is not None), reverse=True):
        tops = [
            row.height for rows in record.nodes.values() for row in rows if row.at <= ended and row.height
        ]
        if tops:
            found.append(max(tops) + 1)
    return found


def heights_to_compare(tops: Sequence[int], after_faults: Sequence[int]) -> list[int]:
    """Return the greatest height that all nodes have, the greatest that two have, and more back to 1.

    `tops` are the heights of nodes. The rest is where those have come to who are far apart, as one on a branch of its
    own may be, the first blocks after faults, and an even spread.
    """
    tops = [top for top in tops if top >= 1]
    if not tops:
        return []
    common = min(tops)
    second = sorted(tops)[-2] if len(tops) > 1 else common
    chosen = {common, second, 1, *_levels([top for top in tops if top <= second])[-_LEVELS:]}
    most = len(chosen) + _HEIGHTS // 3
    for height in after_faults:
        if len(chosen) < most and height <= max(tops):
            chosen.add(height)
    left = _HEIGHTS - len(chosen)
    chosen |= {max(1, round(second * number / (left + 1))) for number in range(1, left + 1)}
    return sorted(chosen, reverse=True)


def _levels(tops: Sequence[int]) -> list[int]:
    """Return the lowest of each group of nodes that are as high as each other, but for a few blocks."""
    found: list[int] = []
    for top in sorted(tops):
        if not found or top > found[-1] + _NEAR:
            found.append(top)
    return found
