"""Whole messages on a stream: four bytes of little-endian length, then the message."""

from __future__ import annotations

import asyncio
import struct

from .errors import ProtocolError
from .stream import Stream

LENGTH = struct.Struct("<I")


class Framed:
    """Sends and receives messages on one stream; messages of several senders never mix."""

    def __init__(self, stream: Stream, limit: int) -> None:
        self.stream = stream
        self._limit = limit
        self._turn = asyncio.Lock()

    async def receive(self) -> bytes:
        """Read one message; ProtocolError where it claims to be longer than the limit."""
        (size,) = LENGTH.unpack(await self.stream.read_exactly(LENGTH.size))
        if size > self._limit:
            raise ProtocolError(f"a message of {size} bytes, above the limit of {self._limit}")
        return await self.stream.read_exactly(size)

    async def send(self, message: bytes) -> None:
        """Write one message."""
        async with self._turn:
            await self.stream.write(LENGTH.pack(len(message)) + message)

    async def send_half(self, message: bytes) -> None:
        """Write the length of a message and half of it: a fault, for which the reader waits in vain."""
        async with self._turn:
            await self.stream.write(LENGTH.pack(len(message)) + message[: len(message) // 2])

    def send_now(self, message: bytes) -> bool:
        """Write one small message at once, or return False."""
        return not self._turn.locked() and self.stream.write_now(LENGTH.pack(len(message)) + message)
