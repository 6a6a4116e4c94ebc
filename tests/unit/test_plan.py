"""A plan survives JSON, and finds its nodes."""

from __future__ import annotations

import json

import pytest

from stressnet.compile import compile_plan
from stressnet.plan import Plan
from stressnet.resources import folder
from stressnet.spec.load import load


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_plan(load(folder("topologies") / "cometbft.yaml"))


def test_a_plan_survives_json(plan: Plan) -> None:
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.to_json() == plan.to_json()


def test_a_plan_of_another_version_is_refused(plan: Plan) -> None:
    raw = {**json.loads(plan.to_json()), "version": 99}
    with pytest.raises(ValueError, match="99"):
        Plan.from_json(json.dumps(raw))


def test_a_plan_of_before_these_were_known_is_read(plan: Plan) -> None:
    """What is up may be of an earlier version: its nodes have no such probes, series or times."""
    raw = json.loads(plan.to_json())
    for node in raw["nodes"]:
        for key in ("disk", "block", "in_sync", "stacks", "series", "recovery_s"):
            del node[key]
    node = Plan.from_json(json.dumps(raw)).nodes[0]
    assert (node.disk, node.block, node.in_sync, node.stacks, node.series, node.recovery_s) == (
        0,
        None,
        None,
        None,
        {},
        0,
    )


def test_nodes_and_ports_are_found_by_name(plan: Plan) -> None:
    assert plan.node("late").port("rpc").number == 26657
    with pytest.raises(KeyError):
        plan.node("nobody")
    with pytest.raises(KeyError):
        plan.node("late").port("nothing")


def test_links_are_directed_pairs(plan: Plan) -> None:
    assert len(plan.links()) == 20
    assert ("late", "validator-1") in plan.links()
