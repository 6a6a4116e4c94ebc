"""A long way behind: every peer that can help does."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation import EPOCH, World
from syncnode.chain import Chain
from syncnode.node import Node
from syncnode.rules import Rules
from syncnode.store import Store

RULES = Rules("localnet", 0, 7, ["absent"], 1.0)
BLOCKS = 2000


def write_chain(home: Path) -> None:
    chain = Chain(Store(home / "data" / "blocks.log", RULES.genesis), RULES)
    blocks, first = [chain.head], int(EPOCH) - BLOCKS
    for number in range(BLOCKS):
        blocks.append(RULES.propose("absent", blocks[-1], first + number, 32))
    chain.extend(blocks[1:])
    chain.close()


def served(node: Node) -> float:
    asked = node.metrics._counters["hmy_stream_sync_server_request"].items()
    return sum(count for labels, count in asked if "getBlocksByNumber" in str(labels))


def test_a_peer_that_comes_in_the_middle_of_a_pass_takes_its_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One peer alone would take 20 s, by its limiter."""
    world = World(tmp_path, monkeypatch, 0.01)

    async def story() -> None:
        quiet = {"discovery__soft_low_cap": 0, "discovery__hard_low_cap": 0}
        for name in ("first", "second"):
            write_chain(tmp_path / name)
        first = await world.start("first", ["absent"], [], **quiet)
        fresh = await world.start("fresh", ["absent"], ["first"], discovery__soft_low_cap=2)
        await world.until(lambda: fresh.chain.height > 200)
        begun = world.loop.now
        second = await world.start("second", ["absent"], ["fresh"], **quiet)
        await world.until(lambda: fresh.chain.height == BLOCKS)
        assert world.loop.now - begun < 13
        assert served(first) + served(second) == BLOCKS / 10
        assert served(second) > 60

    world.run(story)
