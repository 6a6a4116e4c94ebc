"""What a run took, beside its verdict: seconds, CPU, bytes, and what it used at its busiest."""

from __future__ import annotations

import pytest
from records import OBSERVE, TIMELINE, Making, Sampled

from stressnet.checks.measures import busy, measures

STARTED, STEEP = 30.0, 4
"""When a late node starts, and how many blocks a second it gains."""


def late(at: float) -> Sampled:
    """A node that begins at 0 when the others have 60, and gains twice as much a second."""
    if at < STARTED:
        return {"state": "waiting", "pid": 0, "starts": 0}
    return {"height": min(int(STEEP * (at - STARTED)), int(2 * at))}


def test_a_late_node_catches_up_with_those_that_go_on(making: Making) -> None:
    """At 60 s it is where they are, give or take what is under way."""
    making.looks["us-2"] = late
    took = measures(making.made())
    assert took["catch_up_s"] == pytest.approx(30.0, abs=4.0)
    assert "recovery_s" not in took


def test_what_is_not_over_has_no_figure(making: Making) -> None:
    making.looks["us-2"] = lambda at: {"height": 5} if at >= STARTED else late(at)
    assert "catch_up_s" not in measures(making.made())


def test_recovery_is_of_the_slowest_from_the_end_of_faults_on(making: Making) -> None:
    def cut_off(at: float) -> Sampled:
        if TIMELINE + 10 <= at < OBSERVE:
            return {"height": int(2 * (TIMELINE + 10))}
        return {"height": int(2 * at)} if at >= OBSERVE + 8 or at < TIMELINE + 10 else {"height": 60}

    making.looks["us-3"] = cut_off
    making.cut("us-3", TIMELINE + 10, OBSERVE)
    assert measures(making.made())["recovery_s"] == pytest.approx(8.0, abs=1.0)


def test_counters_are_of_all_nodes_from_the_timeline_on_and_begin_anew_with_a_life(making: Making) -> None:
    def restarted(at: float) -> Sampled:
        life = 0 if at < 70 else 1
        return {
            "height": int(2 * at),
            "pid": 100 + life,
            "starts": 1 + life,
            "cpu_s": 0.5 * (at - 70 * life),
            "opens": 3,
        }

    making.looks["us-1"] = restarted
    took = measures(making.made())
    assert took["cpu_s"] == pytest.approx(0.5 * 79.5)  # all but the half second between two lives
    assert took["opens"] == 0
    assert "sent_bytes" not in took


def test_how_busy_a_run_was_is_told_once_the_net_had_settled(making: Making) -> None:
    """Of nodes and of the harness together: a spin for a while is told, and when; the start is not."""

    def spins(at: float) -> Sampled:
        return {
            "height": int(2 * at),
            "cpu_s": 2.0 * min(at, 5.0) + max(0.0, min(at, 50.0) - 40.0) + 0.1 * at,
        }

    making.looks["us-2"] = spins
    making.host = lambda at: {"agent_cpu_s": 0.05 * at, "relays_cpu_s": 0.15 * at}
    found = busy(making.made())
    assert found[:2] == (0, 0)
    assert found[3:-1] == pytest.approx([0.3] * 5 + [1.2, 1.3, 0.4] + [0.3] * 9, abs=0.01)


def test_a_run_that_was_not_looked_at_tells_no_need(making: Making) -> None:
    making.phases(settle=0.0, over=5.0)
    assert busy(making.made()) == ()
