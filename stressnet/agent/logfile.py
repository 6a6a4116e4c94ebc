"""The log of a node on netns: one file that the node itself writes, of which only the end stays on the disk.

Nobody stands between a node and its log, so that no death of ours can block or cut it. Hence no rotation by
renaming, which would need the node's help: the oldest part becomes a hole in the file (fallocate(2)). It takes no
space any more, and every place in the file is still where it was, for whoever is reading.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from stressnet.agent import kernel
from stressnet.agent.complaints import complain

PART_BYTES = 50_000_000
PARTS = 2
"""A log that has grown to so many parts loses the first: between 50 and 100 MB stay. On docker the engine does it."""
_PAGE = 4096
_CHUNK = 2**20
_TRIM_PAUSE_S = 1.0
_FOLLOW_PAUSE_S = 0.2


async def keep_trimmed(folder: Path) -> None:
    """Cut the logs in a folder for ever, as they grow."""
    unable: set[str] = set()
    while True:
        await asyncio.to_thread(_trim_all, folder, unable)
        await asyncio.sleep(_TRIM_PAUSE_S)


def _trim_all(folder: Path, unable: set[str]) -> None:
    for entry in os.scandir(folder) if folder.is_dir() else ():
        try:
            if entry.name not in unable:
                trim(Path(entry.path))
        except FileNotFoundError:
            continue  # its node was removed meanwhile
        except OSError as error:  # a file system without holes: the log grows, and the agent's log says why
            unable.add(entry.name)
            complain(f"the log {entry.name} cannot be cut: {error}")


def trim(path: Path, part: int = PART_BYTES) -> None:
    """Give the space of all but the last `part` bytes back, if the log takes `PARTS` times as many."""
    if path.stat().st_size < PARTS * part:
        return
    with path.open("r+b", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size - first_data(file.fileno(), 0) >= PARTS * part:
            kernel.punch_hole(file.fileno(), 0, (size - part) // _PAGE * _PAGE)


def first_data(descriptor: int, place: int) -> int:
    """Return the first place from `place` on that is not in a hole; the place itself at the end of the file."""
    try:
        return os.lseek(descriptor, place, os.SEEK_DATA)
    except OSError:
        return place


async def lines(path: Path, *, follow: bool, tail: int | None, since: int = 0) -> AsyncIterator[bytes]:
    """Yield the lines of a log without their ends, all from a place in the file on, or of them the last `tail`.

    With `follow` it goes on as they are written, until the file is gone; a line counts once it is whole.
    """
    while not path.exists():
        if not follow:
            return
        await asyncio.sleep(_FOLLOW_PAUSE_S)
    with path.open("rb", buffering=0) as file:
        descriptor, rest = file.fileno(), b""
        place = max(since, _after_cut(descriptor, 0) if tail is None else _last_lines(descriptor, tail))
        while True:
            if first_data(descriptor, place) > place:  # cut while we read
                place, rest = _after_cut(descriptor, place), b""
            still = follow and _is_still(
                path, descriptor
            )  # asked first: its last words may come before it goes
            chunk = os.pread(descriptor, _CHUNK, place)
            place += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line
            if not chunk:
                if not still:
                    break
                await asyncio.sleep(_FOLLOW_PAUSE_S)
        if rest:
            yield rest


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _after_cut(descriptor: int, place: int) -> int:
    """Return where the first line begins that is whole, from `place` on."""
    start = first_data(descriptor, place)
    if start == place:
        return start
    while chunk := os.pread(descriptor, _CHUNK, start):
        end = chunk.find(b"\n")
        if end >= 0:
            return start + end + 1
        start += len(chunk)
    return start


def _last_lines(descriptor: int, count: int) -> int:
    """Return where the last `count` lines begin, read from the end."""
    end = os.fstat(descriptor).st_size
    first = _after_cut(descriptor, 0)
    # The end of the last line is not the end of the one before it.
    wanted = count + (os.pread(descriptor, 1, end - 1) == b"\n" if end else 0)
    while end > first and wanted:
        start = max(first, end - _CHUNK)
        chunk = os.pread(descriptor, end - start, start)
        found = chunk.count(b"\n")
        if found >= wanted:
            place = len(chunk)
            for _ in range(wanted):
                place = chunk.rfind(b"\n", 0, place)
            return start + place + 1
        wanted -= found
        end = start
    return first if wanted else os.fstat(descriptor).st_size
