"""What a node says about being in step: whom it asks, how often, and what the two defects make of it."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace

import pytest
from syncnode.insync import InSync, Status


class Servers:
    """Servers of the legacy sync, which count how often they are asked."""

    def __init__(self, height: int) -> None:
        self.height = height
        self.asked: list[bool] = []

    async def highest(self, *, everyone: bool = False) -> int:
        self.asked.append(everyone)
        await asyncio.sleep(0)
        return self.height


class World:
    """A node at a height, peers that claim another, servers that tell a third, and a clock that the test turns."""

    def __init__(self, *, height: int = 100, target: int = -1, servers: int | None = None, **options) -> None:
        self.now = 1000.0
        self.height = height
        self.tips = SimpleNamespace(syncing=False, target=target)
        self.servers = None if servers is None else Servers(servers)
        options = {"active": servers is None, "tolerance": 10, "cache_s": 6.0, **options}
        self.status = InSync(lambda: self.height, self.tips, self.servers, clock=lambda: self.now, **options)

    def in_sync(self) -> bool:
        return asyncio.run(self.status.in_sync())

    def syncing(self) -> dict[str, int] | None:
        return asyncio.run(self.status.syncing())


@pytest.mark.parametrize(("lag", "right"), [(-5, True), (0, True), (10, True), (11, False), (900, False)])
@pytest.mark.parametrize("by", ["streams", "grpc", "tips alone"])
def test_ten_blocks_are_in_sync_and_eleven_are_not(by, lag, right):
    world = {
        "streams": lambda: World(target=100 + lag),
        "grpc": lambda: World(servers=100 + lag),
        "tips alone": lambda: World(target=100 + lag, active=False),
    }[by]()
    assert world.in_sync() is right
    assert (world.syncing() is None) is right


@pytest.mark.parametrize("servers", [None, -1])
def test_a_node_that_hears_nothing_of_others_is_not_in_sync(servers):
    world = World(servers=servers)
    assert world.in_sync() is False
    assert asyncio.run(world.status.status()) == Status(False, 100, math.inf)
    assert world.syncing() == {"startingBlock": 100, "currentBlock": 100, "highestBlock": 100}


def test_syncing_tells_from_where_to_where():
    world = World(height=100, target=100)
    assert world.syncing() is None
    world.tips.target = 500
    assert world.syncing() == {"startingBlock": 100, "currentBlock": 100, "highestBlock": 500}
    world.height = 300
    assert world.syncing() == {"startingBlock": 100, "currentBlock": 300, "highestBlock": 500}
    world.height = 495
    assert world.syncing() is None
    world.tips.target = 600
    assert world.syncing() == {"startingBlock": 495, "currentBlock": 495, "highestBlock": 600}


def test_servers_are_asked_once_a_while_whatever_the_number_of_calls():
    world = World(servers=100)

    async def many() -> None:
        assert all(await asyncio.gather(*(world.status.in_sync() for _ in range(50))))

    asyncio.run(many())
    assert world.servers.asked == [False]
    world.now += 5.9
    assert world.in_sync() is True
    assert len(world.servers.asked) == 1
    world.now += 0.2
    world.in_sync()
    assert len(world.servers.asked) == 2


def test_servers_that_do_not_answer_are_not_asked_more_often():
    world = World(servers=-1)
    for _ in range(20):
        assert world.in_sync() is False
    assert len(world.servers.asked) == 1


def test_only_what_others_said_is_kept_and_not_ones_own_height():
    world = World(height=50, servers=100)
    assert world.in_sync() is False
    world.height = 100
    assert world.in_sync() is True
    assert len(world.servers.asked) == 1


def test_a_caller_that_goes_away_does_not_end_the_question():
    world = World(servers=200)

    async def story() -> None:
        gone = asyncio.ensure_future(world.status.in_sync())
        stays = asyncio.ensure_future(world.status.in_sync())
        await asyncio.sleep(0)
        gone.cancel()
        assert await stays is False

    asyncio.run(story())
    assert len(world.servers.asked) == 1


def test_servers_are_not_asked_while_the_stream_downloader_is_active():
    world = World(servers=900, target=100, active=True)
    assert world.in_sync() is True
    assert world.servers.asked == []


# The defects.


def test_redirected_every_call_asks_every_server():
    world = World(servers=100, redirect_in_sync=True)
    for _ in range(20):
        assert world.in_sync() is True
    assert world.servers.asked == [True] * 20


def test_redirected_calls_leave_servers_alone_while_the_downloader_is_active():
    world = World(servers=100, target=100, active=True, redirect_in_sync=True)
    assert world.in_sync() is True
    assert world.servers.asked == []


def test_inverted_a_node_that_syncs_says_that_it_is_in_sync_and_one_that_idles_that_it_syncs():
    world = World(target=900, inverted_in_sync=True)
    world.tips.syncing = True
    assert (world.in_sync(), world.syncing()) == (True, None)
    world.height = 900
    world.tips.syncing = False
    assert world.in_sync() is True
    assert world.syncing()["highestBlock"] == 900


@pytest.mark.parametrize("others", [{"servers": 900}, {"target": 900, "active": False}])
def test_inverted_all_but_the_downloader_still_tell_the_truth(others):
    assert World(inverted_in_sync=True, **others).in_sync() is False
