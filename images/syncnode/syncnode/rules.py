"""The rules of the chain: who may make the block of a slot, and what a valid block is.

Slots are counted from the Unix epoch, so that nodes need no common start time. The validators take turns by
slot; the slot of one that is absent stays empty and the next goes on. The signature is an HMAC with a key
that follows from the net's seed and the proposer's name: it is checked like a real one, and proves nothing
to whoever knows the seed.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Sequence
from hashlib import sha256

from .block import NO_HASH, Block
from .errors import InvalidBlock


class Rules:
    """What every node of one net agrees on before the first block."""

    def __init__(
        self,
        network: str,
        shard: int,
        seed: int,
        validators: Sequence[str],
        block_time: float,
        max_clock_drift: float = 5.0,
    ) -> None:
        self.network = network
        self.shard = shard
        self.seed = seed
        self.validators = tuple(validators)
        self.block_time = block_time
        self.max_clock_drift = max_clock_drift
        self._keys = {name: sha256(f"{seed}/validator/{name}".encode()).digest() for name in validators}
        self.genesis = self._genesis()

    def _genesis(self) -> Block:
        text = f"{self.network}/{self.shard}/{self.seed}/{','.join(self.validators)}/{self.block_time}"
        return Block.build(0, 0, NO_HASH, "", text.encode())

    def protocol(self, service: str) -> str:
        """Return the protocol id of a service of this net."""
        return f"harmony/{service}/{self.network}/{self.shard}/1.0.0"

    def slot(self, now: float) -> int:
        """Return the slot that a moment (seconds since the epoch) falls into."""
        return int(now / self.block_time)

    def proposer(self, slot: int) -> str:
        """Return the name of the validator whose turn a slot is."""
        return self.validators[slot % len(self.validators)]

    def propose(self, name: str, parent: Block, slot: int, payload_size: int) -> Block:
        """Make the signed block of a slot on a parent; its payload follows from seed, name and slot."""
        payload = random.Random(f"{self.seed}/{name}/{slot}").randbytes(payload_size)  # noqa: S311 (not a secret)
        block = Block.build(parent.height + 1, slot, parent.hash, name, payload)
        block.signature = self._sign(name, block.hash)
        return block

    def check(self, block: Block, now: float) -> None:
        """Check all that can be checked without the parent; InvalidBlock says what is wrong."""
        if block.height < 1:
            raise InvalidBlock("a second block 0")
        if not self.validators or block.proposer != self.proposer(block.slot):
            raise InvalidBlock(
                f"block {block.height}: slot {block.slot} is not the turn of {block.proposer!r}"
            )
        if not hmac.compare_digest(block.signature, self._sign(block.proposer, block.hash)):
            raise InvalidBlock(f"block {block.height}: the signature is not that of {block.proposer!r}")
        if block.slot > self.slot(now + self.max_clock_drift):
            raise InvalidBlock(f"block {block.height}: slot {block.slot} is in the future")

    @staticmethod
    def check_link(block: Block, parent: Block) -> None:
        """Check a block against its parent; InvalidBlock says what is wrong."""
        if block.parent != parent.hash:
            raise InvalidBlock(f"block {block.height}: its parent is another block")
        if block.height != parent.height + 1:
            raise InvalidBlock(f"block {block.height}: its parent has height {parent.height}")
        if block.slot <= parent.slot:
            raise InvalidBlock(
                f"block {block.height}: slot {block.slot} is not after its parent's, {parent.slot}"
            )

    def _sign(self, name: str, hash_: bytes) -> bytes:
        return hmac.digest(self._keys[name], hash_, "sha256")
