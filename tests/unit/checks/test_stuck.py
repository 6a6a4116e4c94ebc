"""Who is stuck: each class of stall, and what only looks like one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from records import BEGUN, END, Making, Sampled, exited, found, healthy

WINDOW = "12s"
Look = Callable[[float], Sampled]


def stands(since: float, until: float = 2 * END) -> Look:
    """A node that stands still for a while and then catches up, at 20 blocks a second."""
    height = int(2 * since)

    def look(at: float) -> Sampled:
        if at < since:
            return healthy(at)
        return {"height": height if at < until else min(int(2 * at), int(height + 20 * (at - until)) + 1)}

    return look


def sorts(making: Making, **parameters: object) -> list[tuple[str, str]]:
    numbers = found(making.made(), "stuck", window=WINDOW, **parameters).numbers["stalls"]
    return [(one["node"], one["class"]) for one in numbers]


def test_a_net_that_goes_on_is_not_stuck(making: Making) -> None:
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.numbers) == ("pass", {"stalls": []})


def test_who_stands_still_on_healthy_links_is_sticky(making: Making) -> None:
    """It says who, from when, and how far behind."""
    making.looks["us-2"] = stands(70.0)
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2",))
    assert finding.at == pytest.approx(BEGUN + 70.0, abs=2.5)
    assert finding.numbers["stalls"][0]["class"] == "sticky"
    assert finding.numbers["stalls"][0]["behind"] == 60
    assert finding.summary.startswith("us-2 is stuck (sticky): height 140 from +0:52 for 28s")


def test_who_has_no_peers_is_starved(making: Making) -> None:
    making.looks["us-2"] = lambda at: {**stands(70.0)(at), "peers": 0 if at > 75 else 2}
    assert sorts(making) == [("us-2", "starved")]


def test_who_had_a_peer_in_the_window_is_not_starved(making: Making) -> None:
    making.looks["us-2"] = lambda at: {**stands(70.0)(at), "peers": 0 if at < 95 else 1}
    assert sorts(making) == [("us-2", "sticky")]


def test_a_net_that_gains_nothing_has_halted(making: Making) -> None:
    """All that ran are named, the highest first: of some of them there will be evidence."""
    for name, behind in (("us-1", 2), ("us-2", 0), ("us-3", 1)):
        making.looks[name] = lambda at, behind=behind: {"height": min(140, int(2 * at)) - behind}
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.nodes) == ("fail", ("us-2", "us-3", "us-1"))
    assert finding.summary.startswith("the whole net halted at height 140 from ")
    assert finding.numbers["stalls"][0]["over"] is False


def test_who_had_ended_is_not_of_a_net_that_halts(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda at: {"height": min(140, int(2 * at))}
    making.looks["us-2"] = lambda at: healthy(at) if at < 50 else exited(100)
    assert found(making.made(), "stuck", window=WINDOW).nodes == ("us-1", "us-3")


def test_who_is_stuck_in_a_net_that_halts_comes_first(making: Making) -> None:
    making.looks["us-3"] = stands(30.0)
    for name in ("us-1", "us-2"):
        making.looks[name] = lambda at: {"height": min(140, int(2 * at))}
    finding = found(making.made(), "stuck", window=WINDOW)
    assert finding.nodes == ("us-3", "us-1", "us-2")
    assert finding.summary.startswith("us-3 is stuck (sticky): ")


def test_a_net_that_never_makes_a_block_has_halted(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda _: {"height": 0}
    assert sorts(making) == [("", "halted")]


def test_a_net_that_waits_to_settle_has_not_halted(making: Making) -> None:
    making.phases(settle=0, baseline=50, timeline=55, observe=60, over=100)
    for name in making.looks:
        making.looks[name] = lambda at: {"height": max(0, int(2 * (at - 49)))}
    assert sorts(making) == []


def test_a_halt_that_ended_is_told_as_over(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda at: {"height": 140 if 70 <= at < 90 else int(2 * at)}
    (one,) = found(making.made(), "stuck", window=WINDOW).numbers["stalls"]
    assert (one["class"], one["over"]) == ("halted", True)


def test_a_net_that_halts_under_a_fault_fails_only_where_that_is_asked(making: Making) -> None:
    """A net without a majority must halt: that is told, and fails where `classes` has `under fault`."""
    making.cut("us-1", 65.0, 95.0)
    for name in making.looks:
        making.looks[name] = lambda at: {"height": min(140, int(2 * at))}
    assert sorts(making) == [("", "under fault")]
    record = making.made()
    lenient = found(record, "stuck", window=WINDOW)
    assert lenient.outcome == "pass"
    assert (
        lenient.summary
        == "only the whole net stood still, for 30s at most, which does not count here: under fault"
    )
    strict = found(record, "stuck", window=WINDOW, classes=["under fault"])
    assert strict.outcome == "fail"
    assert "halted under a fault at height 140" in strict.summary


def test_a_net_does_not_halt_when_its_highest_node_ends(making: Making) -> None:
    """The others go on from where they are, far below it."""
    making.looks["us-1"] = lambda at: {"height": int(20 * at)} if at < 62 else {"state": "exited", "pid": 0}
    assert ("", "halted") not in sorts(making)


def test_who_stood_as_still_is_no_help(making: Making) -> None:
    """Two of three are cut off from the third: neither could have helped the other, though one went on first."""
    for name, until in (("us-2", 95.0), ("us-3", 90.0)):
        making.looks[name] = stands(70.0, until)
        links = [("us-1", name), (name, "us-1")]
        making.fault("partition", 70.0, 90.0, links=links)
    assert sorts(making)[0] == ("us-2", "under fault")


def test_who_goes_on_after_the_window_is_a_slow_recovery(making: Making) -> None:
    making.looks["us-2"] = stands(62.0, 85.0)
    assert sorts(making) == [("us-2", "slow recovery")]
    assert found(making.made(), "stuck", window=WINDOW).outcome == "pass"
    assert found(making.made(), "stuck", window=WINDOW, classes=["slow recovery"]).outcome == "fail"


def test_who_goes_on_within_the_window_is_not_stuck(making: Making) -> None:
    making.looks["us-2"] = stands(62.0, 72.0)
    assert sorts(making) == []


def test_who_is_cut_off_stands_still_under_fault(making: Making) -> None:
    making.cut("us-2", 30.0, 58.0)
    making.looks["us-2"] = stands(30.0, 60.0)
    assert sorts(making) == [("us-2", "under fault")]
    assert found(making.made(), "stuck", window=WINDOW).outcome == "pass"


def test_who_does_not_go_on_after_the_heal_is_sticky(making: Making) -> None:
    making.cut("us-2", 30.0, 58.0)
    making.looks["us-2"] = stands(30.0)
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.numbers["stalls"][0]["class"]) == ("fail", "sticky")
    assert finding.numbers["stalls"][0]["healthy_s"] == pytest.approx(42.0, abs=1.0)


def test_a_fault_that_comes_later_does_not_excuse_a_node(making: Making) -> None:
    """It had stood still for long enough before anything was done to it."""
    making.looks["us-2"] = stands(22.0)
    making.cut("us-2", 50.0, None)
    assert sorts(making) == [("us-2", "sticky")]


def test_a_fault_between_others_does_not_excuse_a_node(making: Making) -> None:
    making.fault("partition", 60.0, None, links=[("us-1", "us-3"), ("us-3", "us-1")])
    making.looks["us-2"] = stands(70.0)
    assert sorts(making) == [("us-2", "sticky")]


def test_one_healthy_way_to_somebody_ahead_is_enough(making: Making) -> None:
    making.fault("partition", 60.0, None, links=[("us-1", "us-2"), ("us-2", "us-1")])
    making.looks["us-2"] = stands(70.0)
    assert sorts(making) == [("us-2", "sticky")]


def test_faults_on_all_who_are_ahead_excuse_a_node(making: Making) -> None:
    """Whoever could help is disturbed itself."""
    making.fault("cpu", 60.0, None, nodes=["us-1", "us-3"])
    making.looks["us-2"] = stands(70.0)
    assert sorts(making) == [("us-2", "under fault")]


@pytest.mark.parametrize("kind", ["pause", "kill"])
def test_who_is_kept_from_running_is_not_stuck(making: Making, kind: str) -> None:
    making.fault(kind, 30.0, 59.0, nodes=["us-2"])
    making.looks["us-2"] = stands(30.0, 60.0)
    assert sorts(making) == []


def test_who_starts_late_and_catches_up_is_not_stuck(making: Making) -> None:
    making.looks["us-2"] = lambda at: (
        {"state": "waiting", "pid": 0, "starts": 0}
        if at < 40
        else {"height": min(int(2 * at), int(6 * (at - 40)))}
    )
    assert sorts(making) == []


def test_who_ends_was_not_stuck(making: Making) -> None:
    making.looks["us-2"] = lambda at: healthy(at) if at < 70 else exited(140)
    assert sorts(making) == []


def test_who_stops_answering_is_stuck(making: Making) -> None:
    """The last height that it said holds: a node that hangs says no other."""
    making.looks["us-2"] = lambda at: healthy(at) if at < 70 else {"height": None}
    assert sorts(making) == [("us-2", "sticky")]


def test_a_restart_is_no_progress_but_begins_anew(making: Making) -> None:
    """Before and after it, the node stood still for less than the window."""
    making.looks["us-2"] = lambda at: (
        {"state": "exited", "pid": 0}
        if 80 <= at < 82
        else {**stands(70.0)(at), "starts": 1 if at < 80 else 2}
    )
    making.until = 91.0
    making.phases(settle=0, baseline=10, timeline=20, observe=60, over=91)
    assert sorts(making) == []


def test_who_stood_still_until_those_ahead_ended_is_sticky(making: Making) -> None:
    making.looks["us-2"] = stands(62.0)
    for name in ("us-1", "us-3"):
        making.looks[name] = lambda at: healthy(at) if at < 90 else {"state": "exited", "pid": 0}
    assert ("us-2", "sticky") in sorts(making)


def test_so_many_must_be_ahead(making: Making) -> None:
    making.looks["us-2"] = making.looks["us-3"] = stands(70.0)
    assert sorts(making, ahead=2) == []
    assert len(sorts(making, ahead=1)) == 2


def test_a_window_longer_than_the_record_gives_no_verdict(making: Making) -> None:
    making.looks["us-2"] = stands(70.0)
    finding = found(making.made(), "stuck", window="50s")
    assert finding.outcome == "inconclusive"
    assert "`observe` must be longer" in finding.summary


def test_who_is_a_few_blocks_behind_for_a_moment_at_the_end_is_not_behind(making: Making) -> None:
    """Of blocks that come quickly some are always under way, and nodes are not looked at in the same moment."""
    making.looks["us-2"] = lambda at: {"height": int(2 * at) - (0 if at < END - 1.5 else 3)}
    assert found(making.made(), "stuck", window="50s").outcome == "pass"


@pytest.mark.parametrize(("longest_s", "window_s"), [(0.0, 10.0), (4.0, 10.0), (16.0, 24.0)])
def test_the_window_is_from_the_timers_of_the_kind(making: Making, longest_s: float, window_s: float) -> None:
    """Half as long again as the longest of them, and 10 s at least."""
    making.plan = replace(
        making.plan, nodes=tuple(replace(node, recovery_s=longest_s) for node in making.plan.nodes)
    )
    making.looks["us-2"] = stands(100.0 - window_s - 0.5)
    assert found(making.made(), "stuck").numbers["stalls"] == []
    making.looks["us-2"] = stands(100.0 - window_s - 4.0)
    assert len(found(making.made(), "stuck").numbers["stalls"]) == 1


@pytest.mark.parametrize(("longest_s", "waiting"), [(20.0, False), (60.0, True)])
def test_who_may_be_waiting_for_a_timer_is_told_so(making: Making, longest_s: float, waiting: bool) -> None:
    """A window of the plan's own may be shorter than a timer that runs."""
    making.plan = replace(
        making.plan, nodes=tuple(replace(node, recovery_s=longest_s) for node in making.plan.nodes)
    )
    making.looks["us-2"] = stands(70.0)
    finding = found(making.made(), "stuck", window=WINDOW)
    words = "; it may be waiting for its longest recovery timer (1m)"
    assert finding.summary.endswith(words) is waiting
    assert finding.lines[0].endswith(words) is waiting


