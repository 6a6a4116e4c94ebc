"""What the agent did and what happened to it, one event a line, in the order it was: `journal.jsonl`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stressnet.agent.complaints import complain

Note = Callable[..., None]
"""Write an event, with its particulars, into the journal."""


class Journal:
    """Appends events to a file. A full disk stops the writing, and never the agent."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "journal.jsonl"

    def note(self, event: str, **particulars: Any) -> None:
        """Write an event with its particulars, at the time of now: Unix and monotonic seconds."""
        line = {"time": round(time.time(), 6), "monotonic": round(time.monotonic(), 6), "event": event}
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({**line, **particulars}, ensure_ascii=False) + "\n")
        except OSError as error:
            complain(f"the journal cannot be written: {error}; lost: {line} {particulars}")
