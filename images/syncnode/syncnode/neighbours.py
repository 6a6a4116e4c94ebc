"""Peers as gossip sees them: the best tip that each claims, for how long that is believed, what waits to be sent.

A tip is only a claim until its block is here. A peer whose claims bring nothing is not believed for ever: else one
liar, or one that cannot deliver, would keep every validator waiting to catch up with it.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from .block import better
from .chain import Chain
from .framing import Framed


class Neighbour:
    """One peer."""

    def __init__(self, framed: Framed, chain: Chain, patience: float) -> None:
        self.framed = framed
        self.peer_id = framed.stream.connection.peer_id
        self.height = -1
        self.hash = b""
        self.has: OrderedDict[bytes, None] = OrderedDict()
        self.queue: list[bytes] = []
        self.sender: object | None = None
        self._chain = chain
        self._patience = patience
        self._open_since: float | None = None
        """When it claimed the first of the tips of which none has come since."""
        self._given_up = False

    def knows(self, hash_: bytes) -> bool:
        """Note that the peer has a block; return whether that was known."""
        known = hash_ in self.has
        self.has[hash_] = None
        while len(self.has) > 128:
            self.has.popitem(last=False)
        return known

    def saw_tip(self, height: int, hash_: bytes) -> None:
        """Note a tip of the peer; the best one counts."""
        self.knows(hash_)
        self._settle()
        if better(height, hash_, self.height, self.hash):
            self.height, self.hash = height, hash_
            if self._open_since is None:
                self._open_since = time.monotonic()

    def believed(self) -> bool:
        """Tell whether its tip counts: the block is here, or was claimed, or synced towards, within the patience.

        A peer that was given up is believed again once a tip that it claims has come.
        """
        self._settle()
        if self._open_since is not None and not self._given_up:
            last = max(self._open_since, self._chain.synced_at)
            self._given_up = time.monotonic() - last > self._patience
        return not self._given_up

    def _settle(self) -> None:
        if self._open_since is not None and self._chain.knows(self.height, self.hash):
            self._open_since, self._given_up = None, False


class Neighbours(dict[str, Neighbour]):
    """All peers that gossip with this node, by id."""

    def __init__(self, chain: Chain, patience: float) -> None:
        super().__init__()
        self._chain = chain
        self._patience = patience

    def greet(self, framed: Framed) -> Neighbour:
        """Take a peer in, in the place of an earlier one with its id."""
        neighbour = Neighbour(framed, self._chain, self._patience)
        self[neighbour.peer_id] = neighbour
        return neighbour

    def are_ahead(self, *, believed: bool = False) -> bool:
        """Tell whether some peer claims a better tip than this node's; with `believed`, one that counts."""
        head = self._chain.head
        return any(
            better(peer.height, peer.hash, head.height, head.hash) and (not believed or peer.believed())
            for peer in self.values()
        )

    def believed_height(self) -> int:
        """Return the height of the best tip that counts; -1 without peers."""
        return max((peer.height for peer in self.values() if peer.believed()), default=-1)

    def claimed_height(self) -> int:
        """Return the greatest height that any peer claims, whether it counts or not; -1 without peers."""
        return max((peer.height for peer in self.values()), default=-1)
