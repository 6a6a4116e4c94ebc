"""Each defect does what it is said to do, and without it the node does not: in a world of its own, on a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulation import World
from syncnode.defects import CAUSES, Defect, page
from syncnode.node import Node

Make = Callable[..., World]
DOCS = Path(__file__).parents[3] / "docs" / "defects.md"


@pytest.fixture
def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda latency_s=0.01: World(tmp_path, monkeypatch, latency_s)


def total(node: Node, counter: str) -> float:
    return sum(node.metrics._counters.get(counter, {}).values())


def streams_of(node: Node) -> int:
    return sum(len(connection.streams) for connection in node.swarm.peers.values())


async def one_follows(world: World, *defects: str, **keys: Any) -> tuple[Node, Node]:
    """Start a validator, and a node that has only sync streams to get blocks by; wait until it has some."""
    made = await world.start(
        "validator", ["validator"], [], discovery__hard_low_cap=0, discovery__soft_low_cap=0
    )
    keys = {"gossip__blocks": False, "discovery__hard_low_cap": 1, "discovery__soft_low_cap": 1, **keys}
    follower = await world.start("follower", ["validator"], ["validator"], defects=list(defects), **keys)
    await world.until(lambda: follower.chain.height >= 5)
    return made, follower


async def follows(world: World, made: Node, follower: Node, within_s: float = 100.0) -> bool:
    """Tell whether the follower comes to the height that the validator has now."""
    wanted, end = made.chain.height, world.loop.now + within_s
    while follower.chain.height < wanted and world.loop.now < end:  # noqa: ASYNC110 - that it may not come is the point
        await asyncio.sleep(0.5)
    return follower.chain.height >= wanted


def test_the_page_about_defects_is_written_from_here() -> None:
    assert set(CAUSES) == set(Defect)
    assert page() in DOCS.read_text(), "run: python -m syncnode.defects"


def test_a_world_makes_blocks_and_syncs(make_world: Make) -> None:
    world = make_world()

    async def story() -> None:
        for name in ("a", "b"):
            await world.start(name, ["a", "b"], list(world.nodes))
        await world.until(lambda: world.nodes["a"].chain.height > 200)
        late = await world.start("late", ["a", "b"], ["a", "b"])
        await world.until(lambda: late.chain.height >= world.nodes["a"].chain.height, 60)
        assert late.chain.head.hash == world.nodes["a"].chain.head.hash

    world.run(story)


# 1: growth over days.


@pytest.mark.parametrize("defect", ["retry_amplification", ""])
def test_failures_begin_chains_that_never_end(make_world: Make, defect: str) -> None:
    """After T seconds of errors T/10 chains try every 5 s, so T²/100 attempts; without the defect none is made."""
    world = make_world()

    async def story() -> None:
        node = await world.start("alone", ["nobody"], [], defects=[defect] if defect else [])
        before = len(asyncio.all_tasks())
        await asyncio.sleep(3600)
        attempts, tasks = total(node, "hmy_downloader_failed_download"), len(asyncio.all_tasks()) - before
        assert attempts == pytest.approx(3600**2 / 100 if defect else 0, rel=0.02)
        assert tasks == pytest.approx(360 if defect else 0, abs=2)

    world.run(story)


@pytest.mark.parametrize("defect", ["duplicate_dial_leak", ""])
def test_streams_that_are_refused_pile_up(make_world: Make, defect: str) -> None:
    """Two nodes that look for four streams each, and find one: at each check another is opened, and left open."""
    world = make_world()

    async def story() -> None:
        for name in ("a", "b"):
            await world.start(name, ["a"], list(world.nodes), defects=[defect] if defect else [])
        await asyncio.sleep(60)
        before = list(map(streams_of, world.nodes.values()))
        await asyncio.sleep(1200)
        grown = [streams_of(node) - then for node, then in zip(world.nodes.values(), before, strict=True)]
        assert all(60 < one < 100 for one in grown) if defect else grown == [0, 0], "40 checks of each"

    world.run(story)


@pytest.mark.parametrize("defect", ["context_leak", ""])
def test_passes_keep_what_they_held(make_world: Make, defect: str) -> None:
    """A pass a second, each of which holds for another minute what it held."""
    world = make_world()

    async def story() -> None:
        await one_follows(world, *([defect] if defect else []))
        await asyncio.sleep(200)
        held = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_hold"]  # type: ignore[union-attr]
        assert 40 < len(held) < 70 if defect else not held

    world.run(story)


@pytest.mark.parametrize("defect", ["label_explosion", ""])
def test_each_failure_is_a_line_of_metrics(make_world: Make, defect: str) -> None:
    world = make_world()

    async def story() -> None:
        made, follower = await one_follows(world, *([defect] if defect else []))
        made.faults.set("stream_error", {"probability": 0.7})
        await asyncio.sleep(100)
        before = follower.metrics.text().count("\n")
        await asyncio.sleep(1000)
        grown = follower.metrics.text().count("\n") - before
        assert grown > 100 if defect else grown < 40, "what has a label of its own comes once"

    world.run(story)


@pytest.mark.parametrize("defect", ["blocking_tick_send", ""])
def test_the_stream_manager_waits_for_itself(make_world: Make, defect: str) -> None:
    """Streams are reset now and then until the manager hangs; the faults are over, and nothing comes back."""
    world = make_world()

    async def story() -> None:
        made, follower = await one_follows(
            world, *([defect] if defect else []), discovery__cooldown=1.0, discovery__check_interval=5.0
        )
        made.faults.set("reset_mid_frame", {"probability": 0.5})
        await asyncio.sleep(900)
        made.faults.clear("reset_mid_frame")
        await asyncio.sleep(60)
        before = total(follower, "hmy_stream_discover")
        assert await follows(world, made, follower) is not bool(defect)
        await asyncio.sleep(300)
        assert total(follower, "hmy_stream_discover") == before or not defect

    world.run(story)


@pytest.mark.parametrize("defect", ["eof_spin", ""])
def test_the_end_of_a_stream_is_read_again_and_again(make_world: Make, defect: str) -> None:
    """A turn of the loop costs 100 us here, so a node that spins makes 10,000 of them a second."""
    world = make_world()

    async def story() -> None:
        made, _ = await one_follows(world, *([defect] if defect else []))
        made.faults.set("clean_close", {"probability": 1.0})
        await asyncio.sleep(3)
        made.faults.clear("clean_close")
        before = world.loop.turns
        await asyncio.sleep(3)
        assert (world.loop.turns - before) / 3 > 4_000 if defect else world.loop.turns - before < 2_000

    world.run(story)


# 3: stuck in short range. What shows is always the height, while the validator goes on and nothing is wrong any more.


@pytest.mark.parametrize("defect", ["dead_whitelist_loop", ""])
def test_dead_streams_are_asked_for_ever(make_world: Make, defect: str) -> None:
    world = make_world()

    async def story() -> None:
        keys = {"discovery__cooldown": 3.0, "discovery__check_interval": 2.0}
        made, follower = await one_follows(world, *([defect] if defect else []), **keys)
        made.faults.set("reset_mid_frame", {"probability": 0.2})
        spins = False
        for _ in range(1000):
            before = world.loop.turns
            await asyncio.sleep(1)
            spins = world.loop.turns - before > 4_000
            if spins:
                break
        assert spins is bool(defect)
        made.faults.clear("reset_mid_frame")
        assert await follows(world, made, follower, 70 if not defect else 5) is not bool(defect)

    world.run(story)


@pytest.mark.parametrize("defect", ["unread_event_channel", ""])
def test_an_event_that_nobody_reads_stops_short_range(make_world: Make, defect: str) -> None:
    world = make_world()

    async def story() -> None:
        made = await world.start("validator", ["validator"], [])
        keys = {"gossip__blocks": False, "defects": [defect] if defect else []}
        follower = await world.start("follower", ["validator"], ["validator"], **keys)
        await asyncio.sleep(60)
        assert await follows(world, made, follower) is not bool(defect)
        assert total(follower, "hmy_downloader_num_short_range") == 2 or not defect

    world.run(story)


@pytest.mark.parametrize("defect", ["helper_never_signals", "no_return_to_long_range", ""])
def test_a_branch_is_not_given_up(make_world: Make, defect: str) -> None:
    """Of three validators one is cut off from the others, and goes on by itself; then it has to give its branch up."""
    world = make_world()

    async def story() -> None:
        names = ["a", "b", "c"]
        for name in names:
            defects = [defect] if defect and name == "c" else []
            await world.start(name, names, list(world.nodes), gossip__blocks=name != "c", defects=defects)
        nodes = list(world.nodes.values())
        await world.until(lambda: min(node.chain.height for node in nodes) > 30)
        world.cut("c", "a", "b")
        await asyncio.sleep(30)
        world.loop.heal()
        await asyncio.sleep(300)
        assert agree(nodes) is not bool(defect)

    world.run(story)


def agree(nodes: list[Node]) -> bool:
    lowest = min(node.chain.height for node in nodes)
    return len({node.chain.hash_at(lowest) for node in nodes}) == 1


@pytest.mark.parametrize("defect", ["island_is_in_sync", ""])
def test_an_island_takes_itself_for_the_world(make_world: Make, defect: str) -> None:
    """Of four peers three are cut off from where blocks are made; the fourth is ahead, and is outvoted."""
    world = make_world()

    async def story() -> None:
        keys = {"gossip__blocks": False}
        made = await world.start("validator", ["validator"], [])
        islanders = [f"island-{number}" for number in range(3)]
        for name in islanders:
            await world.start(name, ["validator"], ["validator"], **keys)
        keys["defects"] = [defect] if defect else []  # type: ignore[assignment]
        last = await world.start("last", ["validator"], ["validator", *islanders], **keys)
        await world.until(lambda: last.chain.height >= 20 and len(last.streams.open) == 4)
        world.cut("validator", *islanders)
        before = last.chain.height
        await asyncio.sleep(100)
        assert await follows(world, made, last) is not bool(defect)
        assert last.chain.height < before + 5 or not defect

    world.run(story)


@pytest.mark.parametrize("defect", ["reentrant_lock", ""])
def test_a_lock_is_taken_twice(make_world: Make, defect: str) -> None:
    world = make_world()

    async def story() -> None:
        made, follower = await one_follows(world, *([defect] if defect else []))
        made.faults.set("stream_error", {"probability": 0.4})
        await asyncio.sleep(120)
        made.faults.clear("stream_error")
        await asyncio.sleep(120)
        assert await follows(world, made, follower) is not bool(defect)

    world.run(story)


@pytest.mark.parametrize("defect", ["cooldown_never_expires", "over_cooldown", ""])
def test_a_peer_is_held_back_for_too_long(make_world: Make, defect: str) -> None:
    """One stream is reset; without the defect it is back after a minute, with it after five, or never."""
    world = make_world()

    async def story() -> None:
        made, follower = await one_follows(world, *([defect] if defect else []))
        made.faults.set("reset_mid_frame", {"probability": 1.0})
        await world.until(lambda: not follower.streams.open)
        made.faults.clear("reset_mid_frame")
        begun = world.loop.now
        while not follower.streams.open and world.loop.now < begun + 3000:  # noqa: ASYNC110
            await asyncio.sleep(1)
        took = world.loop.now - begun
        expected = {"": (50, 100), "over_cooldown": (280, 400), "cooldown_never_expires": (3000, 3010)}
        least, most = expected[defect]
        assert least < took < most

    world.run(story)


@pytest.mark.parametrize("defect", ["refused_stream_left_open", ""])
def test_a_refused_stream_is_believed(make_world: Make, defect: str) -> None:
    """The validator has room for one stream, which another has; who comes later is to look elsewhere."""
    world = make_world()

    async def story() -> None:
        caps = {"discovery__hard_low_cap": 1, "discovery__soft_low_cap": 1, "gossip__blocks": False}
        full = {**caps, "discovery__high_cap": 1, "defects": [defect] if defect else []}
        made = await world.start("validator", ["validator"], [], **full)
        first = await world.start("first", ["validator"], ["validator"], **caps)
        await world.until(lambda: first.chain.height >= 3)
        later = await world.start("later", ["validator"], ["validator"], **caps)
        await asyncio.sleep(30)
        assert (made.swarm.hello.peer_id in later.streams.open) is bool(defect)
        assert total(later, "hmy_stream_sync_failed_client_request") > 0 or not defect

    world.run(story)


# 4: collisions.


@pytest.mark.parametrize(
    ("defect", "remedies", "well"),
    [
        ("init_collision_reset", [], False),
        ("init_collision_silent", [], False),
        ("init_collision_reset", ["cooldown_per_peer"], False),
        ("init_collision_reset", ["cooldown_global"], False),
        ("init_collision_reset", ["cooldown_per_peer", "cooldown_global"], True),
        ("init_collision_reset", ["tie_break"], True),
        ("init_collision_silent", ["tie_break"], True),
        ("", [], True),
    ],
)
def test_two_nodes_that_open_streams_at_once(
    make_world: Make, defect: str, remedies: list[str], well: bool
) -> None:
    """With 50 ms between them, and both without a stream in the same moment."""
    world = make_world(0.05)

    async def story() -> None:
        keys = {"discovery__hard_low_cap": 1, "discovery__soft_low_cap": 1, "gossip__blocks": False}
        keys |= {"defects": [defect, "immediate_rediscovery"] if defect else [], "remedies": remedies}
        for name in ("a", "b"):
            await world.start(name, ["a"], list(world.nodes), **keys)
        a, b = world.nodes.values()
        await asyncio.sleep(30)
        before = total(b, "hmy_stream_discover")
        await asyncio.sleep(150)
        discovered = total(b, "hmy_stream_discover") - before
        collided = sum(total(node, "syncnode_collisions_total") for node in (a, b))
        assert collided >= 1, "they did open at once"
        assert await follows(world, a, b, 20) is well
        if defect == "init_collision_reset" and not well:
            assert discovered > 200, "as fast as the links allow"
        if well:
            assert discovered < 20

    world.run(story)
