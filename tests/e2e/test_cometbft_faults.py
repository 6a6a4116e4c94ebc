"""Faults on a blockchain node that nobody here wrote: distance slows it, a partition stops it, healing restarts it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract.nets import live, plan_text, status, until
from contract.test_links import call, put
from needs import require_relay

from stressnet.backends.base import Backend
from stressnet.compile import find_program
from stressnet.images.kinds import program
from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds

pytestmark = pytest.mark.usefixtures("state_home")

FOUR = "name: contract-comet\nnodes: {validator: {kind: cometbft, count: 4}}\n"
ONE, OTHER = ("validator-1", "validator-2"), ("validator-3", "validator-4")
BETWEEN = tuple((a, b) for here, there in ((ONE, OTHER), (OTHER, ONE)) for a in here for b in there)
_LOOK_S = 10.0


async def highest(plan: Plan, net: Backend) -> int:
    return (await status(plan, net)).highest or 0


async def grown(plan: Plan, net: Backend) -> int:
    """Return how many blocks are made while we look."""
    before = await highest(plan, net)
    await asyncio.sleep(_LOOK_S)
    return await highest(plan, net) - before


def test_distance_slows_it_and_a_partition_stops_it(backend: str, tmp_path: Path) -> None:
    """Two regions of two validators each: neither half has the two thirds that a block needs."""
    require_relay(backend)
    if backend == "netns" and find_program("cometbft") is None:
        program(Kinds().load("cometbft"), print)
    plan = plan_text(tmp_path, FOUR, backend)

    async def story() -> None:
        async with live(plan) as net:

            async def going() -> bool:
                return await highest(plan, net) >= 5

            await until(going, 60)
            near = await grown(plan, net)
            far = await put(net, "latency", *BETWEEN, latency=0.3)
            await asyncio.sleep(2)
            distant = await grown(plan, net)
            assert 0 < distant < 0.7 * near
            await call(net, "fault_heal", ids=[far])
            cut = await put(net, "partition", *BETWEEN)
            await asyncio.sleep(3)
            assert await grown(plan, net) == 0
            stopped = await highest(plan, net)
            await call(net, "fault_heal", ids=[cut])

            async def on_again() -> bool:
                return await highest(plan, net) >= stopped + 5

            await until(on_again, 90)
            assert sum(row["bypassed"] + row["spoofed"] for row in await call(net, "links")) == 0
            print(
                f"{backend}: {near} blocks in {_LOOK_S:g} s, {distant} with 300 ms between regions, none cut"
            )

    asyncio.run(story())
