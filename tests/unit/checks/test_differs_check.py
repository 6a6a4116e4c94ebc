"""Canaries are told from their neighbours by what neighbours do among themselves, at the same moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from records import BEGUN, found
from some_plan import some_plan

from stressnet.making import Making

MiB = 2**20
CANARY = "us-1"
NEIGHBOURS = ("us-2", "us-3", "us-4", "eu-1", "eu-2")
DISCOVERIES, STREAMS = "hmy_stream_discover", "syncnode_open_streams"
Curve = Callable[[float], float]


def node(
    name: str,
    *,
    cpu: float | Curve = 0.1,
    memory: float = 60.0,
    fds: float = 40,
    blocks: Curve = lambda at: 2 * at,
    opens: Curve = lambda at: at,
    start: float = 0.0,
    noise: Callable[[Random], Curve] | None = None,
) -> Any:
    """A node that uses so many cores and MiB, a few per cent more or less than another; it may be started later."""
    random = Random(name)
    apart = math.exp(random.gauss(0, 0.02))
    shaken: Curve = noise(random) if noise else lambda _: random.uniform(0.9, 1.1)
    load: Curve = cpu if callable(cpu) else lambda _: cpu
    used = [0.0]
    for half in range(200):
        used.append(used[-1] + 0.5 * apart * load(half / 2) * shaken(half / 2))

    def look(at: float) -> dict[str, Any] | None:
        if at < start:
            return None
        return {
            "height": int(blocks(at)),
            "cpu_s": used[int(2 * at)] - used[int(2 * start)],
            "rss_bytes": int(apart * memory * shaken(at) * MiB),
            "fds": round(fds * apart),
            "threads": 5,
            "opens": int(opens(at)),
            "starts": 1 + (start > 0),
            "pid": 100 + (start > 0),
        }

    return look


@pytest.fixture
def stock() -> Making:
    """A canary that runs what its five neighbours run; 40 s with faults, then 40 s without."""
    plan = some_plan()
    made = Making(replace(plan, nodes=tuple(plan.node(name) for name in (CANARY, *NEIGHBOURS))))
    for name in made.looks:
        made.looks[name] = node(name)
        made.series(name, DISCOVERIES, lambda at: at // 2)
        made.series(name, STREAMS, lambda _: 12)
    return made


def told(made: Making, series: str, value: Curve, name: str = CANARY) -> None:
    """Let a node tell something else."""
    made.metrics = [one for one in made.metrics if one[1:3] != (name, series)]
    made.series(name, series, value)


def effect(finding: Any, figure: str, name: str = CANARY) -> dict[str, Any]:
    """Return the numbers of one figure."""
    (one,) = [one for one in finding.numbers["effects"] if (one["node"], one["figure"]) == (name, figure)]
    return dict(one)


def test_nodes_that_run_the_same_do_not_differ(stock: Making) -> None:
    """All that is known is reported with its effect, each interval around 1."""
    finding = found(stock.made(), "differs", of=CANARY)
    assert (finding.outcome, finding.nodes) == ("pass", ())
    assert finding.summary.startswith("no difference that matters between us-1 and us-2 … eu-2: ")
    assert finding.numbers["seconds"] == 80
    for one in finding.numbers["effects"]:
        assert one["interval"][0] < 1 < one["interval"][1], one
        assert one["said"] == "same"
    assert {one["figure"] for one in finding.numbers["effects"]} == {
        *("blocks", "lag", "cpu", "cpu_per_block", "memory", "fds"),
        *("threads", "streams", "opens", "discoveries"),
    }


def test_a_difference_is_named_with_its_effect_and_what_is_usual(stock: Making) -> None:
    stock.looks[CANARY] = node(CANARY, cpu=0.5)
    finding = found(stock.made(), "differs", of=CANARY, figures=["cpu"])
    assert (finding.outcome, finding.nodes) == ("fail", (CANARY,))
    assert finding.summary == "us-1 differs from us-2 … eu-2: CPU 5.1 times (4.5 to 5.8), 50.5% against 9.89%"
    assert finding.at == BEGUN + 20
    assert finding.lines[1] == (
        "us-1 differs: CPU 5.1 times (4.5 to 5.8), 50.5% against 9.89%; neighbours among themselves 0.98 to 1.04 times"
    )
    assert finding.lines[0].startswith("us-1: CPU 5.1 times (4.5 to 5.8); CPU time a block 5.1 times")
    assert finding.lines[0].endswith("discoveries")
    assert effect(finding, "memory")["said"] == "only reported"


def test_what_happens_to_the_whole_net_is_no_difference(stock: Making) -> None:
    for name in stock.looks:
        stock.looks[name] = node(name, cpu=lambda at: 0.9 if 40 <= at < 70 else 0.1)
    finding = found(stock.made(), "differs", of=CANARY)
    assert finding.outcome == "pass"
    assert effect(finding, "cpu")["own"] == pytest.approx(0.4, rel=0.1)


def test_nodes_are_compared_over_the_moments_at_which_both_were_seen(stock: Making) -> None:
    """The canary was away while all others had much to do."""
    for name in stock.looks:
        late = 45.0 if name == CANARY else 0.0
        stock.looks[name] = node(name, cpu=lambda at: 0.9 if at < 50 else 0.1, start=late)
    finding = found(stock.made(), "differs", of=CANARY, figures=["cpu"])
    assert finding.outcome == "pass"
    assert effect(finding, "cpu")["times"] == pytest.approx(1, abs=0.05)


def test_a_small_difference_is_reported_and_does_not_fail(stock: Making) -> None:
    stock.looks[CANARY] = node(CANARY, cpu=0.14)
    record = stock.made()
    finding = found(record, "differs", of=CANARY)
    assert finding.outcome == "pass"
    assert "CPU 1.4 times (1.3 to 1.6), 14.2% against 9.89%" in finding.summary
    assert found(record, "differs", of=CANARY, figures={"cpu": 1.2}).outcome == "fail"
    assert found(record, "differs", of=CANARY, times=1.2).outcome == "inconclusive", (
        "one of ten must be surer"
    )
    assert found(record, "differs", of=CANARY, figures=["memory"], times=1.3).outcome == "pass"


def test_near_the_bound_there_is_no_answer(stock: Making) -> None:
    stock.looks[CANARY] = node(CANARY, cpu=0.18)
    finding = found(stock.made(), "differs", of=CANARY, figures=["cpu"])
    assert (finding.outcome, finding.nodes) == ("inconclusive", (CANARY,))
    assert finding.summary.startswith("us-1 may differ from us-2 … eu-2: CPU 1.8 times (1.6 to 2.1)")


def test_a_figure_that_is_meant_to_differ_is_reported(stock: Making) -> None:
    told(stock, DISCOVERIES, lambda at: 6 * at // 2)
    record = stock.made()
    assert found(record, "differs", of=CANARY).summary.startswith(
        "us-1 differs from us-2 … eu-2: discoveries 6 t"
    )
    finding = found(record, "differs", of=CANARY, intended=["discoveries"])
    assert finding.outcome == "pass"
    assert "discoveries 6 times (4.3 to 8.3), 3/s against 0.5/s" in finding.summary
    assert "discoveries 6 times" in finding.lines[0]


def test_less_of_what_is_worth_having_is_worse(stock: Making) -> None:
    """Fewer blocks, and fewer streams or more; of the rest, more. The other way round counts where that is asked."""
    stock.looks[CANARY] = node(CANARY, blocks=lambda at: at / 2, cpu=0.02)
    told(stock, STREAMS, lambda _: 3)
    record = stock.made()
    finding = found(record, "differs", of=CANARY)
    assert {one["figure"] for one in finding.numbers["effects"] if one["said"] == "differs"} == {
        *("blocks", "lag", "streams"),
    }
    better = found(record, "differs", of=CANARY, counts=["better"])
    assert [one["figure"] for one in better.numbers["effects"] if one["said"] == "differs"] == ["cpu"]


def test_a_canary_that_stands_still_differs_by_lag_and_blocks(stock: Making) -> None:
    stock.looks[CANARY] = node(CANARY, blocks=lambda at: 2 * min(at, 40))
    finding = found(stock.made(), "differs", of=CANARY)
    assert finding.outcome == "fail"
    assert effect(finding, "lag")["own"] == pytest.approx(45, abs=3)
    assert effect(finding, "blocks")["times"] == pytest.approx(0.25, abs=0.02)
    assert "lag in blocks 4" in finding.summary


def test_many_times_next_to_nothing_is_nothing(stock: Making) -> None:
    """Multiples are taken of a least amount, which a plan may lower."""
    for name in stock.looks:
        stock.looks[name] = node(name, fds=2 if name == CANARY else 1)
    record = stock.made()
    assert found(record, "differs", of=CANARY).outcome == "pass"
    finding = found(record, "differs", of=CANARY, figures={"fds": 1.5}, at_least={"fds": 0.1})
    assert finding.outcome == "fail"
    assert "open files 2 times (1.8 to 2.3), 2 against 1" in finding.summary


def test_a_few_events_more_are_chance(stock: Making) -> None:
    """Of events at random moments, none on all neighbours is no proof that there can be none."""
    for name in NEIGHBOURS:
        stock.looks[name] = node(name, opens=lambda _: 0)
    stock.looks[CANARY] = node(CANARY, opens=lambda at: at // 10)
    finding = found(stock.made(), "differs", of=CANARY, figures=["opens"], at_least={"opens": "0.01/s"})
    assert finding.outcome != "fail"
    stock.looks[CANARY] = node(CANARY, opens=lambda at: 4 * at)
    finding = found(stock.made(), "differs", of=CANARY, figures=["opens"])
    assert (finding.outcome, "4/s against 0/s" in finding.summary) == ("fail", True)


def test_events_that_are_expected_more_often_have_to_be_more(stock: Making) -> None:
    """A fault plan that makes pauses shorter makes everything more often."""
    told(stock, DISCOVERIES, lambda at: 3 * at)
    assert found(stock.made(), "differs", of=CANARY, figures=["discoveries"]).outcome == "fail"
    stock.time_scale = 100.0
    assert found(stock.made(), "differs", of=CANARY, figures=["discoveries"]).outcome == "pass"


def test_one_odd_neighbour_does_not_make_a_canary_differ(stock: Making) -> None:
    """It is named; who does what neighbours do too, is not told from them."""
    stock.looks["us-3"] = node("us-3", cpu=0.3)
    finding = found(stock.made(), "differs", of=CANARY)
    assert finding.outcome == "pass"
    assert "us-3 is itself apart from the other neighbours: CPU 2.9 times" in finding.lines
    stock.looks[CANARY] = node(CANARY, cpu=0.4)
    assert found(stock.made(), "differs", of=CANARY).outcome == "inconclusive"


def test_noise_that_lingers_says_less(stock: Making) -> None:
    """What is sure in noise that is new at each look is not in noise that stays for a while."""

    def lingering(random: Random) -> Curve:
        values = [random.gauss(0, 1)]
        while len(values) <= 200:
            values.append(0.99 * values[-1] + math.sqrt(1 - 0.99**2) * random.gauss(0, 1))
        return lambda at: math.exp(values[int(2 * at)])

    def fresh(random: Random) -> Curve:
        return lambda _: math.exp(random.gauss(0, 1))

    for name in stock.looks:
        stock.looks[name] = node(name, noise=fresh, cpu=0.4 if name == CANARY else 0.1)
    assert found(stock.made(), "differs", of=CANARY, figures=["cpu"]).outcome == "fail"
    for name in stock.looks:
        stock.looks[name] = node(name, noise=lingering, cpu=0.4 if name == CANARY else 0.1)
    assert found(stock.made(), "differs", of=CANARY, figures=["cpu"]).outcome == "inconclusive"


@pytest.mark.parametrize("neighbours", [1, 2])
def test_from_one_or_two_neighbours_nobody_knows_what_is_usual(stock: Making, neighbours: int) -> None:
    """The effect is told, without an interval."""
    stock.looks[CANARY] = node(CANARY, cpu=0.5)
    source = ", ".join(NEIGHBOURS[:neighbours])
    finding = found(stock.made(), "differs", of=CANARY, **{"from": source})
    assert finding.outcome == "inconclusive"
    assert finding.summary == (
        f"{neighbours} to compare with ({source}): what difference is usual shows from 3 neighbours on"
    )
    assert effect(finding, "cpu")["interval"] is None
    assert any("us-1: CPU 5" in line for line in finding.lines)


def test_several_canaries_are_each_held_against_the_neighbours_alone(stock: Making) -> None:
    stock.looks["us-1"] = node("us-1", cpu=0.5)
    stock.looks["us-2"] = node("us-2", cpu=0.8)
    finding = found(stock.made(), "differs", of="us-1, us-2", figures=["cpu"])
    assert finding.nodes == ("us-2", "us-1")
    assert finding.summary.startswith("us-1, us-2 differ from us-3 … eu-2: CPU 7.8 times")
    assert effect(finding, "cpu", "us-2")["neighbours"] == pytest.approx(0.1, rel=0.05)


def test_what_a_process_takes_to_start_does_not_count(stock: Making) -> None:
    busy = node(CANARY, cpu=lambda at: 5.0 if 40 <= at < 46 else 0.1, start=40)
    before = node(CANARY)
    stock.looks[CANARY] = lambda at: busy(at) if at >= 40 else before(at)
    finding = found(stock.made(), "differs", of=CANARY)
    assert finding.outcome == "pass"
    assert effect(finding, "cpu")["times"] == pytest.approx(1, abs=0.05)


def test_a_canary_that_was_not_there_gives_no_answer(stock: Making) -> None:
    stock.looks[CANARY] = lambda _: None
    finding = found(stock.made(), "differs", of=CANARY)
    assert (finding.outcome, finding.summary) == (
        "inconclusive",
        "us-1: not seen for long enough beside us-2 … eu-2",
    )


def test_a_figure_that_nobody_tells_gives_no_answer_where_it_is_asked_for(stock: Making) -> None:
    record = stock.made()
    finding = found(record, "differs", of=CANARY, figures=["cpu", "tasks"])
    assert finding.outcome == "inconclusive"
    assert finding.summary == "not all nodes told their tasks for long enough"
    assert found(record, "differs", of=CANARY).outcome == "pass"


def test_nothing_is_said_before_the_phases_are_over(stock: Making) -> None:
    """Who looks again and again sees a difference at last."""
    stock.looks[CANARY] = node(CANARY, cpu=0.5)
    stock.phases(settle=0, baseline=10, timeline=20, observe=60)
    finding = found(stock.made(), "differs", of=CANARY)
    assert (finding.outcome, finding.summary) == ("inconclusive", "the phase observe is not over")
    assert found(stock.made(), "differs", of=CANARY, during=["timeline"]).outcome == "fail"


def test_a_short_time_is_too_short(stock: Making) -> None:
    finding = found(stock.made(), "differs", of=CANARY, during=["baseline"])
    assert (finding.outcome, finding.summary) == (
        "inconclusive",
        "too short: nodes are compared over 30s or more",
    )
