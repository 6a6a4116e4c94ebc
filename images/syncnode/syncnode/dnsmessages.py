"""The messages of the legacy sync, with the field numbers of service `downloader.Downloader`: one rpc, `Query`."""

from __future__ import annotations

from dataclasses import dataclass

from . import wire

METHOD = "/downloader.Downloader/Query"

BLOCK_HASHES, BLOCKS, NEW_BLOCK, HEIGHT, REGISTER, REGISTER_TIMEOUT, UNKNOWN, HEADERS, BY_HEIGHT = range(9)
SUCCESS, FAIL, IN_SYNC = range(3)

NAMES = {
    BLOCK_HASHES: "block_hashes",
    BLOCKS: "block",
    NEW_BLOCK: "new_block",
    HEIGHT: "block_height",
    REGISTER: "register",
    REGISTER_TIMEOUT: "register_timeout",
    HEADERS: "block_header",
    BY_HEIGHT: "block_by_height",
}
"""As the label `method` of the server's counter names them."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question; which fields count depends on the kind."""

    kind: int
    hashes: tuple[bytes, ...] = ()
    peer_hash: bytes = b""
    block_hash: bytes = b""
    ip: str = ""
    port: str = ""
    size: int = 0
    register_with_signature: bool = False
    with_signatures: bool = False
    """Of a question for blocks: each comes with its signature."""
    heights: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Return the message."""
        return b"".join(
            (
                wire.number(1, self.kind),
                *(wire.data(2, hash_) for hash_ in self.hashes),
                _unless_empty(3, self.peer_hash),
                _unless_empty(4, self.block_hash),
                _unless_empty(5, self.ip.encode()),
                _unless_empty(6, self.port.encode()),
                wire.number(7, self.size),
                wire.number(8, self.register_with_signature),
                wire.number(9, self.with_signatures),
                wire.packed(10, self.heights) if self.heights else b"",
            )
        )

    @classmethod
    def decode(cls, buffer: bytes) -> Query:
        """Read a message; ProtocolError where it is none."""
        message = wire.Message(buffer)
        return cls(
            message.number(1),
            tuple(message.all(2)),
            message.data(3),
            message.data(4),
            message.text(5),
            message.text(6),
            message.number(7),
            bool(message.number(8)),
            bool(message.number(9)),
            tuple(message.numbers(10)),
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    payload: tuple[bytes, ...] = ()
    kind: int = SUCCESS
    height: int = 0

    def encode(self) -> bytes:
        """Return the message."""
        payload = b"".join(wire.data(1, item) for item in self.payload)
        return payload + wire.number(2, self.kind) + wire.number(3, self.height)

    @classmethod
    def decode(cls, buffer: bytes) -> Reply:
        """Read a message; ProtocolError where it is none."""
        message = wire.Message(buffer)
        return cls(tuple(message.all(1)), message.number(2), message.number(3))


def signed(body: bytes, signature: bytes) -> bytes:
    """Return a block with its signature, as one item of a payload."""
    return wire.data(1, body) + wire.data(2, signature)


def unsigned(item: bytes) -> tuple[bytes, bytes]:
    """Return body and signature of what `signed` made; ProtocolError where it is none."""
    message = wire.Message(item)
    return message.data(1), message.data(2)


def _unless_empty(field: int, value: bytes) -> bytes:
    return wire.data(field, value) if value else b""
