"""For how long a peer's claim of a better tip counts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from syncnode.chain import Chain
from syncnode.neighbours import Neighbours
from syncnode.rules import Rules
from syncnode.store import Store

PATIENCE = 60.0
FAR = (1000, bytes(32))


class World:
    """A chain, and one peer, on a clock that the test turns."""

    def __init__(self, path, clock) -> None:
        self.clock = clock
        self.rules = Rules("net", 0, 1, ["a"], 1.0)
        self.chain = Chain(Store(path, self.rules.genesis), self.rules)
        self.neighbours = Neighbours(self.chain, PATIENCE)
        connection = SimpleNamespace(peer_id="peer")
        self.peer = self.neighbours.greet(SimpleNamespace(stream=SimpleNamespace(connection=connection)))

    def next(self):
        """Return a block on top of the head."""
        return self.rules.propose("a", self.chain.head, self.chain.head.slot + 1, 10)


@pytest.fixture
def world(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    return World(tmp_path / "log", clock)


def test_a_claim_counts_for_a_while(world):
    """And is tried for as long as the peer is there."""
    world.peer.saw_tip(*FAR)
    assert world.neighbours.believed_height() == 1000
    world.clock.now += PATIENCE + 1
    assert world.neighbours.believed_height() == -1
    assert not world.neighbours.are_ahead(believed=True)
    assert world.neighbours.are_ahead()


def test_new_claims_of_a_peer_that_was_given_up_do_not_count(world):
    """Else it would only have to go on claiming."""
    world.peer.saw_tip(*FAR)
    for number in range(1001, 1200):
        world.clock.now += 1
        world.peer.saw_tip(number, bytes(32))
    assert not world.peer.believed()


def test_sync_that_goes_on_keeps_a_claim_alive(world):
    """A long way takes its time; what comes by gossip is no step of it."""
    world.peer.saw_tip(*FAR)
    world.clock.now += PATIENCE - 1
    world.chain.extend([world.next()])
    world.clock.now += PATIENCE - 1
    assert world.peer.believed()
    world.chain.add(world.next())
    world.clock.now += 2
    assert not world.peer.believed()


def test_a_peer_whose_claim_has_come_is_believed_again(world):
    """It was slow, or cut off, and no liar."""
    block = world.next()
    world.peer.saw_tip(block.height, block.hash)
    world.clock.now += PATIENCE + 1
    assert not world.peer.believed()
    world.chain.add(block)
    assert world.peer.believed()
    world.clock.now += PATIENCE + 1
    world.peer.saw_tip(*FAR)
    assert world.neighbours.believed_height() == 1000
