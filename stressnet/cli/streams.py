"""Standard streams that are there: closed ones, letters that their encoding lacks, and terminals that go away."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, TextIO


def open_standard_streams() -> None:
    """Give closed standard streams to nobody, and write what the terminal's encoding lacks as question marks.

    What is written to a terminal that goes away later goes to nobody, too: who closes the window of a run of an hour
    reads its record.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _lasting(sys.stdout), _lasting(sys.stderr)


def to_nobody(descriptor: int) -> None:
    """Have what is written there go to nobody from now on."""
    with open(os.devnull, "wb") as nobody:
        os.dup2(nobody.fileno(), descriptor)


def _lasting(stream: TextIO) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # a test's
    if not stream.isatty():
        stream.reconfigure(errors="replace")
        return stream
    raw = io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False))
    return io.TextIOWrapper(raw, stream.encoding, errors="replace", line_buffering=True)


class _Terminal(io.FileIO):
    """A terminal that takes whatever is written, also when it has hung up."""

    def write(self, content: Any) -> int:
        """Write it, or have it written to nobody from now on."""
        try:
            return super().write(content)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            to_nobody(self.fileno())
            return len(content)
