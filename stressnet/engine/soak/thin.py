"""Make the record of a round smaller, or a soak's file of lines."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from stressnet.record import runs
from stressnet.record.samples import Samples, Thinned

EVERY_S = 5.0
"""Between two looks that stay of a round that is thinned."""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
"""Errors, in their last byte, of a disk and not of the file."""
_LEFT = (runs.RUN, runs.PLAN, runs.TIMELINE, runs.SOURCE, runs.JOURNAL, runs.SAMPLES, runs.VERDICT)


def size(path: Path, *, shared: bool = True) -> int:
    """Return what a file or folder takes of the disk, in bytes; `shared`: with files that have other names too.

    What has several names in it counts once. A symbolic link is no more than itself.
    """
    total = 0
    seen: set[int] = set()
    folder = path.is_dir() and not path.is_symlink()
    for place, _, names in os.walk(path) if folder else [(str(path.parent), [], [path.name])]:
        for name in names:
            with suppress(FileNotFoundError):
                found = os.lstat(os.path.join(place, name))
                counts = found.st_nlink == 1 or (shared and found.st_ino not in seen)
                seen.add(found.st_ino)
                # What was just written may have no blocks yet.
                total += max(found.st_blocks * 512, found.st_size) if counts else 0
    return total


def is_whole(path: Path) -> bool:
    """Tell whether nothing of a round's record was taken away."""
    return (path / runs.LOGS).is_dir()


def thin_round(path: Path) -> None:
    """Leave of a round what was asked, its journal, its verdict and some of its samples; no logs and no evidence."""
    for one in path.iterdir():
        if one.name not in _LEFT:
            shutil.rmtree(one) if one.is_dir() else one.unlink(missing_ok=True)
    thin_samples(path / runs.SAMPLES, EVERY_S)


def thin_samples(file: Path, every_s: float) -> None:
    """Keep one look in so many seconds at each node, link and series."""
    if not file.exists():
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        samples = Samples(partial, "")
        try:
            samples.absorb(file, Thinned(every_s))
        finally:
            samples.close(alone=True)
        if size(partial) < size(file):
            partial.replace(file)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _NO_ROOM:
            file.unlink(missing_ok=True)  # what cannot be read is of no use
    finally:
        for left in file.parent.glob(f"{partial.name}*"):
            left.unlink(missing_ok=True)


def share(path: Path, original: Path) -> None:
    """Let a file of the same content be a second name of the original, where the file system can do that."""
    partial = path.with_name(f".{path.name}.partial")
    with suppress(OSError):
        if path.read_bytes() == original.read_bytes():
            partial.unlink(missing_ok=True)
            os.link(original, partial)
            partial.replace(path)


def outcome(path: Path) -> str:
    """Return the outcome of a round's record; "" where there is none (yet)."""
    return str(runs.read_json(path / runs.VERDICT).get("outcome", ""))


def trim_lines(file: Path) -> None:
    """Take the older half of the lines of rounds that passed out of a file."""
    if not file.exists():
        return
    lines = file.read_bytes().splitlines(keepends=True)
    passed = [place for place, line in enumerate(lines) if b'"outcome": "pass"' in line]
    gone = set(passed[: (len(passed) + 1) // 2])
    partial = file.with_name(f".{file.name}.partial")
    partial.write_bytes(b"".join(line for place, line in enumerate(lines) if place not in gone))
    partial.replace(file)
