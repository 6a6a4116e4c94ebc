"""Lines of logs: how many match, whose, and what a bad pattern costs."""

from __future__ import annotations

import time

import pytest
from pydantic import ValidationError
from records import Making, found

from stressnet.checks import search


@pytest.fixture
def logged(making: Making) -> Making:
    making.event(101, "collected")
    texts = {"us-1": "start\npanic: a\n", "us-2": "start\n", "us-3": "start\npanic: b\npanic: c\n"}
    for name, text in texts.items():
        (making.path / "logs" / f"{name}.log").write_text(text)
    return making


def test_without_a_bound_no_line_may_match(logged: Making) -> None:
    """Each line is named with its file, the worst node first."""
    finding = found(logged.made(), "log", pattern="^panic")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-3", "us-1"))
    assert finding.lines == ("us-3:2: panic: b", "us-3:3: panic: c", "us-1:2: panic: a")
    assert finding.numbers == {"lines": 3, "by_node": {"us-3": 2, "us-1": 1}}
    assert found(logged.made(), "log", pattern="^panic", of="us-2").outcome == "pass"


def test_bounds_count_the_lines_of_all_nodes(logged: Making) -> None:
    assert found(logged.made(), "log", pattern="panic", at_most=3).outcome == "pass"
    assert found(logged.made(), "log", pattern="panic", at_most=2).outcome == "fail"
    assert found(logged.made(), "log", pattern="start", at_least=3).outcome == "pass"
    assert found(logged.made(), "log", pattern="start", at_least=4).outcome == "fail"


def test_logs_that_are_not_collected_yet_give_no_verdict(making: Making) -> None:
    """Although the folder is there, and the run over."""
    assert found(making.made(), "log", pattern="x").summary == "the logs are not collected yet"


def test_a_log_that_was_lost_gives_no_verdict(logged: Making) -> None:
    """What is in the others still fails."""
    (logged.path / "logs" / "us-2.log").unlink()
    finding = found(logged.made(), "log", pattern="absent")
    assert (finding.outcome, finding.nodes) == ("inconclusive", ("us-2",))
    assert found(logged.made(), "log", pattern="panic").outcome == "fail"


def test_a_log_without_its_beginning_does_not_show_that_nothing_was_there(logged: Making) -> None:
    logged.event(101, "log cut", node="us-1", bytes=5 << 20, kept=4 << 20)
    assert found(logged.made(), "log", pattern="absent").outcome == "inconclusive"
    assert found(logged.made(), "log", pattern="start", at_least=4).outcome == "inconclusive"
    assert found(logged.made(), "log", pattern="start", at_least=3).outcome == "pass"
    assert found(logged.made(), "log", pattern="absent", of="us-2").outcome == "pass"


def test_a_pattern_that_backtracks_for_ever_is_given_up(
    logged: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logged.path / "logs" / "us-1.log").write_text("a" * 64 + "!\n")
    begun = time.monotonic()
    finding = found(logged.made(), "log", pattern="(a+)+$")
    assert finding.outcome == "inconclusive"
    assert "repetitions within repetitions" in finding.summary
    assert time.monotonic() - begun < 10 * search.LIMIT_S


def test_bytes_that_are_no_text_are_passed_over(logged: Making) -> None:
    (logged.path / "logs" / "us-1.log").write_bytes(b"\xff\xfe panic \x00\r\n")
    assert found(logged.made(), "log", pattern=r"panic .$", of="us-1", at_least=1).outcome == "pass"


@pytest.mark.parametrize("pattern", ["(", "", 5, "a{99999999999}"])
def test_what_is_no_pattern_is_refused(making: Making, pattern: object) -> None:
    with pytest.raises(ValidationError):
        found(making.made(), "log", pattern=pattern)
