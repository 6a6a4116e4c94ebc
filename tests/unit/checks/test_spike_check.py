"""What shoots up is told from what is normal, and from what goes up all the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from records import BEGUN, Making, found

MiB = 2**20
Curve = Callable[[float], float]


def busy(cpu: Curve, memory: Curve = lambda _: 30.0 * MiB, life: Callable[[float], int] = lambda _: 1) -> Any:
    """A node that uses so many cores; its CPU time begins anew with each start."""

    def look(at: float) -> dict[str, Any]:
        halves = range(int(at * 2))
        seconds = sum(cpu(half / 2) / 2 for half in halves if life(half / 2) == life(at))
        return {
            "height": int(2 * at),
            "cpu_s": seconds,
            "rss_bytes": int(memory(at)),
            "starts": life(at),
            "opens": 5,
        }

    return look


def between(begun: float, ended: float, high: float, low: float) -> Curve:
    return lambda at: high if begun <= at < ended else low


@pytest.fixture
def quiet(making: Making) -> Making:
    """Watched from 10 to 20 s without faults, from 20 to 60 with, and then for 40 s."""
    for name in making.looks:
        making.looks[name] = busy(lambda _: 0.02)
        making.series(name, "syncnode_open_streams", lambda _: 4, every=0.5)
        making.series(name, "hmy_stream_discover", lambda at: at // 5, every=0.5)
    return making


def told(making: Making, series: str, name: str, value: Curve) -> None:
    making.metrics = [one for one in making.metrics if one[1:3] != (name, series)]
    making.series(name, series, value, every=0.5)


def test_a_net_that_works_as_always_has_no_spike(quiet: Making) -> None:
    finding = found(quiet.made(), "spike")
    assert (finding.outcome, finding.lines) == ("pass", ())
    assert finding.numbers["usual"]["cpu"]["us-2"] == pytest.approx(0.02)
    assert finding.numbers["usual"]["discoveries"]["us-2"] == pytest.approx(0.2, abs=0.02)


def test_a_spike_is_named_with_when_how_high_how_long_and_that_it_came_back(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(between(30, 45, 0.9, 0.02))
    finding = found(quiet.made(), "spike")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.summary == (
        "us-2: spike to 90% CPU, 45 times what is normal, from +0:12 for 17s, and came back by itself"
    )
    assert finding.at == pytest.approx(BEGUN + 31.5, abs=0.6)


def test_a_spike_that_the_heal_ended_is_told_as_that(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(between(30, 70, 0.9, 0.02))
    assert found(quiet.made(), "spike").summary.endswith("for 42s, and came back 14s after the heal")


def test_a_step_comes_up_and_stays(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(between(30, 999, 0.9, 0.02))
    record = quiet.made()
    finding = found(record, "spike")
    assert finding.summary.startswith("us-2: step to 90% CPU")
    assert finding.summary.endswith("and did not come back")
    assert found(record, "spike", counts=["step"]).outcome == "fail"
    assert found(record, "spike", counts=["spike"]).outcome == "pass"
    assert found(record, "growth", figures=["memory", "cpu"], at_rest={}, during=["joined"]).outcome != "fail"


def test_a_ramp_is_growths_matter(quiet: Making) -> None:
    """It is reported, and fails only where that is asked."""
    told(quiet, "syncnode_open_streams", "us-2", lambda at: 4 + 2 * max(0.0, at - 20))
    record = quiet.made()
    finding = found(record, "spike")
    assert finding.outcome == "pass"
    assert finding.summary.endswith("; 1 went up all the time")
    assert finding.lines[0].startswith("us-2: ramp to 164 open streams, 41 times what is normal")
    assert found(record, "spike", counts=["ramp"]).outcome == "fail"
    assert found(record, "growth", figures=["streams"], during=["joined"]).outcome == "fail"


def test_a_ramp_that_is_let_go_of_at_last_is_a_ramp(quiet: Making) -> None:
    told(quiet, "syncnode_open_streams", "us-2", lambda at: 4 + (2 * max(0.0, at - 20) if at < 80 else 0))
    assert found(quiet.made(), "spike").lines[0].startswith("us-2: ramp to 123 open streams")


def test_bounds_are_as_asked(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(between(30, 45, 0.4, 0.06))
    record = quiet.made()
    assert found(record, "spike").outcome == "fail"
    assert found(record, "spike", times=10).outcome == "pass"
    assert found(record, "spike", figures={"cpu": "50%"}).outcome == "pass"
    assert found(record, "spike", figures=["memory", "streams"]).outcome == "pass"
    assert found(record, "spike", of="us-1").outcome == "pass"
    assert found(record, "spike", during=["observe"]).outcome == "pass"


def test_many_times_next_to_nothing_is_nothing(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(between(30, 45, 0.2, 0.001))
    assert found(quiet.made(), "spike").outcome == "pass"


def test_what_others_take_is_normal(quiet: Making) -> None:
    """A node that happened to be idle in the baseline may do what all others do."""
    for name in quiet.looks:
        quiet.looks[name] = busy(lambda _: 0.4)
    quiet.looks["us-2"] = busy(between(0, 20, 0.0, 0.4))
    assert found(quiet.made(), "spike").outcome == "pass"


def test_rates_of_the_kinds_series_are_followed(quiet: Making) -> None:
    told(quiet, "hmy_stream_discover", "us-3", lambda at: at // 5 + 10 * min(max(0.0, at - 30), 8))
    finding = found(quiet.made(), "spike")
    assert finding.nodes == ("us-3",)
    assert "spike to 10.2/s discoveries" in finding.summary


def test_an_odd_sample_is_no_spike(quiet: Making) -> None:
    quiet.looks["us-2"] = busy(lambda _: 0.02, memory=lambda at: (900 if at == 40 else 30) * MiB)
    assert found(quiet.made(), "spike").outcome == "pass"


def test_what_a_start_takes_is_no_spike(quiet: Making) -> None:
    """It is started anew at 40 s, and busy for 5 s; what it does later counts."""

    def life(at: float) -> int:
        return 1 if at < 40 else 2

    quiet.looks["us-2"] = busy(between(40, 45, 1.0, 0.02), life=life)
    assert found(quiet.made(), "spike").outcome == "pass"
    quiet.looks["us-2"] = busy(between(60, 75, 1.0, 0.02), life=life)
    assert found(quiet.made(), "spike").outcome == "fail"


def test_it_fails_while_it_lasts(quiet: Making) -> None:
    """That is when there is evidence to gather."""
    quiet.looks["us-2"] = busy(between(30, 999, 0.9, 0.02))
    quiet.until = 40
    quiet.phases(settle=0, baseline=10, timeline=20)
    finding = found(quiet.made(), "spike")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))


def test_without_a_baseline_there_is_no_answer(quiet: Making) -> None:
    quiet.phases(settle=0, baseline=10)
    assert found(quiet.made(), "spike").summary == "the run has not come to the phase timeline"
    quiet.phases(settle=0, baseline=10, timeline=10.1, observe=60, over=100)
    assert found(quiet.made(), "spike").outcome == "inconclusive"
    quiet.phases(settle=0, baseline=10, timeline=20, observe=60, over=100)
    quiet.plan = replace(quiet.plan, nodes=tuple(replace(node, series={}) for node in quiet.plan.nodes))
    record = quiet.made()
    assert found(record, "spike").outcome == "pass"
    assert found(record, "spike", figures=["streams"]).outcome == "inconclusive"
