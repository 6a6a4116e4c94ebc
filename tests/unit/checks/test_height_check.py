"""Heights that must be reached, and blocks that must be gained."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError
from records import Making, found, healthy


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


def test_who_has_ended_has_not_reached_it(making: Making) -> None:
    making.looks["us-2"] = lambda at: healthy(at) if at < 50 else {"state": "exited", "pid": 0}
    assert found(making.made(), "height", reaches=50).outcome == "fail"


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
