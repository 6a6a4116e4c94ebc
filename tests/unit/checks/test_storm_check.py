"""Storms of discovery: who, when, how much more than usual, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from records import BEGUN, Making, found


def opening(rate: Callable[[float], float], starts: Callable[[float], int] = lambda _: 1) -> Any:
    """A node that opens so many connections a second; its counter begins anew with each start."""

    def look(at: float) -> dict[str, Any]:
        opens, life = 0.0, starts(0.0)
        for number in range(int(at * 2)):
            now = number / 2
            opens = 0.0 if starts(now) != life else opens
            life = starts(now)
            opens += rate(now) / 2
        return {"height": int(2 * at), "opens": int(opens), "starts": starts(at), "cpu_s": at * 0.1}

    return look


@pytest.fixture
def quiet(making: Making) -> Making:
    for name in making.looks:
        making.looks[name] = opening(lambda _: 0.4)
    return making


def test_a_net_that_calls_as_always_has_no_storm(quiet: Making) -> None:
    finding = found(quiet.made(), "discovery_storm")
    assert finding.outcome == "pass"
    usual = {(one["node"], one["measure"]): one["baseline"] for one in finding.numbers["rates"]}
    for name in quiet.looks:
        assert usual[name, "connections"] == pytest.approx(0.4, abs=0.05)
        assert usual[name, "cpu_per_block"] == pytest.approx(0.05, abs=0.002)


def test_who_calls_ten_times_as_often_is_named(quiet: Making) -> None:
    """With when, how much, what is usual, and that it went on after the heal."""
    quiet.looks["us-2"] = opening(lambda at: 0.4 if at < 40 else 4.0)
    finding = found(quiet.made(), "discovery_storm")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.at == pytest.approx(BEGUN + 43.5, abs=1.5)
    assert finding.summary.startswith(
        "us-2: up to 4 connection attempts/s, 10 times in the baseline, from +0:2"
    )
    assert finding.summary.endswith("for 40s after the heal and to the end")
    assert "baseline 0.4/s" in finding.lines[0]


def test_a_storm_that_ended_before_the_heal_is_told_as_that(quiet: Making) -> None:
    quiet.looks["us-2"] = opening(lambda at: 4.0 if 30 <= at < 40 else 0.4)
    finding = found(quiet.made(), "discovery_storm")
    assert finding.summary.endswith("not after the heal")
    assert found(quiet.made(), "discovery_storm", during=["observe"]).outcome == "pass"


def test_a_storm_that_ended_after_the_heal_is_told_as_that(quiet: Making) -> None:
    quiet.looks["us-2"] = opening(lambda at: 4.0 if 40 <= at < 80 else 0.4)
    assert found(quiet.made(), "discovery_storm").summary.endswith("after the heal")


def test_bounds_are_as_asked(quiet: Making) -> None:
    quiet.looks["us-2"] = opening(lambda at: 0.4 if at < 40 else 4.0)
    assert found(quiet.made(), "discovery_storm", times_baseline=12).outcome == "pass"
    assert found(quiet.made(), "discovery_storm", at_least="5/s").outcome == "pass"
    assert found(quiet.made(), "discovery_storm", of="us-1").outcome == "pass"


def test_a_short_burst_is_no_storm(quiet: Making) -> None:
    """Over the window it is little."""
    quiet.looks["us-2"] = opening(lambda at: 8.0 if 40 <= at < 40.5 else 0.4)
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    assert found(quiet.made(), "discovery_storm", window="500ms", at_least="1/s").outcome == "fail"


def test_what_may_be_chance_is_not_decided(quiet: Making) -> None:
    """Nine calls in five seconds may come to a node that makes two on average; a plan may say otherwise."""
    quiet.looks["us-2"] = opening(lambda at: 2.2 if 40 <= at < 44 else 0.4)
    finding = found(quiet.made(), "discovery_storm", times_baseline=3)
    assert finding.outcome == "inconclusive"
    assert finding.summary.endswith("may be chance: a baseline of 10s tells too little")
    assert found(quiet.made(), "discovery_storm", times_baseline=3, at_least="1/s").outcome == "fail"


def test_a_long_baseline_tells_more(quiet: Making) -> None:
    """The same rate may be chance beside ten seconds, and is a storm beside fifty."""
    quiet.looks["us-2"] = opening(lambda at: 2.6 if 70 <= at < 76 else 0.4)
    assert found(quiet.made(), "discovery_storm").outcome == "inconclusive"
    quiet.phases(settle=0, baseline=10, timeline=60, observe=80, over=100)
    assert found(quiet.made(), "discovery_storm").outcome == "fail"


def test_many_times_next_to_nothing_is_no_storm(quiet: Making) -> None:
    for name in quiet.looks:
        quiet.looks[name] = opening(lambda at: 0.0 if at < 30 else 0.6)
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    assert found(quiet.made(), "discovery_storm", at_least="0.5/s").outcome == "fail"


def test_a_faster_protocol_does_everything_more_often(quiet: Making) -> None:
    """Unless the plan says how much is a storm."""
    quiet.looks["us-2"] = opening(lambda at: 0.4 if at < 40 else 4.0)
    quiet.time_scale = 5.0
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    assert found(quiet.made(), "discovery_storm", at_least="1/s").outcome == "fail"
    quiet.time_scale = 3.0
    assert found(quiet.made(), "discovery_storm").outcome == "fail"


def test_a_node_that_was_quiet_is_held_against_the_net(quiet: Making) -> None:
    """It happened not to call anybody in the baseline, as the others did once a second."""
    for name in quiet.looks:
        quiet.looks[name] = opening(lambda _: 1.0)
    quiet.looks["us-2"] = opening(lambda at: 0.0 if at < 30 else 3.0)
    assert found(quiet.made(), "discovery_storm").outcome == "pass"


def test_who_was_started_anew_may_look_for_its_peers(quiet: Making) -> None:
    """A burst at a start is no storm; one that does not end is."""
    started = lambda at: 1 if at < 40 else 2  # noqa: E731
    quiet.looks["us-2"] = opening(lambda at: 8.0 if 40 <= at < 44 else 0.4, started)
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    quiet.looks["us-2"] = opening(lambda at: 8.0 if at >= 40 else 0.4, started)
    assert found(quiet.made(), "discovery_storm").outcome == "fail"


def test_a_late_node_is_held_against_the_net(quiet: Making) -> None:
    calling = opening(lambda at: 8.0)
    quiet.looks["us-2"] = lambda at: {"state": "waiting", "starts": 0, "pid": 0} if at < 30 else calling(at)
    finding = found(quiet.made(), "discovery_storm")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))


def mapped(making: Making, **series: str) -> None:
    """Let the kind of all nodes say which series count."""
    nodes = tuple(replace(node, series=series) for node in making.plan.nodes)
    making.plan = replace(making.plan, nodes=nodes)


def test_discoveries_count_where_the_kind_names_their_series(quiet: Making) -> None:
    """A node can look for peers over the connections that it has."""
    mapped(quiet)
    for name in quiet.looks:
        quiet.series(name, "discover_total", lambda at: 0.5 * at)
    quiet.series("us-3", "discover_total", lambda at: 0.0 if at < 50 else 10 * (at - 50))
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    mapped(quiet, discoveries="discover_total")
    finding = found(quiet.made(), "discovery_storm")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-3",))
    assert "discoveries/s" in finding.summary
    assert found(quiet.made(), "discovery_storm", counts=["connections"]).outcome == "pass"


def test_streams_are_reported_and_fail_only_where_asked(quiet: Making) -> None:
    mapped(quiet, streams_opened="opened_total")
    for name in quiet.looks:
        quiet.series(name, "opened_total", lambda at: 0.0 if at < 50 else 10 * (at - 50))
    finding = found(quiet.made(), "discovery_storm")
    assert finding.outcome == "pass"
    assert max(one["worst"] for one in finding.numbers["rates"] if one["measure"] == "streams") == 10
    assert found(quiet.made(), "discovery_storm", counts=["streams"]).outcome == "fail"


def working(cores: Callable[[float], float], blocks: Callable[[float], int]) -> Any:
    """A node that takes so much of a CPU, and is so high."""

    def look(at: float) -> dict[str, Any]:
        cpu = sum(cores(number / 10) for number in range(int(at * 10))) / 10
        return {"height": blocks(at), "opens": int(at * 0.4), "cpu_s": round(cpu, 2)}

    return look


def every_half_s(at: float) -> int:
    return int(2 * at)


def test_cpu_time_a_block_is_reported_and_fails_only_where_asked(quiet: Making) -> None:
    """Ten times the work for the same blocks."""
    for name in quiet.looks:
        quiet.looks[name] = working(lambda _: 0.04, every_half_s)
    quiet.looks["us-3"] = working(lambda at: 0.04 if at < 40 else 0.4, every_half_s)
    assert found(quiet.made(), "discovery_storm").outcome == "pass"
    finding = found(quiet.made(), "discovery_storm", counts=["cpu_per_block"])
    assert (finding.outcome, finding.nodes) == ("fail", ("us-3",))
    assert finding.summary.startswith("us-3: up to 200ms of CPU a block, 10 times in the baseline")
    assert "baseline 20ms)" in finding.lines[0]


def test_few_blocks_of_a_node_that_does_little_are_no_storm(quiet: Making) -> None:
    """A chain that slows down makes each of its blocks dear, and nobody works more for it."""
    for name in quiet.looks:
        quiet.looks[name] = working(lambda _: 0.04, lambda at: int(2 * min(at, 40) + max(at - 40, 0) / 4))
    assert found(quiet.made(), "discovery_storm", counts=["cpu_per_block"]).outcome == "pass"


def test_no_blocks_tell_nothing_of_the_cpu_time_that_they_take(quiet: Making) -> None:
    for name in quiet.looks:
        quiet.looks[name] = working(lambda _: 0.5, lambda at: int(2 * min(at, 20)))
    finding = found(quiet.made(), "discovery_storm", counts=["cpu_per_block"])
    assert finding.outcome == "inconclusive"
    assert finding.summary.startswith("cpu_per_block of no node could be counted for 5s")


def test_without_a_baseline_nothing_is_known(quiet: Making) -> None:
    quiet.phases(settle=0, baseline=19.9, timeline=20, observe=60, over=100)
    finding = found(quiet.made(), "discovery_storm")
    assert finding.outcome == "inconclusive"
    assert "what is normal is not known" in finding.summary


def test_before_the_timeline_nothing_is_known(quiet: Making) -> None:
    quiet.phases(settle=0, baseline=10)
    quiet.until = 15.0
    assert found(quiet.made(), "discovery_storm").outcome == "inconclusive"


def test_a_storm_fails_while_the_run_goes_on(quiet: Making) -> None:
    quiet.phases(settle=0, baseline=10, timeline=20)
    quiet.until = 50.0
    quiet.looks["us-2"] = opening(lambda at: 0.4 if at < 40 else 4.0)
    assert found(quiet.made(), "discovery_storm").outcome == "fail"
