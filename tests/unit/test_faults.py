"""A fault is composed from a wish only if all of it is right; what faults do is shown in words and numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from some_plan import some_plan

from stressnet.cli.fault_text import faults_table, kinds_table, say_new
from stressnet.engine.faults import Standing, Wish, check_ids, compose, here, observation, read_standing
from stressnet.errors import InputError
from stressnet.faults.fault import Fault
from stressnet.faults.kinds import KINDS
from stressnet.report.figures import achieved
from stressnet.spec.selectors import Observation
from stressnet.spec.targets import Targets

PLAN = some_plan()
NOW = 1_000.0


def wish(kind: str, *parameters: str, for_s: float = 0.0, **targets: Any) -> Wish:
    return Wish(kind, parameters, Targets(**targets), for_s)


def made(asked: Wish, observed: Observation | None = None) -> Fault:
    return compose(asked, PLAN, observed or Observation(), NOW, seed=1)


def refused(asked: Wish) -> list[str]:
    with pytest.raises(InputError) as error:
        made(asked)
    return error.value.message.splitlines()


def test_from_and_to_are_links_one_way() -> None:
    found = made(wish("latency", "latency=80ms", source="us-1,us-2", target="eu-1", for_s=60))
    assert found.links == (("us-1", "eu-1"), ("us-2", "eu-1"))
    assert (found.ends_at, found.nodes, found.id) == (NOW + 60, (), "")
    assert found.asked == "latency --from us-1,us-2 --to eu-1 latency=80ms"


def test_between_is_links_both_ways() -> None:
    found = made(wish("partition", between=("us-1", "eu-1,us-1")))
    assert found.links == (("us-1", "eu-1"), ("eu-1", "us-1"))
    assert found.asked == "partition --between us-1 eu-1,us-1"


def test_without_a_side_it_is_all_and_no_link_leads_to_itself() -> None:
    assert len(made(wish("partition")).links) == 9 * 8
    assert made(wish("partition", source="boot")).links == tuple(
        ("boot", node.name) for node in PLAN.nodes if node.name != "boot"
    )


@pytest.mark.parametrize(
    "targets",
    [
        {"source": "region:east", "target": "rest"},
        {"source": "rest", "target": "region:west"},
        {"source": "eu,late", "target": "boot,us"},
    ],
)
def test_rest_is_the_rest_of_the_other_side(targets: dict[str, str]) -> None:
    assert set(made(wish("drop", "probability=5%", **targets)).links) == {
        (a, b) for a in ("eu-1", "eu-2", "eu-3", "late") for b in ("boot", "us-1", "us-2", "us-3", "us-4")
    }


def test_faults_on_nodes_say_which() -> None:
    seen = Observation(heights={"us-1": 9, "us-2": 1})
    assert made(wish("kill", on="highest"), seen).nodes == ("us-1",)
    assert made(wish("restart", on="any 2 of us")).nodes == made(wish("restart", on="any 2 of us")).nodes


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (wish("kill"), ["kill: which nodes is not said; allowed: --on SELECTOR"]),
        (
            wish("kill", on="boot", source="us"),
            ["--from: kill is done to nodes; allowed: --on SELECTOR"],
        ),
        (wish("reject", on="us"), ["--on: reject is done to links; allowed: --from, --to or --between"]),
        (
            wish("reject", between=("us", "eu"), source="us"),
            ["--between: together with --from or --to; allowed: one of the two ways"],
        ),
        (
            wish("reject", source="us-1", target="us-1"),
            [
                "--from: no link: both sides are the same node; allowed: two sides that differ in a node at least"
            ],
        ),
        (wish("kill", on="lagging"), ["--on: 'lagging' means no node now; allowed: at least one"]),
        (
            wish("cpu", "cpu=100ms", on="us"),
            ["cpu=100ms: '100ms'; allowed: a number of CPUs without a unit, as in cpu=0.1"],
        ),
        (wish("restart", on="us", for_s=3.0), ["--for: restart is over at once; allowed: no --for"]),
    ],
)
def test_what_cannot_be_is_refused(asked: Wish, said: list[str]) -> None:
    assert refused(asked) == said


def test_a_node_that_keeps_its_data_cannot_begin_afresh() -> None:
    """It may be started again with its data, and the others may begin afresh."""
    nodes = tuple(replace(node, data="kept" if node.name == "boot" else "fresh") for node in PLAN.nodes)
    plan = replace(PLAN, nodes=nodes)
    for asked in (wish("restart", on="all"), wish("restart", "data=fresh", on="us")):
        assert compose(asked, plan, Observation(), NOW, seed=1).nodes
    with pytest.raises(InputError) as error:
        compose(wish("restart", "data=fresh", on="boot,us-1"), plan, Observation(), NOW, seed=1)
    assert error.value.message.splitlines() == [
        "data=fresh: boot keeps its data, as the topology says; allowed: nodes with `data: fresh`"
    ]


def test_only_a_disk_of_its_own_can_be_full() -> None:
    """All nodes that have none are named; a size that the kernel does not count in is refused as well."""
    plan = replace(
        PLAN, nodes=tuple(replace(node, disk=2**20 if node.group == "us" else 0) for node in PLAN.nodes)
    )
    found = compose(wish("disk_full", on="us"), plan, Observation(), NOW, seed=1)
    assert (found.nodes, found.parameters) == (("us-1", "us-2", "us-3", "us-4"), {"free": 0.0})
    with pytest.raises(InputError) as error:
        compose(wish("disk_full", "free=1kB", on="boot,us,late"), plan, Observation(), NOW, seed=1)
    assert error.value.message.splitlines() == [
        "--on: boot has no disk of its own; allowed: nodes with `disk: SIZE` in the topology",
        "--on: late has no disk of its own; allowed: nodes with `disk: SIZE` in the topology",
        "free=1kB: 1kB is between two steps; allowed: multiples of 4KiB",
    ]


def test_rest_on_both_sides_has_no_meaning() -> None:
    assert "'rest' without another side" in refused(wish("reject", source="rest", target="rest"))[0]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    said = refused(wish("latency", "latency=80", "toxicty=5%", source="uss", target="region:wset"))
    assert [line.partition(":")[0] for line in said] == ["--from", "--to", "latency=80", "toxicty=5%"]
    said = refused(wish("latancy", "latency=80", source="uss", on="bot"))
    assert [line.partition(":")[0] for line in said] == ["--from", "--on", "latancy"]


def test_what_the_agent_says_becomes_what_selectors_ask() -> None:
    nodes = {
        "a": {"state": "ready", "height": 5, "peers": 2},
        "b": {"state": "exited", "height": 9, "peers": 1},
        "c": {"state": "waiting", "height": None, "peers": None},
    }
    found = observation({"nodes": nodes}, [["a", "b"]])
    assert found == Observation({"a": 5}, {"a": 2}, frozenset({("a", "b")}))


def figure(**more: Any) -> dict[str, Any]:
    usual = {"name": "round trip", "unit": "duration", "asked": 0.08, "found": 0.0812345, "of": 15, "how": ""}
    return {**usual, "holds": True, **more}


def measured(*figures: dict[str, Any], why: str = "") -> dict[str, Any]:
    found = list(figures or (figure(), figure(name="toxics amiss", unit="count", found=0.0, of=2)))
    return {"figures": [] if why else found, "not_measured": why}


def standing(name: str, state: str = "on", **more: Any) -> Standing:
    fault = Fault(
        name,
        "latency",
        {"latency": 0.08, "jitter": 0.0, "toxicity": 1.0},
        (("a", "b"),),
        (),
        1060.0,
        "latency …",
    )
    now = {"state": state, "since": 990.0, "until": 1060.0, "achieved": measured(), "hits": 7}
    return read_standing({**fault.to_raw(), **now, **more})


def test_only_faults_that_are_on_can_be_healed() -> None:
    faults = [standing("f1"), standing("f2", "healed"), standing("f3", "failed")]
    check_ids(["f1", "f3", "f1"], faults)
    with pytest.raises(InputError) as error:
        check_ids(["f2", "f4"], faults)
    assert error.value.message.splitlines() == [
        "f2: this fault has been healed; allowed: f1, f3",
        "f4: this fault is not there; allowed: f1, f3",
    ]


def printed(table: Any, width: int = 200) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_the_list_shows_asked_beside_achieved_and_how_long() -> None:
    faults = [standing("f1"), standing("f2", "healed"), standing("f3", until=0.0, achieved={})]
    assert printed(faults_table(faults, NOW, 200)) == [
        "ID KIND STATE ON ASKED ACHIEVED HITS SINCE UNTIL",
        "f1 latency on a > b latency=80ms round trip 81.23ms, asked 80ms 7 10s 1m00s latency …",
        "f2 latency healed a > b latency=80ms round trip 81.23ms, asked 80ms 7 10s – latency …",
        "f3 latency on a > b latency=80ms – 7 10s healed latency …",
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "–"),
        (measured(why="b does not run"), "not measured: b does not run"),
        (
            measured(figure(), figure(name="toxics amiss", unit="count", found=2.0, of=2, holds=False)),
            "toxics amiss 2 of 2",
        ),
        (
            measured(figure(name="dropped", unit="share", asked=0.05, found=0.0523, of=812)),
            "dropped 5.23%, asked 5% (812 packets)",
        ),
        (
            measured(figure(name="packets passed", unit="count", asked=0, found=0.0, of=26)),
            "packets passed 0 of 26",
        ),
        (
            measured(figure(name="end after", asked=0.1, found=0.1008, how="reset")),
            "end after 100.8ms, asked 100ms (reset)",
        ),
        (
            measured(figure(name="taken by nodes", unit="count", asked=3, found=2, of=3)),
            "taken by nodes 2 of 3",
        ),
        ({**measured(), "failed": {"a": "not today", "b": "no answer"}}, "a: not today; b: no answer"),
        ({"failed": {"a": "no answer"}}, "still: a: no answer"),
        ({**measured(), "after": measured(figure(asked=0.0, found=0.0003))}, "gone"),
        ({**measured(), "after": measured(why="b does not run")}, "–"),
        (
            {**measured(), "after": measured(figure(asked=0.0, holds=False))},
            "still: round trip 81.23ms, asked 0s",
        ),
        (
            measured(figure(name="clock", asked=-86400.5, found=-86400.5, how="in 2 of 2 processes")),
            "clock -86400.5s, asked -86400.5s (in 2 of 2 processes)",
        ),
    ],
)
def test_what_was_measured_is_said_with_its_unit(found: dict[str, Any], said: str) -> None:
    assert achieved(found) == said


def test_a_list_on_a_narrow_terminal_keeps_its_facts() -> None:
    lines = printed(faults_table([standing("f1")], NOW, 100), 100)
    assert len(lines) == 2
    assert "round trip 81.23ms, asked 80ms 7 10s 1m00s" in lines[1]


def test_a_new_fault_is_said_in_one_line() -> None:
    links = tuple((f"us-{number}", "eu-1") for number in range(12))
    fault = Fault("f1", "latency", {"latency": 0.08, "jitter": 0.0, "toxicity": 1.0}, links)
    assert say_new(fault, 60.0) == "f1: latency latency=80ms on 12 links for 1m"
    assert (
        say_new(Fault("f2", "partition", {}, (("a", "b"),)), 0.0)
        == "f2: partition on a > b until it is healed"
    )
    assert say_new(Fault("f3", "restart", {}, nodes=tuple("abcde")), 0.0) == "f3: restart on a … e (5)"


def test_kinds_say_whether_this_machine_can_do_them() -> None:
    found = {"nft": "", "netem": "the kernel does not have it", "relay": "", "cgroups": "not mounted"}
    can = {name: here(kind, found) for name, kind in KINDS.items()}
    assert (can["drop"], can["delay"], can["loss"], can["rate"], can["pause"], can["cpu"]) == (
        "yes", "by relay", "no", "not tried", "yes", "no",
    )  # fmt: skip
    assert here(KINDS["delay"], {**found, "relay": "not there"}) == "no"
    assert printed(kinds_table(KINDS.values(), found, 200))[-1] == "no cgroups here: not mounted"


def test_facts_of_a_fault_are_plain_data() -> None:
    assert json.loads(json.dumps(standing("f1").to_raw()))["achieved"] == measured()
