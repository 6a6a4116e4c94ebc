"""What is looked at in the moment in which a check first fails: of the nodes concerned, as much as is readable."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from stressnet.backends.base import Backend
from stressnet.engine.ask import NoAnswer, SocketTable, ask, sockets
from stressnet.engine.capture import save_packets
from stressnet.engine.ending import to_its_end
from stressnet.errors import StressnetError

_NODES = 5
"""Of how many nodes there is evidence at most: a hundred stuck nodes look alike."""
_LINES = 50
_PATIENCE_S = 20.0

Room = Callable[[int], bool]
"""Tell whether so many bytes more may be written."""


def unlimited(_: int) -> bool:
    """There is always room."""
    return True


async def gather(
    backend: Backend,
    nodes: Sequence[str],
    folder: Path,
    check: str,
    *,
    room: Room = unlimited,
) -> list[str]:
    """Write the evidence of a breach into a folder; return the names of its files.

    What cannot be had is left out, and so is what there is no room for: `room` is asked in a thread whether so many
    bytes more may be written, before each file and for one file at a time.
    """
    found: dict[tuple[str, str], str] = {}
    written: list[str] = []
    chosen = list(nodes[:_NODES])
    looks = [_stacks(backend, chosen, found), _sockets(backend, chosen, found)]
    looks += [_log(backend, node, found) for node in chosen]
    looks.append(_packets(backend, {node: folder / f"{check}-{node}.pcap" for node in chosen}, room, written))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*looks, return_exceptions=True)
    except TimeoutError:
        pass  # what there is by now
    for (node, sort), text in sorted(found.items()):
        name, content = f"{check}-{node}-{sort}.txt", text.encode(errors="replace")
        with suppress(OSError):
            if await asyncio.to_thread(room, len(content)):
                (folder / name).write_bytes(content)
                written.append(name)
    return sorted(written)


async def _packets(backend: Backend, files: Mapping[str, Path], room: Room, written: list[str]) -> None:
    """Save the last packets of nodes, where the fault plan has them kept; else the agent has none to give.

    How many they are is known when they are there, so they wait elsewhere: of one node at a time, up to 64 MiB.
    """
    for node, file in files.items():
        with suppress(StressnetError, OSError), TemporaryDirectory() as elsewhere:
            fetched = Path(elsewhere) / file.name
            await save_packets(backend, node, fetched)
            if await asyncio.to_thread(room, fetched.stat().st_size):
                await to_its_end(asyncio.to_thread(_take, fetched, file, written))


def _take(fetched: Path, file: Path, written: list[str]) -> None:
    try:
        shutil.move(fetched, file)
    except OSError:
        file.unlink(missing_ok=True)
        raise
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
