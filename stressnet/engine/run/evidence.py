"""What is looked at in the moment in which a check first fails: of the nodes concerned, as much as is readable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from stressnet.backends.base import Backend
from stressnet.engine.ask import NoAnswer, SocketTable, ask, sockets
from stressnet.engine.capture import save_packets
from stressnet.errors import StressnetError

_NODES = 5
"""Of how many nodes there is evidence at most: a hundred stuck nodes look alike."""
_LINES = 50
_PATIENCE_S = 20.0


async def gather(backend: Backend, nodes: Sequence[str], folder: Path, check: str) -> list[str]:
    """Write the evidence of a breach into a folder; return the names of its files. What cannot be had is left out."""
    found: dict[tuple[str, str], str] = {}
    written: list[str] = []
    chosen = list(nodes[:_NODES])
    looks = [_stacks(backend, chosen, found), _sockets(backend, chosen, found)]
    looks += [_log(backend, node, found) for node in chosen]
    looks += [_packets(backend, node, folder / f"{check}-{node}.pcap", written) for node in chosen]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*looks, return_exceptions=True)
    except TimeoutError:
        pass  # what there is by now
    for (node, sort), text in sorted(found.items()):
        name = f"{check}-{node}-{sort}.txt"
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
        written.append(name)
    return sorted(written)


async def _packets(backend: Backend, node: str, file: Path, written: list[str]) -> None:
    """Save the last packets of a node, where the fault plan has them kept; else the agent has none to give."""
    await save_packets(backend, node, file)
    written.append(file.name)


async def _stacks(backend: Backend, nodes: Sequence[str], found: dict[tuple[str, str], str]) -> None:
    for node, stacks in (await ask(backend, nodes, "stacks")).items():
        if not isinstance(stacks, NoAnswer):
            found[node, "stacks"] = str(stacks)


async def _sockets(backend: Backend, nodes: Sequence[str], found: dict[tuple[str, str], str]) -> None:
    for node, table in (await sockets(backend, nodes)).items():
        if not isinstance(table, NoAnswer):
            found[node, "sockets"] = _table(table)


def _table(table: SocketTable) -> str:
    lines = [f"{table.count} TCP connections"]
    for one in table.sockets:
        way = "from" if one.inbound else "to"
        queues = f"  unread {one.rqueue} B, unsent {one.wqueue} B" if one.rqueue or one.wqueue else ""
        lines.append(f"{one.state:12} {way:4} {one.peer or '–':16} {one.local:22} {one.remote:22}{queues}")
    return "\n".join(lines) + "\n"


async def _log(backend: Backend, node: str, found: dict[tuple[str, str], str]) -> None:
    try:
        lines = [
            line.decode(errors="replace") async for line in backend.logs(node, follow=False, tail=_LINES)
        ]
    except (StressnetError, OSError):
        return
    if lines:
        found[node, "log"] = "\n".join(lines) + "\n"
