"""One stream of a connection: ordered bytes both ways, flow control by windows, half-close and reset."""

from __future__ import annotations

import asyncio
from typing import Protocol

from . import frames
from .errors import ProtocolError, StreamClosed, StreamReset

_CHUNK = 16 * 1024  # small enough that streams of one connection take turns
_MOST_CREDIT = 2**32 - 1


class Carrier(Protocol):
    """What a stream needs of the connection that it is part of."""

    closed: bool
    host: str
    remote: frames.Hello | None

    @property
    def peer_id(self) -> str:
        """Return the peer's id."""

    @property
    def writable(self) -> bool:
        """Tell whether the socket takes more now."""

    async def drained(self) -> None:
        """Wait until the socket takes more."""

    def send(self, kind: int, stream: int, payload: bytes | memoryview = b"") -> None:
        """Send one frame."""

    def send_reset(self, stream: int, code: int) -> None:
        """Send RESET for one stream."""

    def forget(self, number: int) -> None:
        """Drop a stream that is over."""

    def close(self, code: int, reason: str = "") -> None:
        """End the connection and all its streams."""


class Stream:
    """One end of a stream; made by `Connection.open` or handed to a protocol's handler."""

    def __init__(self, connection: Carrier, number: int, protocol: str, window: int) -> None:
        self.connection = connection
        self.number = number
        self.protocol = protocol
        self.accepted = False
        self._window = window
        self._credit = window
        self._granted = window
        self._consumed = 0
        self._inbox = bytearray()
        self._error: StreamReset | None = None
        self._local_closed = False
        self._remote_closed = False
        self._changed: set[asyncio.Future[None]] = set()

    @property
    def alive(self) -> bool:
        """Tell whether nothing has ended the stream in either direction."""
        return self._error is None and not self._local_closed and not self._remote_closed

    async def read_exactly(self, size: int) -> bytes:
        """Read that many bytes; StreamClosed where the stream ends before, StreamReset where it was cut."""
        if len(self._inbox) >= size:
            return bytes(self._take(size))
        out = bytearray()
        while len(out) < size:
            if not self._inbox:
                if self._error is not None:
                    raise self._again(self._error)
                if self._remote_closed:
                    raise StreamClosed("the peer closed the stream")
                await self._wait()
                continue
            out += self._take(min(size - len(out), len(self._inbox)))
        return bytes(out)

    async def write(self, data: bytes) -> None:
        """Send all of it, waiting for window and socket; StreamReset where the stream is over."""
        view = memoryview(data)
        while view:
            await self.connection.drained()
            self._check_writable()
            if self._credit == 0:
                await self._wait()
                continue
            size = min(len(view), self._credit, _CHUNK)
            self._credit -= size
            self.connection.send(frames.DATA, self.number, view[:size])
            view = view[size:]

    def write_now(self, data: bytes) -> bool:
        """Send a small message at once, or not at all: False where window or socket have no room for it."""
        if (
            not self.alive
            or len(data) > min(self._credit, frames.MAX_PAYLOAD)
            or not self.connection.writable
        ):
            return False
        self._credit -= len(data)
        self.connection.send(frames.DATA, self.number, data)
        return True

    def close(self) -> None:
        """Finish writing; the peer may go on."""
        if self._error is None and not self._local_closed:
            self._local_closed = True
            self.connection.send(frames.CLOSE, self.number)
            self._forget_if_done()

    def reset(self, code: int = frames.CANCELLED) -> None:
        """End the stream at once, in both directions, and tell the peer why."""
        if self._error is None and not (self._local_closed and self._remote_closed):
            self.connection.send_reset(self.number, code)
            self.fail(StreamReset(code, f"reset here: {frames.reason(code)}"))

    async def opened(self) -> None:
        """Wait until the peer has accepted the stream; StreamReset where it refused."""
        while not self.accepted:
            if self._error is not None:
                raise self._again(self._error)
            await self._wait()

    # What the connection tells the stream.

    def acked(self) -> None:
        """Take in the peer's ACK."""
        self.accepted = True
        self._wake()

    def received(self, data: bytes) -> None:
        """Take in DATA; ProtocolError where the peer sent more than it was granted."""
        if self._remote_closed:
            raise ProtocolError("data after the stream was closed")
        self._granted -= len(data)
        if self._granted < 0:
            raise ProtocolError("more data than the window allows")
        self._inbox += data
        self._wake()

    def remote_closed(self) -> None:
        """Take in CLOSE: no more data will come."""
        self._remote_closed = True
        self._wake()
        self._forget_if_done()

    def granted(self, size: int) -> None:
        """Take in WINDOW: so much more may be sent; ProtocolError beyond what the number can say."""
        self._credit += size
        if self._credit > _MOST_CREDIT:
            raise ProtocolError("a window beyond 4 GiB")
        self._wake()

    def fail(self, error: StreamReset) -> None:
        """End the stream without telling the peer: it knows, or cannot be told."""
        if self._error is None:
            self._error = error
            self.connection.forget(self.number)
            self._wake()

    def _take(self, size: int) -> bytearray:
        taken = self._inbox[:size]
        del self._inbox[:size]
        self._consumed += size
        if self._consumed * 2 >= self._window and self._error is None and not self._remote_closed:
            self._granted += self._consumed
            self.connection.send(frames.WINDOW, self.number, frames.U32.pack(self._consumed))
            self._consumed = 0
        return taken

    @staticmethod
    def _again(error: StreamReset) -> StreamReset:
        """Return an error anew: one that is kept keeps what was being read when it was raised, up to 20 MiB."""
        return StreamReset(error.code, str(error))

    def _check_writable(self) -> None:
        if self._error is not None:
            raise self._again(self._error)
        if self._local_closed:
            raise StreamReset(frames.CANCELLED, "the stream was closed here")

    def _forget_if_done(self) -> None:
        if self._local_closed and self._remote_closed:
            self.connection.forget(self.number)

    def _wake(self) -> None:
        for future in self._changed:
            if not future.done():
                future.set_result(None)
        self._changed.clear()

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.add(future)
        try:
            await future
        finally:
            self._changed.discard(future)
