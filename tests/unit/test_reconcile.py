"""What a changed topology means for a live net, without a net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stressnet.compile import compile_plan
from stressnet.engine.reconcile import compare
from stressnet.errors import UsageError
from stressnet.plan import Latency, Plan, Preparation, Sampling
from stressnet.spec.load import load


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    file = tmp_path / "t.yaml"
    file.write_text("name: t\nnodes:\n  a: {kind: generic, command: [sleep, '1'], count: 3}\n")
    return compile_plan(load(file))


def seen(plan: Plan, **states: str) -> dict[str, dict[str, Any]]:
    return {node.name: {"state": states.get(node.name.replace("-", "_"), "ready")} for node in plan.nodes}


def test_an_unchanged_plan_changes_nothing(plan: Plan) -> None:
    """The same plan over a healthy net is no work at all."""
    assert not compare(plan, plan, seen(plan))


def test_a_place_in_the_plan_is_no_change(plan: Plan) -> None:
    """When the first node goes, the others move up and are left alone."""
    fewer = replace(plan, nodes=tuple(replace(node, index=node.index - 1) for node in plan.nodes[1:]))
    changes = compare(plan, fewer, seen(plan))
    assert (changes.missing, changes.gone, changes.changed) == ((), ("a-1",), ())


def test_an_ended_node_is_missing_and_a_described_one_changed(plan: Plan) -> None:
    """What ended starts again with its data; what is described differently starts afresh."""
    other = replace(plan, nodes=(*plan.nodes[:2], replace(plan.nodes[2], command=("sleep", "2"))))
    changes = compare(plan, other, seen(plan, a_1="exited", a_3="exited"))
    assert (changes.missing, changes.gone, changes.changed) == (("a-1",), (), ("a-3",))


def test_another_subnet_needs_another_net(plan: Plan) -> None:
    """What the whole net rests on is not changed under it."""
    with pytest.raises(UsageError, match="subnet of net 't' has changed"):
        compare(plan, replace(plan, subnet="10.0.0.0/24"), seen(plan))


def test_streams_stay_as_they_are_led(plan: Plan) -> None:
    """To lead open connections otherwise would cut them all, for good."""
    direct, led = replace(plan, relay=""), replace(plan, relay="/opt/toxiproxy-server")
    with pytest.raises(UsageError, match=r"are not led through relays, and those of the new plan are\Z"):
        compare(direct, led, seen(plan))
    with pytest.raises(UsageError, match="are led through relays, and those of the new plan are not"):
        compare(led, direct, seen(plan))
    assert not compare(led, replace(led, relay="/elsewhere/toxiproxy-server"), seen(plan))


def test_what_only_the_agent_is_told_is_said(plan: Plan) -> None:
    """Latencies and sampling change under nodes that go on."""
    other = replace(plan, sampling=Sampling(5.0), latencies=(Latency("a", "b", 0.1, 0.0),))
    changes = compare(plan, other, seen(plan))
    assert changes
    assert (changes.missing, changes.changed, changes.settings) == ((), (), ("latencies", "sampling"))


def test_a_prepared_net_takes_no_more_nodes(plan: Plan) -> None:
    """Keys and a first block that were made for three nodes are refused to a fourth, before anything is touched."""
    three = _prepared(plan, {"a-1": "0", "a-2": "1", "a-3": "2"})
    four = _prepared(plan, {"a-1": "0", "a-2": "1", "a-3": "2", "a-4": "3"})
    with pytest.raises(UsageError, match="none can be added"):
        compare(three, four, seen(plan))
    assert not compare(four, three, seen(plan))


def _prepared(plan: Plan, sources: dict[str, str]) -> Plan:
    fields = {"kind": "k", "command": ("x",), "image": "", "output": "/o", "sources": sources}
    return replace(plan, preparations=(Preparation(**fields),))
