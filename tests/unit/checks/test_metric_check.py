"""Bounds on series: on values, rates and rises, for how long, and in which phase."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError
from records import BEGUN, Making, found


def outcome(making: Making, **parameters: Any) -> str:
    return found(making.made(), "metric", **parameters).outcome


def test_a_value_keeps_to_its_bound_or_breaks_it(making: Making) -> None:
    """Who, from when, and by how much, the worst first."""
    making.series("us-1", "tasks", lambda at: 10)
    making.series("us-2", "tasks", lambda at: 60 if at >= 80 else 10)
    making.series("us-3", "tasks", lambda at: 90 if at >= 90 else 10)
    finding = found(making.made(), "metric", name="tasks", at_most=50)
    assert (finding.outcome, finding.nodes, finding.at) == ("fail", ("us-3", "us-2"), BEGUN + 80)
    assert finding.lines[0] == "us-3: 90 at worst, from +1:10 on for 10s"
    assert finding.numbers["worst"] == {"us-1": 10, "us-2": 60, "us-3": 90}
    assert outcome(making, name="tasks", at_most=90) == "pass"
    assert outcome(making, name="tasks", at_most=50, of="us-1") == "pass"


@pytest.mark.parametrize(
    ("bound", "holds"),
    [
        ({"above": 9}, True),
        ({"above": 10}, False),
        ({"at_least": 10}, True),
        ({"at_least": 11}, False),
        ({"below": 11}, True),
        ({"below": 10}, False),
        ({"at_most": 10}, True),
        ({"at_most": 9}, False),
    ],
)
def test_each_bound_is_what_must_hold(making: Making, bound: dict[str, float], holds: bool) -> None:
    for name in making.looks:
        making.series(name, "tasks", lambda _: 10)
    assert outcome(making, name="tasks", **bound) == ("pass" if holds else "fail")


def test_a_series_is_summed_over_its_labels(making: Making) -> None:
    for label in "ab":
        making.series("us-1", f'peers{{way="{label}"}}', lambda _: 4)
    assert found(making.made(), "metric", name="peers", at_most=7, of="us-1").numbers["worst"] == {"us-1": 8}


def test_a_bound_may_be_broken_for_a_while(making: Making) -> None:
    """What lasts as long as `for` fails; two short times are not a long one."""
    making.series("us-1", "tasks", lambda at: 60 if 70 <= at <= 76 or 80 <= at <= 86 else 10)
    assert outcome(making, name="tasks", of="us-1", at_most=50, **{"for": "6s"}) == "fail"
    assert outcome(making, name="tasks", of="us-1", at_most=50, **{"for": "7s"}) == "pass"


def test_a_time_without_looks_is_not_a_breach(making: Making) -> None:
    making.plan = replace(making.plan, sampling=replace(making.plan.sampling, every_s=0.5, closely_s=2.0))
    making.series("us-1", "tasks", lambda at: None if 72 < at < 90 else 60)
    assert outcome(making, name="tasks", of="us-1", at_most=50, **{"for": "15s"}) == "pass"


def test_only_the_phase_counts(making: Making) -> None:
    for name in making.looks:
        making.series(name, "tasks", lambda at: 60 if 30 < at < 40 else 10)
    assert outcome(making, name="tasks", at_most=50) == "pass"
    assert outcome(making, name="tasks", at_most=50, **{"in": "baseline"}) == "pass"
    assert outcome(making, name="tasks", at_most=50, **{"in": "timeline"}) == "fail"
    assert outcome(making, name="tasks", at_most=50, **{"in": "all"}) == "fail"


def test_a_rate_is_of_a_second(making: Making) -> None:
    making.series("us-1", "sent", lambda at: 3 * at if at < 80 else 240 + 10 * (at - 80))
    finding = found(making.made(), "metric", name="sent", of="us-1", take="rate", at_most=5)
    assert (finding.outcome, finding.at) == ("fail", BEGUN + 82)
    assert finding.summary == "the rate of sent of us-1 was not at most 5/s: 10"
    assert outcome(making, name="sent", of="us-1", take="rate", at_most=10) == "pass"


def restarted(at: float) -> dict[str, Any]:
    return {"height": int(2 * at), "starts": 1 if at < 80 else 2}


def test_a_counter_begins_anew_with_its_node(making: Making) -> None:
    """It rose by 40 from second 60 to 80, and by 20 after that."""
    making.looks["us-1"] = restarted
    making.series("us-1", "sent", lambda at: 2 * at if at < 80 else at - 80)
    rise = found(making.made(), "metric", name="sent", of="us-1", take="rise", at_most=1).numbers["worst"][
        "us-1"
    ]
    assert rise == pytest.approx(58, abs=2.1)
    assert outcome(making, name="sent", of="us-1", take="rate", at_least=0) == "pass"


def test_what_falls_while_its_node_lives_has_fallen(making: Making) -> None:
    making.series("us-1", "streams", lambda at: 100 - at)
    numbers = found(making.made(), "metric", name="streams", of="us-1", take="rise", below=0).numbers
    assert numbers["worst"] == {"us-1": pytest.approx(-40)}


def test_a_rise_is_judged_when_its_phase_is_over(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    making.until = 80.0
    making.series("us-1", "sent", lambda at: 2 * at)
    assert outcome(making, name="sent", of="us-1", take="rise", at_most=10) == "inconclusive"
    assert outcome(making, name="sent", of="us-1", take="rise", at_most=10, **{"in": "timeline"}) == "fail"


def test_a_series_that_nobody_tells_gives_no_verdict(making: Making) -> None:
    making.series("us-1", "syncnode_tasks", lambda _: 10)
    finding = found(making.made(), "metric", name="syncnode_task", at_most=5, of="us-1")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "no node told a series 'syncnode_task' (did you mean 'syncnode_tasks'?)"


def test_no_metrics_at_all_give_no_verdict(making: Making) -> None:
    assert outcome(making, name="tasks", at_most=5) == "inconclusive"


def test_a_counter_that_is_not_there_has_counted_nothing(making: Making) -> None:
    """Of a node that tells other series; of one that tells none, nothing is known."""
    making.series("us-1", "failed", lambda _: 1)
    making.series("us-2", "tasks", lambda _: 1)
    assert outcome(making, name="failed", at_most=5, of="us-1,us-2") == "pass"
    assert outcome(making, name="failed", at_least=1, of="us-1,us-2") == "inconclusive"
    finding = found(making.made(), "metric", name="failed", at_most=5)
    assert (finding.outcome, finding.nodes) == ("inconclusive", ("us-3",))


@pytest.mark.parametrize("phase", ["baseline", "timeline", "observe", "all"])
def test_a_counter_that_is_not_there_has_counted_nothing_in_any_phase(making: Making, phase: str) -> None:
    """Also where its node told others after the phase, or after the run was over."""
    making.until = 104.0
    making.series("us-1", "failed", lambda _: 1)
    making.series("us-2", "tasks", lambda _: 1)
    assert outcome(making, name="failed", at_most=5, of="us-1,us-2", **{"in": phase}) == "pass"


def test_a_node_that_told_nothing_in_the_phase_is_not_known(making: Making) -> None:
    """Whatever it told before and after."""
    making.series("us-1", "failed", lambda _: 1)
    making.series("us-2", "tasks", lambda at: None if 20 <= at <= 60 else 1)
    finding = found(making.made(), "metric", name="failed", at_most=5, of="us-1,us-2", **{"in": "timeline"})
    assert (finding.outcome, finding.nodes) == ("inconclusive", ("us-2",))


def test_before_its_phase_nothing_is_known(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20)
    making.series("us-1", "tasks", lambda _: 100)
    assert outcome(making, name="tasks", at_most=5) == "inconclusive"


@pytest.mark.parametrize(
    "parameters",
    [
        {"name": "x"},
        {"name": "x", "above": 1, "below": 2},
        {"name": "x", "above": "1"},
        {"name": "x", "at_most": float("nan")},
        {"name": "x", "at_most": 1, "take": "rise", "for": "5s"},
        {"name": "x", "at_most": 1, "for": 5},
        {"name": "x", "at_most": 1, "in": "settle"},
        {"at_most": 1},
    ],
)
def test_parameters_without_sense_are_refused(making: Making, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        found(making.made(), "metric", **parameters)
