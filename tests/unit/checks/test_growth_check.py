"""Growth is told from all that only looks like it, and by what is left at rest where there is no time for a trend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from records import Making, found

from stressnet.checks.growing import enough_votes

OBSERVE, END = 110.0, 140.0
MiB = 2**20
Curve = Callable[[float], float]
EIGHT = ("us-1", "us-2", "us-3", "us-4", "eu-1", "eu-2", "eu-3", "late")


def jitter(seed: int, sd: float) -> Curve:
    """Noise that is the same at the same time."""
    return lambda at: Random(hash((seed, at))).gauss(0, sd)


def working(memory: Curve = lambda _: 30.0 * MiB, cpu: Curve = lambda at: 0.02 * at, **more: Any) -> Any:
    """A node with so much memory and CPU time; further fields are functions of the time."""

    def look(at: float) -> dict[str, Any]:
        own = {name: value(at) for name, value in more.items()}
        usual = {"height": int(2 * at), "peers": 3, "fds": 20, "threads": 5, "sockets": 9}
        return {**usual, "rss_bytes": int(memory(at)), "cpu_s": round(cpu(at), 2), **own}

    return look


def net(making: Making, names: tuple[str, ...] = ()) -> Making:
    """Make it a net of nodes that are well, watched for 90 s of timeline and 30 s after."""
    making.phases(settle=0, baseline=10, timeline=20, observe=OBSERVE, over=END)
    making.until = END
    for seed, name in enumerate(names or tuple(making.looks)):
        noise = jitter(seed, 50_000)
        making.looks[name] = working(lambda at, noise=noise: 30 * MiB + abs(noise(at)))  # type: ignore[misc]
        making.series(name, "syncnode_tasks", lambda at: 17 + (int(at * 2) % 3 == 0), every=0.5)
        making.series(name, "syncnode_open_streams", lambda _: 4, every=0.5)
    return making


@pytest.fixture
def well(making: Making) -> Making:
    return net(making)


def streams(making: Making, name: str, count: Curve) -> None:
    """Let a node have so many streams, whatever it had."""
    making.metrics = [one for one in making.metrics if one[1:3] != (name, "syncnode_open_streams")]
    making.series(name, "syncnode_open_streams", count, every=0.5)


def test_nodes_that_are_well_do_not_grow(well: Making) -> None:
    finding = found(well.made(), "growth")
    assert finding.outcome == "pass"
    assert "open streams" in finding.summary
    assert finding.summary.endswith("and nothing is left at rest")


def test_a_leak_is_named_with_its_slope_and_its_time_to_the_limit(well: Making) -> None:
    noise = jitter(9, 100_000)
    well.looks["us-2"] = working(lambda at: 30 * MiB + 0.1 * MiB * at + abs(noise(at)))
    finding = found(well.made(), "growth", limit={"memory": "100MiB"})
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.summary.startswith("us-2: memory grows by 6MiB/m (")
    assert finding.summary.endswith("100MiB in 9.6m to 9.9m")
    (one,) = [row for row in finding.numbers["trends"] if row["said"] == "growth"]
    slope, low, high = one["slope_per_s"]
    assert low < 0.1 * MiB < high
    assert slope == pytest.approx(0.1 * MiB, rel=0.02)
    assert one["seconds_to_limit"][0] == pytest.approx((100 - 41) / 0.1, rel=0.05)


def test_the_limit_of_memory_is_the_nodes_own(well: Making) -> None:
    well.looks["us-2"] = working(lambda at: 30 * MiB + 0.1 * MiB * at)
    well.plan = replace(well.plan, nodes=tuple(replace(node, memory=64 * MiB) for node in well.plan.nodes))
    assert ", 64MiB in 3.8m" in found(well.made(), "growth").summary


def test_streams_grow_by_the_series_of_the_kind(well: Making) -> None:
    streams(well, "us-1", lambda at: int(4 + at / 5))
    finding = found(well.made(), "growth", figures=["streams"], at_rest={})
    assert finding.summary.startswith("us-1: open streams grow by 12/m (")
    assert found(well.made(), "growth", figures={"streams": "20/m"}, at_rest={}).outcome == "pass"


@pytest.mark.parametrize(
    ("curve", "what"),
    [
        (lambda at: 30 + 8 * (at % 2) / 2, "garbage waits for its collector"),
        (lambda at: 50 - 20 * 2.718 ** (-at / 12), "caches fill"),
        (lambda at: 30 + min(10, int(at / 10)) if at < 50 else 34, "a high water mark"),
        (lambda at: 30 if at < 80 else 60, "a step"),
        (lambda at: 60 if 60 < at < 75 else 30, "a spike"),
    ],
)
def test_what_only_looks_like_growth_is_none(well: Making, curve: Curve, what: str) -> None:
    noise = jitter(3, 20_000)
    well.looks["us-2"] = working(lambda at: MiB * curve(at) + abs(noise(at)))
    finding = found(well.made(), "growth", figures=["memory"])
    assert finding.outcome == "pass", what


def test_garbage_that_waits_for_long_is_no_growth(well: Making) -> None:
    """But it takes longer to know."""
    well.looks["us-2"] = working(lambda at: MiB * (30 + 8 * (at % 12) / 12))
    assert found(well.made(), "growth", figures=["memory"]).outcome == "inconclusive"


def test_a_step_late_in_the_timeline_is_no_growth_where_it_is_flat_since(well: Making) -> None:
    """An allocator takes a quarter of a MiB twice, soon one after the other, and nothing before or after."""
    well.looks["us-2"] = working(lambda at: (26.22 + 0.25 * (at > 87) + 0.25 * (at > 90)) * MiB)
    finding = found(well.made(), "growth")
    assert finding.outcome == "pass", finding.summary


def test_a_step_is_told_beside_a_pass(well: Making) -> None:
    well.looks["us-2"] = working(lambda at: 30 * MiB if at < 80 else 60 * MiB)
    finding = found(well.made(), "growth")
    assert finding.lines == ("us-2: memory rose by 30MiB at +1:00 and stayed there",)


def test_too_few_samples_are_no_answer(well: Making) -> None:
    """And it says how much longer the timeline must be."""
    well.phases(settle=0, baseline=10, timeline=20, observe=50, over=80)
    well.until = 80
    finding = found(well.made(), "growth", figures=["memory"], at_rest={})
    assert finding.outcome == "inconclusive"
    assert finding.summary.startswith(
        "us-1: memory: 61 samples of it are too few to tell growth; timeline must be 14s"
    )


def test_what_is_not_decided_says_how_much_longer_it_takes(well: Making) -> None:
    noise = jitter(5, 3 * MiB)
    well.looks["us-2"] = working(lambda at: 60 * MiB + 1.05 / 60 * MiB * at + noise(at))
    finding = found(well.made(), "growth", figures=["memory"])
    assert (finding.outcome, finding.nodes) == ("inconclusive", ("us-2",))
    assert "grow by 1MiB/m: " in finding.summary


def test_a_restart_is_no_fall_and_no_rise(well: Making) -> None:
    """Each life is looked at by itself: 100 s of the first leak, then a new process with little."""
    well.phases(settle=0, baseline=10, timeline=20, observe=180, over=200)
    well.until = 200

    def leak(at: float) -> float:
        return MiB * (30 + 0.2 * (at if at < 100 else at - 100))

    well.looks["us-2"] = working(
        leak, starts=lambda at: 1 if at < 100 else 2, cpu=lambda at: 0.02 * (at % 100)
    )
    finding = found(well.made(), "growth", figures=["memory"])
    assert finding.nodes == ("us-2",)
    assert [row["starts"] for row in finding.numbers["trends"] if row["said"] == "growth"] == [1, 2]
    well.looks["us-2"] = working(
        lambda at: MiB * (30 if at < 100 else 50), starts=lambda at: 1 if at < 100 else 2
    )
    assert found(well.made(), "growth", figures=["memory"]).outcome == "pass"


def test_a_life_that_is_short_is_left_out(well: Making) -> None:
    """There is another that says enough."""
    well.looks["us-2"] = working(
        starts=lambda at: 1 if at < 100 else 2, cpu=lambda at: 0.02 * (at if at < 100 else at - 100)
    )
    finding = found(well.made(), "growth", figures=["memory", "cpu"], of="us-2")
    assert finding.outcome == "pass"
    assert [row["starts"] for row in finding.numbers["trends"]] == [1, 1]


def test_a_node_with_more_peers_works_more(well: Making) -> None:
    """It is not said to leak, nor to be well."""
    peers = {"peers": lambda at: 3 + int(at / 20), "sockets": lambda at: 9 + int(at / 4)}
    well.looks["us-2"] = working(**peers)
    finding = found(well.made(), "growth", figures=["sockets"], at_rest={})
    assert finding.outcome == "inconclusive"
    assert "but the node got more peers meanwhile" in finding.summary
    well.looks["us-2"] = working(sockets=peers["sockets"])
    assert found(well.made(), "growth", figures=["sockets"], at_rest={}).outcome == "fail"


def test_work_that_costs_more_and_more_is_seen_per_block(well: Making) -> None:
    """Two blocks a second at first, then four: more CPU for more blocks is no growth."""

    def blocks(at: float) -> int:
        return int(2 * at + 0.02 * at * at)

    well.looks["us-2"] = working(cpu=lambda at: 0.15 * blocks(at), height=blocks)
    assert found(well.made(), "growth", figures=["cpu"]).outcome == "pass"
    well.looks["us-2"] = working(cpu=lambda at: 0.3 * at + 0.003 * at * at)
    finding = found(well.made(), "growth", figures=["cpu"], limit={"cpu": "200%"})
    assert finding.summary.startswith("us-2: CPU time a block grows by ")
    assert finding.summary.endswith("99%)")
    well.looks["us-2"] = working(cpu=lambda at: 0.3 * at + 0.003 * at * at, height=lambda _: None)
    finding = found(well.made(), "growth", figures=["cpu"], limit={"cpu": "200%"})
    assert finding.summary.startswith("us-2: CPU time a second grows")
    assert ", 200% in " in finding.summary


def test_little_cpu_may_double(well: Making) -> None:
    well.looks["us-2"] = working(cpu=lambda at: 0.005 * at + 0.00005 * at * at)
    assert found(well.made(), "growth", figures=["cpu"]).outcome == "pass"


def test_three_of_eight_nodes_are_believed_where_one_is_not(tmp_path: Any) -> None:
    """Of each the 95 % interval says that it grows; for one of eight that is not enough."""
    making = net(Making(tmp_path, EIGHT), EIGHT)
    outcomes = []
    for many in (1, 3):
        for seed, name in zip((72, 74, 75)[:many], EIGHT, strict=False):
            noise = jitter(seed, 3)
            making.looks[name] = working(fds=lambda at, noise=noise: int(40 + at / 4 + noise(at // 2)))  # type: ignore[misc]
        outcomes.append(found(making.made(), "growth", at_rest={}))
    assert [one.outcome for one in outcomes] == ["inconclusive", "fail"]
    assert outcomes[1].nodes == EIGHT[:3]


def test_as_many_votes_as_chance_seldom_gives() -> None:
    assert [enough_votes(nodes) for nodes in (1, 2, 3, 4, 8, 20)] == [2, 2, 2, 3, 3, 5]


def test_what_is_left_at_rest_is_a_leak_without_a_trend(well: Making) -> None:
    """It came in one step, in the timeline, and never went."""
    streams(well, "us-1", lambda at: 4 if at < 50 else 16)
    finding = found(well.made(), "growth")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-1",))
    assert finding.summary == (
        "us-1: 12 open streams more at rest than before: at least 16 after all faults, at most 4 in the baseline"
    )
    assert found(well.made(), "growth", at_rest={"streams": 12}).outcome == "pass"
    assert found(well.made(), "growth", at_rest={}).outcome == "pass"


def test_who_is_at_rest_late_is_at_rest(well: Making) -> None:
    """The first half of the phase after the faults is for coming to rest, and says nothing."""
    streams(well, "us-1", lambda at: 4 if at < 50 or at > OBSERVE + 14 else 16)
    assert found(well.made(), "growth", figures=["memory"]).outcome == "pass"
    streams(well, "us-1", lambda at: 4 if at < OBSERVE + 14 else 16)
    assert found(well.made(), "growth", figures=["memory"]).outcome == "fail"


def test_more_peers_may_have_more_streams(well: Making) -> None:
    streams(well, "us-1", lambda at: 4 if at < 50 else 8)
    well.looks["us-1"] = working(peers=lambda at: 2 if at < 50 else 4)
    assert found(well.made(), "growth", figures=["memory"]).outcome == "pass"
    well.looks["us-1"] = working()
    assert found(well.made(), "growth", figures=["memory"]).outcome == "fail"


def test_phases_are_never_mixed_unless_asked(well: Making) -> None:
    """It leaks after the heal alone; joined, that is a bend in the whole."""
    well.phases(settle=0, baseline=10, timeline=20, observe=80, over=140)
    well.looks["us-2"] = working(lambda at: MiB * (30 + 0.3 * max(0.0, at - 80)))
    record = well.made()
    assert found(record, "growth", figures=["memory"]).outcome == "pass"
    finding = found(record, "growth", figures=["memory"], during=["timeline", "observe"])
    assert finding.summary.startswith("us-2: memory in observe grows by 18MiB/m")
    (joined,) = found(record, "growth", figures=["memory"], during=["joined"], of="us-2").numbers["trends"]
    assert joined["samples"] == 241


def test_a_phase_that_goes_on_is_not_judged(well: Making) -> None:
    well.looks["us-2"] = working(lambda at: 30 * MiB + 0.1 * MiB * at)
    well.phases(settle=0, baseline=10, timeline=20)
    assert found(well.made(), "growth").summary == "the phase timeline is not over"


def test_a_whole_night_is_judged_by_its_timeline_alone(well: Making) -> None:
    """It has neither baseline nor rest: what grew in it grew all the time."""
    well.phases(settle=0, timeline=20, over=END)
    assert found(well.made(), "growth").outcome == "pass"
    well.looks["us-2"] = working(lambda at: (30 + 0.2 * at) * MiB)
    finding = found(well.made(), "growth")
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert found(well.made(), "growth", during=["observe"]).outcome == "inconclusive"


def test_what_nobody_tells_is_no_answer_where_it_was_asked_for(well: Making) -> None:
    well.plan = replace(well.plan, nodes=tuple(replace(node, series={}) for node in well.plan.nodes))
    record = well.made()
    assert found(record, "growth").outcome == "pass"
    assert found(record, "growth", figures=["streams"]).summary == "no node tells its streams"
