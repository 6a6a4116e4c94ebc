"""What all findings of a run amount to."""

from __future__ import annotations

from typing import Any

import pytest
from records import Making

from stressnet.checks import verdict as verdict_module
from stressnet.checks.check import Check, Finding, Nothing
from stressnet.checks.registry import CHECKS
from stressnet.checks.verdict import Verdict, judge
from stressnet.record.record import Record

REACHED = {"name": "high", "check": "height", "parameters": {"reaches": 100}}
NOT_REACHED = {"name": "higher", "check": "height", "parameters": {"reaches": 1000}}
NOT_KNOWN = {"name": "series", "check": "metric", "parameters": {"name": "x", "at_most": 1}}


def verdict(making: Making, *asked: dict[str, Any]) -> Verdict:
    return judge(making.made(), asked)


def test_what_holds_passes(making: Making) -> None:
    one = verdict(making, REACHED)
    assert (one.outcome, one.exit_code) == ("pass", 0)
    assert one.reason == "height: 100 or more everywhere"
    assert verdict(making, REACHED, {**REACHED, "name": "again"}).reason == "all 2 checks hold"


def test_what_fails_is_named(making: Making) -> None:
    one = verdict(making, REACHED, NOT_REACHED)
    assert (one.outcome, one.exit_code) == ("fail", 1)
    assert one.reason.startswith("higher: ")


def test_a_failure_counts_more_than_what_is_not_known(making: Making) -> None:
    assert verdict(making, NOT_KNOWN, NOT_REACHED).outcome == "fail"
    assert verdict(making, NOT_KNOWN, REACHED).outcome == "inconclusive"


def test_the_machine_counts_more_than_a_failure(making: Making) -> None:
    """Who was starved of CPU by others has not failed."""
    making.host = lambda at: {"late_s": 3.0}
    one = verdict(making, NOT_REACHED)
    assert (one.outcome, one.exit_code) == ("inconclusive", 2)
    assert one.reason.startswith("host_healthy: ")


def test_a_run_that_was_stopped_gives_no_verdict(making: Making) -> None:
    making.event(50, "stopped", why="interrupted")
    assert verdict(making, NOT_REACHED).reason == "the run is not complete: interrupted"


def test_a_run_that_goes_on_gives_no_verdict(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    assert verdict(making, REACHED).outcome == "inconclusive"


def test_a_verdict_is_read_back_as_it_was(making: Making) -> None:
    one = verdict(making, REACHED, NOT_REACHED)
    again = Verdict.from_raw(one.to_raw())
    assert (again.outcome, again.reason) == (one.outcome, one.reason)
    assert [two.finding.outcome for two in again.judgements] == ["pass", "fail", "pass", "pass", "pass"]


def test_what_is_asked_last_stands_where_it_was_written(
    making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def noting(name: str, *, last: bool) -> Check:
        def judge(_: Record, __: Nothing) -> Finding:
            order.append(name)
            return Finding("pass", name)

        return Check(name, "", Nothing, judge, last=last)

    checks = {"late": noting("late", last=True), "early": noting("early", last=False)}
    monkeypatch.setattr(verdict_module, "CHECKS", checks)
    asked = [{"name": name, "check": name, "parameters": {}} for name in checks]
    assert [one.name for one in verdict(making, *asked).judgements] == ["late", "early"]
    assert order == ["early", "late"]
    assert CHECKS["command"].last
