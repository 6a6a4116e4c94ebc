"""The log: one line an event on stderr, as logfmt."""

from __future__ import annotations

import contextlib
import os
import time

LEVELS = ("debug", "info", "warn", "error")


class Log:
    """Writes events at or above a level."""

    def __init__(self, level: str = "info") -> None:
        self._least = LEVELS.index(level)

    def debug(self, event: str, **fields: object) -> None:
        """Write what only matters when looking for a fault."""
        self._write(0, event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Write a change of state."""
        self._write(1, event, fields)

    def warn(self, event: str, **fields: object) -> None:
        """Write what a peer did wrong, or what failed and is tried again."""
        self._write(2, event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Write what this node did wrong."""
        self._write(3, event, fields)

    def _write(self, level: int, event: str, fields: dict[str, object]) -> None:
        if level < self._least:
            return
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        text = "".join(f" {key}={_value(value)}" for key, value in fields.items())
        tell(f"ts={stamp} level={LEVELS[level]} event={event}{text}")


def tell(line: str) -> None:
    """Write a line to stderr, or not: a full disk under the log must not stop the node."""
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="backslashreplace") + b"\n")


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    text = str(value)
    if text and text.isprintable() and not any(char in text for char in ' "='):
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text) + '"'
