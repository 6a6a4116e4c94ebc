"""JSON lines between controller and agent: one request, one answer, in turn, on a stream of bytes.

Some answers are followed by a file, and some calls end the lines for good: see `FILES` and `STREAMS`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, BinaryIO

from stressnet.errors import AgentError

LINE_LIMIT = 64 * 1024 * 1024
"""Longest line, bytes: the status of 10,000 nodes is about 4 MB."""

FILES = frozenset({"samples", "capture_take"})
"""Calls whose answer is followed by so many bytes as it says."""
STREAMS = frozenset({"dial", "relay"})
"""Calls after which the stream is that of a port inside a node's namespace, or of a relay's API, to its end."""

_CHUNK = 1 << 18
_HALF_OPEN_S = 5.0
"""How long one direction may go on after the other has ended."""
_PATIENCE_S = 120.0
"""How long one answer may take: stopping nodes takes as long as their kinds allow them."""


class Connection:
    """One stream to the agent, seen from the controller."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        leave: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        """`leave` gets what a `with` has left in order, and can serve again, instead of `close`."""
        self.reader = reader
        self.writer = writer
        self._leave = leave
        self._in_turn = True
        """Whether nothing is to be read before the next request."""

    async def call(self, name: str, **arguments: Any) -> Any:
        """Send one request and return its result; AgentError carries the agent's words."""
        line = json.dumps({"call": name, "args": arguments}).encode() + b"\n"
        self._in_turn = False
        try:
            async with asyncio.timeout(_PATIENCE_S):
                self.writer.write(line)
                await self.writer.drain()
                answer = await self.reader.readline()
        except TimeoutError:
            raise AgentError(f"the agent has not answered {name!r} within {_PATIENCE_S:g} s") from None
        except (ConnectionError, asyncio.IncompleteReadError, ValueError) as error:
            raise AgentError(f"the agent went away during {name!r}: {error}") from error
        if not answer.endswith(b"\n"):
            raise AgentError(f"the agent went away during {name!r}")
        reply = json.loads(answer)
        self._in_turn = "error" in reply or name not in FILES | STREAMS
        if "error" in reply:
            raise AgentError(reply["error"], hints=reply.get("hints", ()))
        return reply["result"]

    async def receive(self, size: int, file: BinaryIO) -> None:
        """Write the file that follows an answer into another; AgentError where the stream ends before."""
        while size:
            chunk = await self.reader.read(min(size, _CHUNK))
            if not chunk:
                raise AgentError("the agent went away while it sent a file")
            file.write(chunk)
            size -= len(chunk)
        self._in_turn = True

    def can_serve(self) -> bool:
        """Tell whether another request can be sent: what was asked for has been read, and the agent is not known
        to have gone."""
        return self._in_turn and not self.reader.at_eof() and not self.writer.is_closing()

    async def close(self) -> None:
        """Close the stream."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._leave is not None and self.can_serve():
            await self._leave(self)
        else:
            await self.close()


async def carry(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry bytes both ways until both have ended, or a while after one has: a far side may never close."""
    ways = {asyncio.ensure_future(_pump(near[0], far[1])), asyncio.ensure_future(_pump(far[0], near[1]))}
    try:
        _, going = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        if going:
            await asyncio.wait(going, timeout=_HALF_OPEN_S)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        near[1].close()
        far[1].close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until they end, then say so to the other side."""
    with suppress(ConnectionError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
