"""What is looked at in the moment in which a check first fails: of the nodes concerned, as much as is readable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stressnet.backends.base import Backend
from stressnet.errors import StressnetError

_NODES = 5
"""Of how many nodes there is evidence at most: a hundred stuck nodes look alike."""
_LINES = 50
_PATIENCE_S = 20.0


async def gather(backend: Backend, nodes: Sequence[str], folder: Path, check: str) -> list[str]:
    """Write the evidence of a breach into a folder; return the names of its files. What cannot be had is left out."""
    written: list[str] = []
    try:
        async with asyncio.timeout(_PATIENCE_S):
            for node in nodes[:_NODES]:
                written += await _of_node(backend, node, folder, check)
    except TimeoutError:
        pass
    return written


async def _of_node(backend: Backend, node: str, folder: Path, check: str) -> list[str]:
    written = []
    for sort, text in (("log", await _last_lines(backend, node)),):
        if text:
            name = f"{check}-{node}-{sort}.txt"
            (folder / name).write_text(text, encoding="utf-8", errors="replace")
            written.append(name)
    return written


async def _last_lines(backend: Backend, node: str) -> str:
    try:
        lines = [
            line.decode(errors="replace") async for line in backend.logs(node, follow=False, tail=_LINES)
        ]
    except (StressnetError, OSError):
        return ""
    return "\n".join(lines) + "\n" if lines else ""
