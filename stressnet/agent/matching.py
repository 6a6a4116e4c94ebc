"""Search logs for patterns in a process of its own: `re` cannot be interrupted, and some patterns backtrack for ever.

The helper is ended by the kernel when one search has used up its time, so the agent never waits for more than that.
Time is the helper's own CPU time: on a machine that is busy a good pattern is as good as ever.
"""

from __future__ import annotations

import asyncio
import re
import signal
import struct
import sys
from asyncio.subprocess import PIPE, Process

_LIMIT_S = 2.0
"""CPU time of one search. A simple pattern takes some ms for the most that is searched at a time, 1 MiB."""
_SIZES = struct.Struct("<II")


class TooSlow(Exception):
    """A pattern took too long; it is not tried again."""

    def __init__(self, pattern: str) -> None:
        super().__init__(
            f"the search of its log for {pattern!r} took more than {_LIMIT_S:g} s of CPU time, and was given up:"
            " write the pattern without repetitions within repetitions"
        )


class Matcher:
    """Searches texts, one after the other, in a helper that is started at the first."""

    def __init__(self) -> None:
        self._helper: Process | None = None
        self._turn = asyncio.Lock()
        self._slow: set[str] = set()

    async def finds(self, pattern: str, text: bytes) -> bool:
        """Tell whether the pattern matches somewhere in the text, line by line; TooSlow where that takes too long."""
        async with self._turn:
            if pattern in self._slow:
                raise TooSlow(pattern)
            try:
                return await self._ask(pattern.encode(), text)
            except (asyncio.IncompleteReadError, ConnectionError):
                ended, self._helper = self._helper, None
                if ended is None or await ended.wait() != -signal.SIGVTALRM:
                    return False  # somebody ended it: whoever asks again has a new one
                self._slow.add(pattern)
                raise TooSlow(pattern) from None
            except BaseException:
                self._end()  # its answer to nobody would be taken for that to the next question
                raise

    async def _ask(self, pattern: bytes, text: bytes) -> bool:
        if self._helper is None:
            command = (sys.executable, "-m", "stressnet.agent.matching")
            self._helper = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        asked, answered = self._helper.stdin, self._helper.stdout
        assert asked is not None
        assert answered is not None
        asked.write(_SIZES.pack(len(pattern), len(text)) + pattern + text)
        await asked.drain()
        return await answered.readexactly(1) == b"+"

    def _end(self) -> Process | None:
        ended, self._helper = self._helper, None
        if ended is not None and ended.returncode is None:
            ended.kill()
        return ended

    async def close(self) -> None:
        """End the helper."""
        ended = self._end()
        if ended is not None:
            await ended.wait()


def main() -> None:
    """`python -m stressnet.agent.matching`: answer questions until the input ends."""
    asked, answered = sys.stdin.buffer, sys.stdout.buffer
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while head := asked.read(_SIZES.size):
        first, second = _SIZES.unpack(head)
        pattern, text = asked.read(first).decode(), asked.read(second).decode(errors="replace")
        # Left to the kernel: a handler in Python would not run before the search has ended.
        signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
        found = re.search(pattern, text, re.MULTILINE) is not None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        answered.write(b"+" if found else b"-")
        answered.flush()


if __name__ == "__main__":
    main()