def test_a_node_that_never_said_its_height_gives_no_verdict(making: Making) -> None:
    making.looks["us-2"] = lambda _: {"state": "starting"}
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.summary) == ("inconclusive", "us-2 never said its height")


def test_a_node_that_was_never_started_is_not_asked(making: Making) -> None:
    making.looks["us-2"] = lambda _: {"state": "waiting", "pid": 0, "starts": 0}
    assert found(making.made(), "stuck", window=WINDOW).outcome == "pass"


def test_nodes_without_a_probe_are_not_asked(making: Making) -> None:
    nodes = tuple(replace(node, height=None) if node.name == "us-2" else node for node in making.plan.nodes)
    making.plan = replace(making.plan, nodes=nodes)
    making.looks["us-2"] = lambda _: {}
    assert found(making.made(), "stuck", window=WINDOW).outcome == "pass"


def test_no_heights_at_all_give_no_verdict(making: Making) -> None:
    for name in making.looks:
        making.looks[name] = lambda _: {}
    assert found(making.made(), "stuck", window=WINDOW).summary == "no node said its height"


def test_samples_that_end_before_the_record_give_no_verdict(making: Making) -> None:
    making.until = 80.0
    finding = found(making.made(), "stuck", window=WINDOW)
    assert (finding.outcome, finding.summary) == ("inconclusive", "the samples end 20s before the record")


def test_a_record_that_is_being_written_is_judged_as_far_as_it_goes(making: Making) -> None:
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    making.until = 75.0
    making.looks["us-2"] = stands(65.0)
    assert found(making.made(), "stuck", window=WINDOW).outcome == "pass"
    making.until = 90.0
    assert found(making.made(), "stuck", window=WINDOW).outcome == "fail"
