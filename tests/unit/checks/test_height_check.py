"""Heights that must be reached, and blocks that must be gained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError
from records import Making, exited, found, healthy


def test_a_height_is_reached_by_all_or_not(making: Making) -> None:
    making.looks["us-2"] = lambda at: {"height": min(150, int(2 * at))}
    assert found(making.made(), "height", reaches=150).outcome == "pass"
    finding = found(making.made(), "height", reaches=151)
    assert (finding.outcome, finding.nodes, finding.lines[0]) == ("fail", ("us-2",), "us-2: 150")
    assert found(making.made(), "height", reaches=151, of="us-1").outcome == "pass"


def test_blocks_are_counted_from_the_heal(making: Making) -> None:
    """However many there were before it."""
    making.looks["us-2"] = lambda at: {"height": min(130, int(2 * at))}
    assert found(making.made(), "height", gains=10).outcome == "pass"
    assert found(making.made(), "height", gains=11).outcome == "fail"


def test_while_the_run_goes_on_nothing_has_failed(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    making.until = 70.0
    assert found(making.made(), "height", reaches=150).outcome == "inconclusive"
    assert found(making.made(), "height", reaches=120).outcome == "pass"


def test_before_the_heal_nothing_is_known(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20)
    assert found(making.made(), "height", reaches=1).outcome == "inconclusive"


@pytest.mark.parametrize("parameters", [{"reaches": 50}, {"gains": 10}])
def test_who_has_ended_has_not_reached_it(making: Making, parameters: dict[str, int]) -> None:
    """However high it was, and though records of earlier versions go on telling its last height."""
    making.looks["us-2"] = lambda at: healthy(at) if at < 90 else exited(180)
    finding = found(making.made(), "height", **parameters)
    assert (finding.outcome, finding.nodes, finding.lines[0]) == ("fail", ("us-2",), "us-2: has exited")


def test_a_net_that_has_ended_has_not_reached_it(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda at: healthy(at) if at < 30 else exited(60)
    finding = found(making.made(), "height", reaches=50)
    assert (finding.outcome, finding.nodes) == ("fail", ("us-1", "us-2", "us-3"))


def test_who_was_started_again_counts_from_then(making: Making) -> None:
    making.looks["us-2"] = lambda at: healthy(at) if at < 70 else exited(140) if at < 80 else {"height": 60}
    assert found(making.made(), "height", reaches=60).outcome == "pass"
    assert found(making.made(), "height", reaches=61).outcome == "fail"
    assert found(making.made(), "height", gains=1).outcome == "fail"


def test_who_tells_its_height_no_more_has_what_it_told(making: Making) -> None:
    """What it has gained since is not known."""
    making.looks["us-2"] = lambda at: healthy(at) if at < 50 else {"height": None}
    assert found(making.made(), "height", reaches=99).outcome == "pass"
    assert found(making.made(), "height", reaches=100).outcome == "fail"
    finding = found(making.made(), "height", gains=1)
    assert (finding.outcome, finding.lines[0]) == ("fail", "us-2: not known")


def test_what_cannot_be_seen_gives_no_verdict(making: Making) -> None:
    """A node without a probe, and one that nobody looked at."""
    nodes = tuple(replace(node, height=None) if node.name == "us-2" else node for node in making.plan.nodes)
    making.plan = replace(making.plan, nodes=nodes)
    making.looks["us-2"] = lambda _: {}
    making.looks["us-3"] = lambda at: healthy(at) if at < 50 else None
    finding = found(making.made(), "height", reaches=50)
    assert (finding.outcome, finding.nodes) == ("inconclusive", ("us-2", "us-3"))


@pytest.mark.parametrize("parameters", [{}, {"reaches": 5, "gains": 5}])
def test_exactly_one_of_both_is_asked(making: Making, parameters: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        found(making.made(), "height", **parameters)
