"""The chain that this node believes in, and the few blocks beside it that may yet win.

The longest chain wins, and of two as long the one whose last block has the lower hash. Everything here is
synchronous: between two awaits the chain is always whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .block import HASH_SIZE, Block
from .errors import InvalidBlock
from .rules import Rules
from .store import Store

EXTENDED, SWITCHED, SIDE, KNOWN, ORPHAN = "extended", "switched", "side", "known", "orphan"


class Chain:
    """All blocks from genesis to the head, on disk; and side blocks in memory."""

    def __init__(self, store: Store, rules: Rules, *, max_reorg: int = 1000, max_side: int = 256) -> None:
        self.rules = rules
        self.max_reorg = max_reorg
        self._max_side = max_side
        self._store = store
        self._side: dict[bytes, Block] = {}
        self.head = store.block(len(store) - 1)
        self.changed_at = time.monotonic()
        self.synced_at = float("-inf")
        """When blocks last came by sync, not by gossip or from here."""
        self.reorgs = 0
        self.on_change: list[Callable[[], None]] = []

    @property
    def height(self) -> int:
        """Return the height of the head."""
        return self.head.height

    def hash_at(self, height: int) -> bytes:
        """Return the hash of the block at a height, empty where there is none."""
        return self._store.hash(height) if 0 <= height <= self.head.height else b""

    def block_at(self, height: int) -> Block | None:
        """Read the block at a height, None where there is none."""
        return self._store.block(height) if 0 <= height <= self.head.height else None

    def raw_at(self, height: int) -> tuple[bytes, bytes] | None:
        """Read body and signature of the block at a height, None where there is none."""
        return self._store.raw(height) if 0 <= height <= self.head.height else None

    def raw_of(self, hash_: bytes) -> tuple[bytes, bytes] | None:
        """Read body and signature of a block by its hash, side blocks too."""
        side = self._side.get(hash_)
        if side is not None:
            return side.body(), side.signature
        height = self._store.find(hash_)
        return self._store.raw(height) if height >= 0 else None

    def height_of(self, hash_: bytes) -> int:
        """Return the height of the block with that hash in the chain, -1 where it is not in the chain."""
        return self._store.find(hash_) if len(hash_) == HASH_SIZE else -1

    def knows(self, height: int, hash_: bytes) -> bool:
        """Tell whether a block is here, in the chain or beside it."""
        return self.hash_at(height) == hash_ or hash_ in self._side

    def add(self, block: Block) -> str:
        """Take one block in; return what became of it. InvalidBlock where it breaks the rules."""
        if self.knows(block.height, block.hash):
            return KNOWN
        self.rules.check(block, time.time())
        if block.parent == self.head.hash:
            self.rules.check_link(block, self.head)
            self._append([block])
            return EXTENDED
        parent = self._parent(block)
        if parent is None:
            return ORPHAN
        self.rules.check_link(block, parent)
        return self._beside(block)

    def extend(self, blocks: Sequence[Block]) -> int:
        """Append blocks that follow each other, skipping those already here; return how many were new.

        The rules that need no parent must have been checked (`rules.check`). InvalidBlock where one does not
        link to the one before it; nothing is taken in then.
        """
        fresh = [block for block in blocks if not self.knows(block.height, block.hash)]
        parent = self.head
        for block in fresh:
            self.rules.check_link(block, parent)
            parent = block
        if fresh:
            self._append(fresh)
            self.synced_at = self.changed_at
        return len(fresh)

    def switch(self, branch: Sequence[Block]) -> bool:
        """Replace the end of the chain by a branch that links to it and wins; False where it does not win."""
        ancestor = branch[0].height - 1
        if self.hash_at(ancestor) != branch[0].parent:
            raise InvalidBlock(f"block {branch[0].height}: its parent is not in the chain")
        if not branch[-1].better_than(self.head.height, self.head.hash):
            return False
        if self.head.height - ancestor > self.max_reorg:
            return False
        parent = self._store.block(ancestor)
        for block in branch:
            self.rules.check_link(block, parent)
            parent = block
        displaced = range(ancestor + 1, self.head.height + 1)
        if len(displaced) <= self._max_side // 4:
            for height in displaced:
                self._keep_side(self._store.block(height))
        if displaced:
            self.reorgs += 1
        self._append(branch)
        return True

    def close(self) -> None:
        """Write everything out; the chain cannot be used afterwards."""
        self._store.close()

    def _append(self, blocks: Sequence[Block]) -> None:
        self._store.append(blocks)
        self.head = blocks[-1]
        self.changed_at = time.monotonic()
        for block in blocks:
            self._side.pop(block.hash, None)
        for callback in self.on_change:
            callback()

    def _parent(self, block: Block) -> Block | None:
        if self.hash_at(block.height - 1) == block.parent:
            return self._store.block(block.height - 1)
        return self._side.get(block.parent)

    def _beside(self, block: Block) -> str:
        self._keep_side(block)
        if block.better_than(self.head.height, self.head.hash):
            branch = self._branch(block)
            if branch and self.switch(branch):
                return SWITCHED
        return SIDE

    def _branch(self, tip: Block) -> list[Block]:
        """Return the side blocks from the chain up to a tip; empty where a link is missing."""
        branch = [tip]
        while self.hash_at(branch[-1].height - 1) != branch[-1].parent:
            parent = self._side.get(branch[-1].parent)
            if parent is None:
                return []
            branch.append(parent)
        return branch[::-1]

    def _keep_side(self, block: Block) -> None:
        self._side[block.hash] = block
        while len(self._side) > self._max_side:
            del self._side[min(self._side, key=lambda key: self._side[key].height)]
