"""What the agent has to say of itself, into its log: on the disk that is full, say, and then it says nothing."""

from __future__ import annotations

import os
from contextlib import suppress


def complain(words: str) -> None:
    """Write a line to standard error; what cannot be written is lost, and nothing else happens."""
    with suppress(OSError):  # not through sys.stderr, which would keep the line and fail again at every other
        os.write(2, f"agent: {words}\n".encode())
