"""Stage 6: what the nodes have written, brought into the record before the net goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from stressnet.backends.base import Backend
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal

LOG_BYTES = 4 << 20
"""How much of each node's log is kept: its end."""


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
