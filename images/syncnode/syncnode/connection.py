"""The multiplexer: many streams on one TCP connection, greeted by HELLO, kept honest by PING.

Ends that dialled use odd stream numbers, ends that accepted even ones. Stream 0 is the connection itself:
a RESET there says why it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from . import frames
from .errors import ProtocolError, StreamReset
from .stream import Stream

_MOST_QUEUED = 4
"""Windows of bytes that may wait for the socket: data waits in its streams, but not so answers to what a peer asks."""

Handler = Callable[[Stream], int | None]
"""Called with an inbound stream; returns None to accept it, or the code to refuse it with."""


class Connection(asyncio.Protocol):
    """One TCP connection to a peer."""

    def __init__(
        self,
        *,
        dialled: bool,
        hello: frames.Hello,
        handlers: dict[str, Handler],
        on_hello: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
        window: int = 262144,
        keepalive: tuple[float, float] = (30.0, 10.0),
        handshake_timeout: float = 60.0,
        max_streams: int = 256,
    ) -> None:
        self.dialled = dialled
        self.local = hello
        self.remote: frames.Hello | None = None
        self.host = ""
        self.closed = False
        self.close_code: int | None = None
        self.close_reason = ""
        self.to_blame = False
        """Whether it ended because the peer broke the rules."""
        self.bytes_read = self.bytes_written = 0
        self.streams: dict[int, Stream] = {}
        self._handlers = handlers
        self._on_hello = on_hello
        self._on_close = on_close
        self._window = window
        self._keepalive = keepalive
        self._handshake_timeout = handshake_timeout
        self._max_streams = max_streams
        self._refused = 0
        self._next = 1 if dialled else 2
        self._decoder = frames.Decoder()
        self._transport: asyncio.Transport | None = None
        self._room: asyncio.Future[None] | None = None
        self._alive_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._heard = self._moved = 0.0
        self._flushed = 0

    @property
    def peer_id(self) -> str:
        """Return the peer's id; empty before its greeting."""
        return self.remote.peer_id if self.remote else ""

    @property
    def writable(self) -> bool:
        """Tell whether the socket takes more now."""
        return self._room is None and not self.closed

    async def drained(self) -> None:
        """Wait until the socket takes more."""
        while self._room is not None and not self.closed:
            await asyncio.shield(self._room)

    async def open(self, protocol: str, timeout: float) -> Stream:
        """Open a stream and wait for the ACK; StreamReset where it is refused, TimeoutError on silence."""
        if self.closed:
            raise StreamReset(frames.GOING, "the connection is closed")
        number, self._next = self._next, self._next + 2
        stream = Stream(self, number, protocol, self._window)
        self.streams[number] = stream
        self.send(frames.OPEN, number, protocol.encode())
        try:
            async with asyncio.timeout(timeout):
                await stream.opened()
        except BaseException:
            stream.reset(frames.CANCELLED)
            raise
        return stream

    def send(self, kind: int, stream: int, payload: bytes | memoryview = b"") -> None:
        """Send one frame; it is lost where the connection is over."""
        if self._transport is None or self.closed:
            return
        data = frames.frame(kind, stream, payload)
        self.bytes_written += len(data)
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > _MOST_QUEUED * self._window:
            self._blame("it asks for more than it reads")

    def send_reset(self, stream: int, code: int) -> None:
        """Send RESET for one stream."""
        self.send(frames.RESET, stream, frames.U32.pack(code))

    def forget(self, number: int) -> None:
        """Drop a stream that is over."""
        self.streams.pop(number, None)

    def close(self, code: int, reason: str = "") -> None:
        """End the connection and all its streams, and tell the peer why."""
        if self.closed:
            return
        self.send_reset(0, code)
        if not self.closed:
            self._end(code, reason or frames.reason(code))
            self._hang_up()

    def probe(self) -> None:
        """Send a PING now: a peer that has forgotten the connection answers with a reset."""
        self.send(frames.PING, 0, frames.U32.pack(0))

    def abort(self, reason: str) -> None:
        """End the connection without waiting for what is still to be sent."""
        if not self.closed:
            self._end(None, reason)
            if self._transport is not None:
                self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        if self.closed:
            self._transport.abort()
            return
        self.host = str(transport.get_extra_info("peername", ("",))[0])
        self.send(frames.HELLO, 0, self.local.encode())
        loop = asyncio.get_running_loop()
        self._heard = self._moved = loop.time()
        self._watch(self._keepalive[0])
        self._end_timer = loop.call_later(self._handshake_timeout, self.abort, "no greeting in time")

    def data_received(self, data: bytes) -> None:
        """Take frames in; a peer that sends what is no frame loses the connection."""
        self._heard = asyncio.get_running_loop().time()
        self.bytes_read += len(data)
        try:
            for kind, number, payload in self._decoder.feed(data):
                if self.closed:
                    return
                self._take(kind, number, payload)
        except ProtocolError as error:
            self._blame(str(error))

    def pause_writing(self) -> None:
        """Hold the writers: the socket is full."""
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        """Let the writers go on."""
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def connection_lost(self, exc: Exception | None) -> None:
        """End everything that ran on the connection."""
        if self._end_timer is not None:
            self._end_timer.cancel()
        self._end(None, str(exc) if exc else "the peer closed the connection")

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        if self.remote is None and kind not in (frames.HELLO, frames.RESET):
            raise ProtocolError("the first frame is no greeting")
        if number == 0:
            self._take_own(kind, payload)
        elif kind == frames.OPEN:
            self._accept(number, payload)
        elif (stream := self.streams.get(number)) is not None:
            self._take_for(stream, kind, payload)
        # Frames for a stream that is gone crossed our reset or close on the way.

    def _take_own(self, kind: int, payload: bytes) -> None:
        if kind == frames.HELLO and self.remote is None:
            self.remote = frames.Hello.decode(payload)
            if self._end_timer is not None:
                self._end_timer.cancel()
            self._on_hello(self)
        elif kind == frames.RESET:
            code = frames.code(payload)
            self._end(code, f"the peer says: {frames.reason(code)}")
            self._hang_up()
        elif kind == frames.PING:
            self.send(frames.PONG, 0, frames.U32.pack(frames.code(payload)))
        elif kind != frames.PONG:
            raise ProtocolError(f"a frame of type {kind} for the connection itself")

    def _accept(self, number: int, payload: bytes) -> None:
        if number % 2 == self._next % 2 or number in self.streams:
            raise ProtocolError(f"stream {number} cannot be opened")
        protocol = payload.decode(errors="replace")
        handler = self._handlers.get(protocol)
        if handler is None or len(self.streams) >= self._max_streams:
            self._refused += 1
            if self._refused > self._max_streams:
                raise ProtocolError(f"{self._refused} streams in a row that had to be refused")
            self.send_reset(number, frames.UNKNOWN_PROTOCOL if handler is None else frames.REFUSED)
            return
        self._refused = 0
        stream = Stream(self, number, protocol, self._window)
        self.streams[number] = stream
        stream.accepted = True
        refusal = handler(stream)
        if refusal is None:
            self.send(frames.ACK, number)
        else:
            stream.reset(refusal)

    def _take_for(self, stream: Stream, kind: int, payload: bytes) -> None:
        if kind == frames.DATA:
            stream.received(payload)
        elif kind == frames.WINDOW:
            stream.granted(frames.code(payload))
        elif kind == frames.CLOSE:
            stream.remote_closed()
        elif kind == frames.RESET:
            code = frames.code(payload)
            stream.fail(StreamReset(code, f"reset by the peer: {frames.reason(code)}"))
        elif kind == frames.ACK and not stream.accepted:
            stream.acked()
        else:
            raise ProtocolError(f"a frame of type {kind} for stream {stream.number}")

    def _end(self, code: int | None, reason: str) -> None:
        if self.closed:
            return
        self.closed = True
        self.close_code, self.close_reason = code, reason
        for timer in (self._alive_timer, self._end_timer):
            if timer is not None:
                timer.cancel()
        self.resume_writing()
        for stream in list(self.streams.values()):
            stream.fail(StreamReset(frames.GOING, f"connection lost: {reason}"))
        self._on_close(self)

    def _blame(self, reason: str) -> None:
        """End the connection because of what the peer does."""
        if not self.closed and not self.to_blame:
            self.to_blame = True
            self.close(frames.BAD_DATA, reason)

    def _hang_up(self) -> None:
        """Close the socket once what waits for it is sent, or when the peer does not take it."""
        if self._transport is not None:
            self._transport.close()
            self._end_timer = asyncio.get_running_loop().call_later(self._keepalive[1], self._transport.abort)

    def _watch(self, delay: float) -> None:
        self._alive_timer = asyncio.get_running_loop().call_later(delay, self._check_alive)

    def _check_alive(self) -> None:
        interval, timeout = self._keepalive
        now = asyncio.get_running_loop().time()
        idle, stuck = now - self._heard, now - self._last_move(now)
        if idle >= interval + timeout:
            self.abort(f"silent for {idle:.1f} s")
        elif stuck >= interval + timeout:
            self.abort(f"it took nothing of what waits for it for {stuck:.1f} s")
        elif idle >= interval * 0.99:
            self.probe()
            self._watch(timeout)
        else:
            self._watch(interval - idle)

    def _last_move(self, now: float) -> float:
        """Return when the socket last had room, or took some of what waits for it, as far as it was looked at."""
        assert self._transport is not None
        flushed = self.bytes_written - self._transport.get_write_buffer_size()
        if self.writable or flushed != self._flushed:
            self._flushed, self._moved = flushed, now
        return self._moved
