"""A block: a header that names its parent by hash, a payload that the header commits to, and a signature."""

from __future__ import annotations

from hashlib import sha256

from . import wire
from .errors import InvalidBlock

HASH_SIZE = 32
NO_HASH = bytes(HASH_SIZE)


class Block:
    """One block; the hash is that of the header's bytes, and the signature covers the hash."""

    __slots__ = (
        "hash",
        "header",
        "height",
        "parent",
        "payload",
        "payload_hash",
        "proposer",
        "signature",
        "slot",
    )

    def __init__(self, header: bytes, payload: bytes, signature: bytes) -> None:
        message = wire.Message(header)
        self.header = header
        self.payload = payload
        self.signature = signature
        self.height = message.number(1)
        self.slot = message.number(2)
        self.parent = message.data(3)
        self.payload_hash = message.data(4)
        self.proposer = message.text(5)
        self.hash = sha256(header).digest()

    @classmethod
    def build(cls, height: int, slot: int, parent: bytes, proposer: str, payload: bytes) -> Block:
        """Make a block that has no signature yet."""
        header = (
            wire.number(1, height)
            + wire.number(2, slot)
            + wire.data(3, parent)
            + wire.data(4, sha256(payload).digest())
            + wire.data(5, proposer.encode())
        )
        return cls(header, payload, b"")

    @classmethod
    def decode(cls, body: bytes, signature: bytes) -> Block:
        """Read what `body` wrote; ProtocolError where it is none, InvalidBlock where its parts disagree."""
        message = wire.Message(body)
        block = cls(message.data(1), message.data(2), signature)
        if len(block.parent) != HASH_SIZE:
            raise InvalidBlock(f"block {block.height}: the parent's hash has {len(block.parent)} bytes")
        if sha256(block.payload).digest() != block.payload_hash:
            raise InvalidBlock(f"block {block.height}: the payload is not the one that the header names")
        return block

    def body(self) -> bytes:
        """Return header and payload as sent and stored, without the signature."""
        return wire.data(1, self.header) + wire.data(2, self.payload)

    def better_than(self, height: int, hash_: bytes) -> bool:
        """Tell whether a chain that ends here wins over one that ends there: longer, then lower hash."""
        return better(self.height, self.hash, height, hash_)


def better(height: int, hash_: bytes, other_height: int, other_hash: bytes) -> bool:
    """Tell whether the first tip wins: the longer chain, and of two as long the lower hash."""
    return height > other_height or (height == other_height and hash_ < other_hash)
