"""How long nodes take after the heal, and what is noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from records import Making, Sampled, exited, found, healthy


def back_at(second: float) -> object:
    """A node that is far behind until a second."""

    def look(at: float) -> Sampled:
        return healthy(at) if at < 30 or at >= second else {"height": 60}

    return look


def test_who_is_in_step_in_time_has_recovered(making: Making) -> None:
    making.cut("us-2", 30, 58)
    making.looks["us-2"] = back_at(70)  # type: ignore[assignment]
    finding = found(making.made(), "recovery", within="20s")
    assert finding.outcome == "pass"
    assert finding.numbers["seconds"]["us-2"] == pytest.approx(10, abs=0.6)
    assert finding.lines[0].startswith("us-2: 10")


def test_who_is_late_has_not(making: Making) -> None:
    making.looks["us-2"] = back_at(85)  # type: ignore[assignment]
    finding = found(making.made(), "recovery", within="20s")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.lines[0] == "us-2: 25.0 s; nothing had been done to it"
    assert finding.numbers["untouched_but_failed"] == ["us-2"]


def test_who_never_comes_back_has_not(making: Making) -> None:
    making.cut("us-2", 30, 58)
    making.looks["us-2"] = back_at(1000)  # type: ignore[assignment]
    finding = found(making.made(), "recovery", within="20s")
    assert finding.outcome == "fail"
    assert finding.lines[0] == "us-2: was not in step at the end"
    assert finding.numbers["untouched_but_failed"] == []


def test_one_look_out_of_step_is_noise(making: Making) -> None:
    """Late in the time, and at the very end of the record."""
    making.looks["us-2"] = lambda at: {"height": int(2 * at) - (4 if at in (95.0, 99.5, 100.0) else 0)}
    finding = found(making.made(), "recovery", within="20s")
    assert finding.outcome == "pass"
    assert finding.numbers["seconds"]["us-2"] == 0.0


def test_a_relapse_is_no_noise(making: Making) -> None:
    making.looks["us-2"] = lambda at: {"height": int(2 * at) - (4 if 90 <= at < 94 else 0)}
    finding = found(making.made(), "recovery", within="20s")
    assert finding.outcome == "fail"
    assert finding.numbers["seconds"]["us-2"] == pytest.approx(34, abs=0.6)


def test_who_has_ended_has_not_recovered(making: Making) -> None:
    making.looks["us-2"] = lambda at: healthy(at) if at < 99 else {"state": "exited", "pid": 0}
    finding = found(making.made(), "recovery", within="20s")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.lines[0].startswith("us-2: has exited")


@pytest.mark.parametrize("height", [None, 60])
def test_a_net_that_has_ended_has_not_recovered(making: Making, height: int | None) -> None:
    """Though nobody is left to say a height."""
    for name in making.looks:
        making.looks[name] = lambda at: healthy(at) if at < 30 else exited(height)
    finding = found(making.made(), "recovery", within="20s")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-1", "us-2", "us-3"))
    assert finding.lines[0].startswith("us-1: has exited")


def test_who_ended_before_it_said_a_height_has_not_recovered(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda _: exited()
    assert found(making.made(), "recovery", within="20s").outcome == "fail"


def test_who_was_watched_for_less_than_the_time_gives_no_verdict(making: Making) -> None:
    making.looks["us-2"] = back_at(1000)  # type: ignore[assignment]
    assert found(making.made(), "recovery", within="60s").outcome == "inconclusive"


def test_while_the_time_goes_on_nothing_has_failed(making: Making) -> None:
    """It has when the time is over, although the run goes on."""
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    making.looks["us-2"] = back_at(1000)  # type: ignore[assignment]
    making.until = 70.0
    finding = found(making.made(), "recovery", within="20s")
    assert (finding.outcome, finding.summary) == ("inconclusive", "us-2 not in step yet")
    making.until = 81.0
    assert found(making.made(), "recovery", within="20s").outcome == "fail"


def test_before_the_heal_nothing_is_known(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20)
    assert found(making.made(), "recovery", within="20s").outcome == "inconclusive"


def test_nodes_without_a_height_are_left_out(making: Making) -> None:
    nodes = tuple(replace(node, height=None) if node.name == "us-3" else node for node in making.plan.nodes)
    making.plan = replace(making.plan, nodes=nodes)
    making.looks["us-3"] = lambda _: {}
    making.looks["us-2"] = lambda _: {"state": "waiting", "pid": 0, "starts": 0}
    finding = found(making.made(), "recovery", within="20s")
    assert finding.outcome == "pass"
    assert set(finding.numbers["seconds"]) == {"us-1"}
    assert "us-2: has no height, or was not started" in finding.lines


def test_a_net_without_heights_gives_no_verdict(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda _: {}
    assert found(making.made(), "recovery", within="20s").summary == "no node said its height"
