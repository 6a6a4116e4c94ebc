"""What was done in a run and what was seen, one event a line, in the order it was: `journal.jsonl`."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stressnet.errors import UsageError

Clock = Callable[[], tuple[float, float]]


def _now() -> tuple[float, float]:
    return time.time(), time.monotonic()


class RunJournal:
    """Appends events; each is on the disk before the next thing is done, so that a record never says less than was."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Open it to go on with it; UsageError where another command is writing it.

        `clock` returns Unix and monotonic seconds; default: the machine's.
        """
        self._file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UsageError(f"another command is working on the run in {path.parent} right now") from None
        self._end_torn_line()
        self._clock = clock or _now

    def _end_torn_line(self) -> None:
        """A kill leaves half a line, which must not become one with the next."""
        size = self._file.seek(0, os.SEEK_END)
        if size and os.pread(self._file.fileno(), 1, size - 1) != b"\n":
            self._file.write("\n")

    def note(self, event: str, **particulars: Any) -> dict[str, Any]:
        """Write an event at the time of now, Unix and monotonic seconds; return it."""
        now, monotonic = self._clock()
        line = {"time": round(now, 6), "monotonic": round(monotonic, 6), "event": event, **particulars}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return line

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return all events; a torn line, as a kill leaves it, is passed over."""
    events = []
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split(
            "\n"
        )  # other ends of lines stand within texts
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and "event" in event and "time" in event:
            events.append(event)
    return events
