"""What a probe is compared with is what all faults on its link amount to, each way by itself."""

from __future__ import annotations

from typing import Any

import pytest

from stressnet.faults.compose import packets, toxics
from stressnet.faults.expect import PAYLOAD, Holding, Way
from stressnet.faults.fault import Fault

AB, BA = ("a", "b"), ("b", "a")


def ways(*faults: tuple[str, tuple[str, str], dict[str, Any]], opener: str = "a") -> tuple[Way, Way]:
    made = [Fault(f"f{number}", kind, given, (link,)) for number, (kind, link, given) in enumerate(faults)]
    return Holding(packets(made), toxics(made)).ways(*(AB if opener == "a" else BA))


def test_delays_add_each_way_whoever_opens() -> None:
    faults = (
        ("latency", AB, {"latency": 0.06, "jitter": 0.01}),
        ("latency", AB, {"latency": 0.04}),
        ("latency", BA, {"latency": 0.1}),
        ("delay", AB, {"delay": 0.005, "jitter": 0.001}),
    )
    up, down = ways(*faults)
    assert up.delay_s == pytest.approx(0.105)
    assert sorted(up.jitters_s) == [0.001, 0.01]
    assert (down.delay_s, down.jitters_s) == (0.1, ())
    assert ways(*faults, opener="b") == (down, up)


def test_the_narrowest_rate_wins_and_small_messages_wait_for_each() -> None:
    up, down = ways(
        ("bandwidth", AB, {"rate": 1e6}), ("bandwidth", AB, {"rate": 8e3}), ("rate", BA, {"rate": 1e6})
    )
    assert up.rate == 8e3
    assert up.takes_s(64) == pytest.approx(0.064 + 0.000512)
    assert down.rate == 1e6 * PAYLOAD


def test_a_reset_waits_for_data_that_is_delayed() -> None:
    """Whichever was added first: resets stand behind all others."""
    slow, reset = ("latency", AB, {"latency": 0.2}), ("reset", AB, {"timeout": 0.1})
    assert ways(slow, reset)[0].reset_s == pytest.approx(0.3)
    assert ways(reset, slow)[0].reset_s == pytest.approx(0.3)
    assert ways(slow)[0].reset_s is None


def test_what_ends_or_silences_is_known() -> None:
    up, down = ways(
        ("stall", AB, {}),
        ("cut", AB, {"bytes": 900}),
        ("cut", AB, {"bytes": 500}),
        ("slow_close", AB, {"delay": 0.5}),
        ("slow_close", AB, {"delay": 0.25}),
        ("partition", BA, {}),
    )
    assert (up.stalled, up.cut, up.close_s, up.delay_s, up.silent) == (True, 500, 0.75, 0.0, False)
    assert (down.stalled, down.cut, down.silent) == (False, None, True)
    assert ways(("drop", AB, {"probability": 0.1}))[0].lossy
    assert ways(("slice", AB, {"average_size": 64, "size_variation": 0, "delay": 0.001}))[0].sliced


def test_only_the_links_in_question_matter() -> None:
    def holding(*links: tuple[str, str]) -> Holding:
        made = [Fault("f1", "latency", {"latency": 0.1}, links), Fault("f2", "partition", {}, links)]
        return Holding(packets(made), toxics(made))

    assert holding(AB).same(holding(AB, ("a", "c")), [AB])
    assert not holding(AB).same(holding(AB, ("a", "c")), [("c", "a")])
