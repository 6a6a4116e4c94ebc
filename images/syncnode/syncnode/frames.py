"""The frames of the multiplexer: a byte of type, four of stream number, four of length, then the payload."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from . import wire
from .errors import ProtocolError

OPEN, ACK, DATA, CLOSE, RESET, WINDOW, PING, PONG, HELLO = range(1, 10)

HEADER = struct.Struct("<BII")
U32 = struct.Struct("<I")
MAX_PAYLOAD = 64 * 1024

# Codes of RESET. On stream 0 they end the connection.
(
    CANCELLED,
    UNKNOWN_PROTOCOL,
    REFUSED,
    EXISTS,
    BAD_DATA,
    FLOW,
    INTERNAL,
    DUPLICATE,
    BANNED,
    FULL,
    OTHER_NET,
    GOING,
) = range(12)
REASONS = (
    "cancelled",
    "unknown protocol",
    "refused",
    "stream exists",
    "bad data",
    "window exceeded",
    "internal error",
    "duplicate connection",
    "banned",
    "too many connections",
    "another net",
    "going away",
)


def reason(code: int) -> str:
    """Return what a code of RESET means."""
    return REASONS[code] if code < len(REASONS) else f"code {code}"


def frame(kind: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """Encode one frame."""
    return HEADER.pack(kind, stream, len(payload)) + payload


def reset(stream: int, code: int) -> bytes:
    """Encode a RESET with its code."""
    return frame(RESET, stream, U32.pack(code))


def code(payload: bytes) -> int:
    """Decode the number that RESET, WINDOW and PING carry."""
    if len(payload) != U32.size:
        raise ProtocolError("a frame with a number of the wrong size")
    return int(U32.unpack(payload)[0])


class Decoder:
    """Cuts a byte stream into frames, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield (type, stream, payload) of each whole frame; ProtocolError on an impossible one."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        try:
            while end - at >= HEADER.size:
                kind, stream, size = HEADER.unpack_from(data, at)
                if not OPEN <= kind <= HELLO or size > MAX_PAYLOAD:
                    raise ProtocolError(f"no frame starts with type {kind} and length {size}")
                start = at + HEADER.size
                if start + size > end:
                    break
                at = start + size
                yield kind, stream, bytes(data[start:at])
        finally:
            self._rest = bytes(data[at:])


class Hello:
    """The first frame in each direction of a connection: who is there, and of which net."""

    __slots__ = ("address", "dial", "genesis", "instance", "name", "peer_id")

    def __init__(
        self, peer_id: str, name: str, address: str, genesis: bytes, instance: int, dial: int
    ) -> None:
        self.peer_id = peer_id
        self.name = name
        self.address = address
        self.genesis = genesis
        self.instance = instance
        self.dial = dial

    def encode(self) -> bytes:
        """Return the payload of the frame."""
        return (
            wire.data(1, self.peer_id.encode())
            + wire.data(2, self.name.encode())
            + wire.data(3, self.address.encode())
            + wire.data(4, self.genesis)
            + wire.number(5, self.instance)
            + wire.number(6, self.dial)
        )

    @classmethod
    def decode(cls, payload: bytes) -> Hello:
        """Read what `encode` wrote."""
        message = wire.Message(payload)
        hello = cls(
            message.text(1),
            message.text(2),
            message.text(3),
            message.data(4),
            message.number(5),
            message.number(6),
        )
        if not hello.peer_id:
            raise ProtocolError("a greeting without a peer id")
        return hello
