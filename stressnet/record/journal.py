"""What was done in a run and what was seen, one event a line, in the order it was: `journal.jsonl`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Clock = Callable[[], tuple[float, float]]


def _now() -> tuple[float, float]:
    return time.time(), time.monotonic()


class RunJournal:
    """Appends events; each is on the disk before the next thing is done, so that a record never says less than was."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """`clock` returns Unix and monotonic seconds; default: the machine's."""
        self._file = path.open("a", encoding="utf-8")
        self._clock = clock or _now

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
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
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
