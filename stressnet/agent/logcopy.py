"""Copy a log no further than until the line that says that its node is ready."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import BinaryIO

from stressnet.agent.matching import TooSlow

MOST_BYTES = 64 * 2**20
"""What is copied at most: a node that talks for ever and is never ready must not fill the disk."""
_LONGEST_LINE = 64 * 2**10
"""Longer lines are not searched here: they would be searched again with every piece that comes."""


async def copy_until(
    chunks: AsyncIterable[bytes],
    is_in: Callable[[bytes], Awaitable[bool]],
    file: BinaryIO,
    most: int = MOST_BYTES,
) -> None:
    """Write chunks to `file` until the line that is looked for has been written, or `most` bytes.

    No further either once the search takes too long: the prober will say so.

    The prober reads the file from the start of a line that is no later than the one that is searched here, so
    it finds whatever is found here.
    """
    line, copied = b"", 0
    async for chunk in chunks:
        file.write(chunk)
        copied += len(chunk)
        fresh = line + chunk
        try:
            if len(line) < _LONGEST_LINE and await is_in(fresh):
                return
        except TooSlow:
            return
        if copied >= most:
            file.write(f"\nstressnet: the log is read no further than {copied} bytes\n".encode())
            return
        line = _unfinished(fresh)


def _unfinished(text: bytes) -> bytes:
    """Return what follows the last end of a line; of a line that is too long, only that it is."""
    rest = text[text.rfind(b"\n") + 1 :]
    return rest if len(rest) < _LONGEST_LINE else rest[-_LONGEST_LINE:]
