"""A look for peers walks through the net: nearest first, a few at a time, by connections that end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from simulation import World
from syncnode.identity import peer_id
from syncnode.node import Node
from syncnode.rules import Rules

Make = Callable[..., World]
PROTOCOL = Rules("localnet", 0, 7, ["nobody"], 1.0).protocol("sync")
QUIET = {"discovery__soft_low_cap": 0, "discovery__hard_low_cap": 0}
"""Looks for nobody."""


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda latency_s=0.01: World(tmp_path, monkeypatch, latency_s)


def total(node: Node, counter: str) -> float:
    return sum(node.metrics._counters.get(counter, {}).values())


def distance(name: str) -> int:
    target, own = (sha256(text.encode()).digest() for text in (PROTOCOL, peer_id(7, name)))
    return int.from_bytes(target) ^ int.from_bytes(own)


async def star(world: World, count: int) -> list[str]:
    """Start a hub, peers that know only it, and one that looks; return the names of the peers, nearest first."""
    await world.start("hub", ["nobody"], [], **QUIET)
    names = [f"peer{number}" for number in range(count)]
    for name in names:
        await world.start(name, ["nobody"], ["hub"], **QUIET)
    await world.start("looks", ["nobody"], ["hub"], **QUIET)
    await world.until(lambda: len(world.nodes["hub"].swarm.peers) == count + 1)
    return sorted(names, key=distance)


def names_of(peers: dict[str, object], world: World) -> set[str]:
    return {name for name in world.nodes if peer_id(7, name) in peers}


def test_a_look_ends_when_enough_are_found(make_world: Make) -> None:
    world = make_world()

    async def story() -> None:
        await star(world, 12)
        looks = world.nodes["looks"]
        async with looks.streams._discovery.find(8) as found:
            assert len(found) == 8
        assert total(looks, "syncnode_discovery_queries_total") == 1
        assert total(looks, "syncnode_discovery_dials_total") == 0

    world.run(story)


def test_peers_that_are_named_are_dialled_and_asked_nearest_first(make_world: Make) -> None:
    """As many at a time as `discovery.concurrency`; nobody is nearer than those, so there it ends."""
    world = make_world()

    async def story() -> None:
        names = await star(world, 12)
        looks = world.nodes["looks"]
        nearer = [name for name in names if distance(name) < distance("hub")]
        assert len(nearer) > 3, "else this shows nothing"
        async with looks.streams._discovery.find(100) as found:
            assert {record.name for record in found} == set(names)
            assert names_of(looks.swarm.peers, world) == {"hub", *names[:3]}
        assert total(looks, "syncnode_discovery_queries_total") == 4
        assert total(looks, "syncnode_discovery_dials_total") == 3
        assert names_of(looks.swarm.peers, world) == {"hub"}
        await asyncio.sleep(1)
        assert all(names_of(world.nodes[name].swarm.peers, world) == {"hub"} for name in names)

    world.run(story)


def test_a_walk_goes_from_peer_to_peer(make_world: Make) -> None:
    """Each knows only the next one, which is nearer; a connection with a stream stays, the others end."""
    world = make_world()

    async def story() -> None:
        names = sorted((f"peer{number}" for number in range(16)), key=distance)
        for place, name in enumerate(names):
            await world.start(name, ["nobody"], names[place - 1 : place] if place else [], **QUIET)
        looks = await world.start("looks", ["nobody"], [names[-1]], **QUIET)
        await world.until(lambda: looks.swarm.peers)
        async with looks.streams._discovery.find(100) as found:
            # Peers tell whom they are connected to: the next one, and the one that they come from.
            assert [record.name for record in found] == names[-2:-10:-1], "eight were asked"
            await looks.streams._dial(found[0].peer_id, found[0].address)
        assert names_of(looks.swarm.peers, world) == {names[-1], names[-2]}
        assert [stream.peer_id for stream in looks.streams.open.values()] == [peer_id(7, names[-2])]
        assert total(looks, "syncnode_discovery_queries_total") == 8
        assert total(looks, "syncnode_discovery_dials_total") == 7

    world.run(story)


def test_a_boot_node_is_asked_first(make_world: Make) -> None:
    world = make_world()

    async def story() -> None:
        names = await star(world, 6)
        boot = world.nodes["hub"].config.p2p.listen
        looks = await world.start(
            "late", ["nobody"], ["hub", *names[:3]], p2p__bootnodes=[boot], **QUIET, discovery__max_queries=1
        )
        await world.until(lambda: len(looks.swarm.peers) == 4)
        async with looks.streams._discovery.find(100) as found:
            assert {record.name for record in found} == {"looks", *names[3:]}
        assert total(looks, "syncnode_discovery_queries_total") == 1

    world.run(story)


def test_peers_that_do_not_answer_end_no_look(make_world: Make) -> None:
    """Those behind them are asked instead; and a cut that swallows everything ends it by its time-out."""
    world = make_world()

    async def story() -> None:
        names = await star(world, 12)
        looks = world.nodes["looks"]
        world.cut("looks", *names[:2])
        begun = world.loop.now
        async with looks.streams._discovery.find(100) as found:
            assert {record.name for record in found} == set(names)
        assert world.loop.now - begun == pytest.approx(looks.config.discovery.timeout, rel=0.01)
        assert total(looks, "syncnode_discovery_dials_total") == 3
        begun = world.loop.now
        world.cut("looks", "hub", *names)
        async with looks.streams._discovery.find(100) as found:
            assert not found
        assert world.loop.now - begun == pytest.approx(looks.config.discovery.timeout, rel=0.01)
        assert names_of(looks.swarm.peers, world) == {"hub"}

    world.run(story)


def test_a_peer_that_goes_while_it_is_to_be_asked_ends_nothing(make_world: Make) -> None:
    world = make_world()

    async def story() -> None:
        names = await star(world, 6)
        late = await world.start("late", ["nobody"], ["hub", *names], **QUIET, discovery__concurrency=1)
        await world.until(lambda: len(late.swarm.peers) == 7)

        async def look() -> None:
            async with late.streams._discovery.find(100):
                pass

        looking = asyncio.ensure_future(look())
        await asyncio.sleep(0.005)
        for name in ("hub", *names):
            world.reset("late", name)
        await looking

    world.run(story)


def test_nodes_that_nobody_takes_go_on_looking_at_their_interval(make_world: Make) -> None:
    """A look makes connections, and these begin no further look: else two that are short would never rest."""
    world = make_world()

    async def story() -> None:
        full = {"discovery__high_cap": 1, "discovery__soft_low_cap": 1, "discovery__hard_low_cap": 1}
        await world.start("hub", ["nobody"], [], **QUIET)
        for name in ("a", "b", "c", "d", "e", "f"):
            await world.start(name, ["nobody"], ["hub"], **full)
        short = [await world.start(name, ["nobody"], ["hub"]) for name in ("x", "y")]
        await asyncio.sleep(120)
        before = [total(node, "hmy_stream_discover") for node in short]
        dials = [total(node, "syncnode_discovery_dials_total") for node in short]
        await asyncio.sleep(600)
        for node, then, dialled in zip(short, before, dials, strict=True):
            assert 0 < len(node.streams.open) < node.config.discovery.soft_low_cap
            assert 20 <= total(node, "hmy_stream_discover") - then < 30, "as the interval says"
            assert 0 < total(node, "syncnode_discovery_dials_total") - dialled < 60

    world.run(story)
