"""Real nets, from the example topologies, on every backend."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract.nets import live, status, until
from needs import REPOSITORY, require

from stressnet.compile import find_program
from stressnet.engine.plan_topology import plan_topology
from stressnet.images.kinds import program
from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds

pytestmark = pytest.mark.usefixtures("state_home")


def example(name: str, backend: str, *sets: str) -> Plan:
    return plan_topology(REPOSITORY / "topologies" / f"{name}.yaml", backend=backend, sets=sets)


def catch_up(plan: Plan, timeout_s: float) -> dict[str, int]:
    """Bring a net up, wait until all nodes are at the same height, and return their heights."""

    async def story() -> dict[str, int]:
        async with live(plan) as net:

            async def synced() -> dict[str, int] | None:
                seen = await status(plan, net)
                return {node.node: node.height or 0 for node in seen.nodes} if seen.synced() else None

            return dict(await until(synced, timeout_s))

    return asyncio.run(story())


def test_late_nodes_of_the_quickstart_catch_up(backend: str) -> None:
    """Two nodes that join from height 0 reach the height of the other six."""
    heights = catch_up(example("quickstart", backend, f"name=quickstart-test-{backend}"), 60)
    assert len(heights) == 8
    assert min(heights["late-1"], heights["late-2"]) >= 15


def test_a_blockchain_node_that_nobody_here_wrote_syncs(backend: str) -> None:
    """Four CometBFT validators make blocks; a late full node gets them by block sync."""
    if backend == "netns" and find_program("cometbft") is None:
        program(Kinds().load("cometbft"), print)
    heights = catch_up(example("cometbft", backend, f"name=cometbft-test-{backend}"), 90)
    assert heights["late"] >= 18


def test_a_hundred_nodes_share_one_height(tmp_path: Path) -> None:
    """A hundred sync nodes in namespaces find each other and stay in step."""
    require("netns")
    topology = tmp_path / "hundred.yaml"
    topology.write_text(
        "name: hundred\ndefaults: {kind: syncnode, config: {chain.block_time: 3s}}\n"
        "nodes:\n  validator: {count: 4}\n  full: {count: 96}\n"
    )
    heights = catch_up(plan_topology(topology, backend="netns"), 120)
    assert len(heights) == 100
