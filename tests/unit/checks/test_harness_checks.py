"""What is to blame on the harness or the machine, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from records import BEGUN, Making, Sampled, exited, found, healthy

from stressnet.checks.verdict import judge
from stressnet.faults.presence import NO_ANSWER, Presence
from stressnet.record.rows import LinkSample


def looked(found: float, holds: bool) -> dict[str, Any]:
    """What an agent says of a delay of 100 ms."""
    figure = {"name": "delay", "unit": "duration", "asked": 0.1, "found": found, "holds": holds}
    return {"figures": [figure], "failed": {}}


AS_ASKED, TOO_LITTLE = looked(0.1, True), looked(0.01, False)
PAIR = [("us-1", "us-2")]


def test_faults_as_asked_are_achieved(making: Making) -> None:
    making.fault("latency", 30, 40, links=PAIR, states=[(31, "achieved", AS_ASKED)])
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.summary) == ("pass", "1 of 1 faults measured, all as asked")


def test_no_faults_are_as_asked(making: Making) -> None:
    assert found(making.made(), "faults_achieved").summary == "no faults were asked for"


def test_a_fault_that_cannot_be_measured_is_said_to_be_so(making: Making) -> None:
    making.fault("restart", 30, 30, nodes=["us-1"], by="itself")
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.summary) == ("pass", "1 faults put on, which cannot be measured")
    assert finding.lines == ("restart: restart: not measured",)


def test_a_fault_that_could_be_measured_and_was_not_gives_no_verdict(making: Making) -> None:
    """Nobody knows whether it was there; records of earlier versions have no word of the moment when it was healed."""
    making.fault("partition", 30, 34, links=PAIR)
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "partition: partition: on for 4.0 s, and never measured"


def test_a_fault_with_a_reason_why_it_was_not_measured_counts_as_done(making: Making) -> None:
    """The plan may do something to a link that lets no probe pass."""
    unknown = {"at": 1_000_031.0, "figures": [], "not_measured": "us-2 does not run"}
    making.fault("partition", 30, 40, links=PAIR, states=[(31, "on", unknown)])
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "pass"
    assert finding.lines == ("partition: partition: not measured: us-2 does not run",)


THERE = Presence()
NOT_LOOKED_AT = Presence(unseen=["us-1 has ended"])
SEEN_EARLY = {**AS_ASKED, "at": 1_000_030.5}


@pytest.mark.parametrize(
    ("at_heal", "outcome"),
    [
        (THERE, "pass"),
        (NOT_LOOKED_AT, "inconclusive"),
        (Presence(unseen=[NO_ANSWER]), "inconclusive"),
        (None, "inconclusive"),
    ],
)
@pytest.mark.parametrize("states", [[], [(30.5, "on", SEEN_EARLY)]], ids=["never measured", "measured early"])
def test_a_fault_that_was_in_place_when_it_was_healed_need_not_be_measured(
    making: Making, at_heal: Presence | None, outcome: str, states: list[Any]
) -> None:
    """Nobody can say so much of one that was not looked at, as in records of earlier versions."""
    making.fault("partition", 30, 32.8, links=PAIR, states=states, at_heal=at_heal)
    assert found(making.made(), "faults_achieved").outcome == outcome


@pytest.mark.parametrize(
    ("why", "outcome"), [(NO_ANSWER, "inconclusive"), ("us-1 has ended", "pass")], ids=["no answer", "ended"]
)
def test_a_look_at_its_end_that_was_not_answered_gives_no_verdict(
    making: Making, why: str, outcome: str
) -> None:
    """It may be gone since it was last measured. Of what has ended with its node there is nothing to be seen."""
    seen = {**AS_ASKED, "at": 1_000_039.0}
    states = [(39, "on", seen)]
    making.fault("partition", 30, 40, links=PAIR, states=states, at_heal=Presence(unseen=[why]))
    assert found(making.made(), "faults_achieved").outcome == outcome


def test_a_fault_that_was_gone_when_it_was_to_be_healed_gives_no_verdict(making: Making) -> None:
    """Whatever was measured before, and how many packets it dropped."""
    seen = {**AS_ASKED, "at": 1_000_039.0}
    gone = Presence(["us-1 > us-2: no rule"])
    making.fault("partition", 30, 40, links=PAIR, states=[(39, "on", seen)], hits=9, at_heal=gone)
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert (
        finding.summary == "partition: partition: gone when it should have been healed: us-1 > us-2: no rule"
    )


def test_a_fault_in_place_that_did_something_else_gives_no_verdict(making: Making) -> None:
    """It may have been put back just before: what it was last measured to do counts all the same."""
    states = [(31, "on", AS_ASKED), (35, "on", AS_ASKED), (39, "not achieved", TOO_LITTLE)]
    making.fault("latency", 30, 40, links=PAIR, states=states, at_heal=THERE)
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


def test_a_fault_that_could_be_neither_measured_nor_looked_at_gives_no_verdict(making: Making) -> None:
    """The node was not there to have it."""
    unknown = {"at": 1_000_031.0, "figures": [], "not_measured": "us-1 does not run"}
    unseen = Presence(unseen=["us-1 does not run"])
    making.fault("pause", 30, 40, nodes=["us-1"], states=[(31, "on", unknown)], at_heal=unseen)
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "pause: pause: on for 10.0 s, and never measured: us-1 does not run"


def test_a_fault_that_cannot_be_measured_is_said_to_have_been_in_place(making: Making) -> None:
    unknown = {"at": 1_000_031.0, "figures": [], "not_measured": "another fault lets no packets pass"}
    making.fault("latency", 30, 40, links=PAIR, states=[(31, "on", unknown)], at_heal=THERE)
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "pass"
    assert finding.lines == (
        "latency: latency: not measured: another fault lets no packets pass, but in place when it was healed",
    )


@pytest.mark.parametrize(("layer", "outcome"), [("packet", "pass"), ("stream", "inconclusive")])
def test_packets_that_a_fault_dropped_are_a_witness(making: Making, layer: str, outcome: str) -> None:
    """Connections that were opened while it was on are none: they tell nothing of what became of them."""
    making.fault("drop", 30, 34, links=PAIR, layer=layer, states=[(31, "on", {})], hits=7)
    assert found(making.made(), "faults_achieved").outcome == outcome


@pytest.mark.parametrize(("measured", "outcome"), [(39.0, "inconclusive"), (41.0, "pass")])
def test_a_fault_that_nobody_looked_at_for_half_of_its_time_gives_no_verdict(
    making: Making, measured: float, outcome: str
) -> None:
    """What was there at its beginning may have been gone after it."""
    seen = {**AS_ASKED, "at": 1_000_000.0 + measured}
    making.fault("latency", 30, 50, links=PAIR, states=[(measured, "on", seen)])
    assert found(making.made(), "faults_achieved").outcome == outcome


def test_a_latency_that_is_a_small_part_of_a_round_trip_may_not_be_missing(making: Making) -> None:
    """Of 100 ms asked, 80 are of regions: to find 85 is a fault that is hardly there."""
    for parameters, outcome in (({"latency": 0.02}, "inconclusive"), ({"latency": 0.1}, "pass")):
        making.fault(
            "latency",
            30,
            34,
            links=PAIR,
            states=[(31, "not achieved", looked(0.085, False))],
            parameters=parameters,
        )
        assert found(making.made(), "faults_achieved").outcome == outcome
        making.phases()
        making.events = [event for event in making.events if event["event"] == "phase"]


def test_a_fault_that_is_not_as_asked_gives_no_verdict(making: Making) -> None:
    making.fault("latency", 30, 40, links=PAIR, states=[(31, "not achieved", TOO_LITTLE)])
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "latency: latency: delay: asked 0.1, found 0.01"


def test_a_fault_that_took_a_moment_is_as_asked(making: Making) -> None:
    """What counts is how it was for most of its time, and at its end."""
    states = [(31, "not achieved", TOO_LITTLE), (32, "achieved", AS_ASKED), (33, "achieved", AS_ASKED)]
    making.fault("latency", 30, 40, links=PAIR, states=states)
    assert found(making.made(), "faults_achieved").outcome == "pass"


def test_a_fault_that_is_a_little_off_is_as_asked(making: Making) -> None:
    """A busy machine adds some milliseconds, which no bug depends on; a quarter more is another fault."""
    making.fault("latency", 30, 40, links=PAIR, states=[(31, "not achieved", looked(0.12, False))])
    assert found(making.made(), "faults_achieved").outcome == "pass"
    making.fault("latency", 50, 60, links=PAIR, states=[(51, "not achieved", looked(0.13, False))])
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


@pytest.mark.parametrize(
    ("seconds", "outcome"), [(0.074, "pass"), (0.08, "inconclusive"), (0.03, "inconclusive")]
)
def test_a_short_time_may_be_some_milliseconds_longer_and_not_shorter(
    making: Making, seconds: float, outcome: str
) -> None:
    figure = {"name": "end after", "unit": "duration", "asked": 0.05, "found": seconds, "holds": False}
    states = [(31, "not achieved", {"figures": [figure], "failed": {}})]
    making.fault("reset", 30, 40, links=PAIR, states=states, layer="stream")
    assert found(making.made(), "faults_achieved").outcome == outcome


def test_a_fault_that_failed_on_a_node_says_why(making: Making) -> None:
    making.fault("cpu", 30, 40, nodes=["us-1"], states=[(31, "failed", {"failed": {"us-1": "no cgroup"}})])
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.summary) == ("inconclusive", "cpu: cpu: us-1: no cgroup")


@pytest.mark.parametrize("by", ["time", "plan", "end", "itself"])
def test_a_fault_that_ended_as_planned_is_as_asked(making: Making, by: str) -> None:
    making.fault("latency", 30, 40, links=PAIR, by=by, states=[(31, "achieved", AS_ASKED)])
    assert found(making.made(), "faults_achieved").outcome == "pass"


def test_a_fault_that_ended_before_its_time_gives_no_verdict(making: Making) -> None:
    making.fault("latency", 30, 33, links=PAIR, by="agent", states=[(31, "achieved", AS_ASKED)])
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "latency: latency: it ended by itself after 3.0 s, before its time"


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (31.0, ""),
        (42.0, "off for 12.0 s, while nobody did the run"),
        (None, "it ended after 5.0 s, when the run was interrupted"),
    ],
)
def test_a_fault_that_nobody_kept_on_gives_no_verdict(
    making: Making, again: float | None, words: str
) -> None:
    """Put on again before its lease has run out it was never off; long afterwards a cut became two."""
    states = [(27.0, "achieved", AS_ASKED)]
    making.fault("latency", 25, 30, links=PAIR, by="kill", states=states)
    if again:
        making.fault(
            "latency",
            again,
            55,
            links=PAIR,
            states=[(again + 1, "achieved", AS_ASKED), (54.0, "achieved", AS_ASKED)],
        )
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == ("inconclusive" if words else "pass")
    assert words in finding.summary


@pytest.mark.parametrize("event", ["step missed", "step failed"])
def test_a_step_that_was_not_done_gives_no_verdict(making: Making, event: str) -> None:
    making.event(50, event, step="cut", why="height 100 did not come")
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.summary) == ("inconclusive", "cut: height 100 did not come")


def load(making: Making, *answered: int, begun: float = 30, ended: float | None = 40, why: str = "") -> None:
    """Call us-1, us-2, … fifty times each; so many calls of each are answered, and why the others are not."""
    nodes = [f"us-{number}" for number in range(1, len(answered) + 1)]
    making.event(begun, "load on", step="users", nodes=nodes, for_s=10)
    calls = {
        node: {"sent": 50, "answered": count, "failed": {why: 50 - count} if count < 50 else {}}
        for node, count in zip(nodes, answered, strict=True)
    }
    if ended:
        making.event(ended, "load over", step="users", calls=calls)


def test_a_load_that_some_calls_were_answered_of_is_as_asked(making: Making) -> None:
    """What becomes of the others is for the checks of the plan."""
    load(making, 0, 1, why="us-1:8545: Connection refused")
    assert found(making.made(), "faults_achieved").outcome == "pass"


def test_a_load_that_nobody_answered_gives_no_verdict(making: Making) -> None:
    """A wrong port or method: nodes had nothing to bear, whatever other checks say of them."""
    load(making, 0, 0, why="us-1:8545: Connection refused")
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.numbers["not_answered"]) == ("inconclusive", 1)
    assert (
        finding.summary == "users: none of 100 calls of its load was answered: us-1:8545: Connection refused"
    )


def test_a_load_without_an_end_gives_no_verdict(making: Making) -> None:
    """While the run goes on, it goes on too."""
    load(making, 50, ended=None)
    finding = found(making.made(), "faults_achieved")
    assert finding.outcome == "inconclusive"
    assert finding.summary == "users: nobody knows what became of the calls of its load"
    making.fault("kill", 30, 60, nodes=["us-1"], layer="node", at_heal=Presence())
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"
    making.phases(settle=0, baseline=10, timeline=20)
    assert found(making.made(), "faults_achieved").outcome == "pass"


def test_a_load_that_was_taken_up_again_has_an_end(making: Making) -> None:
    load(making, 50, ended=None)
    load(making, 50, begun=35)
    assert found(making.made(), "faults_achieved").outcome == "pass"


def test_who_was_kept_from_it_need_not_answer(making: Making) -> None:
    """By the plan, for most of the time; it is told all the same."""
    load(making, 0, why="TimeoutError")
    making.fault("kill", 30, 36, nodes=["us-1"], layer="node", at_heal=Presence())
    finding = found(making.made(), "faults_achieved")
    assert (finding.outcome, finding.lines[-1]) == (
        "pass",
        "users: none of 50 calls of its load was answered: TimeoutError",
    )


@pytest.mark.parametrize(
    ("kind", "nodes", "links", "ended", "outcome"),
    [
        ("partition", [], [("us-1", "us-2")], 40, "pass"),
        ("latency", [], [("us-1", "us-2")], 40, "inconclusive"),
        ("partition", [], [("us-2", "us-3")], 40, "inconclusive"),
        ("pause", ["us-1"], [], 40, "pass"),
        ("pause", ["us-1"], [], 34, "inconclusive"),
        ("pause", ["us-2"], [], 40, "inconclusive"),
    ],
)
def test_a_fault_excuses_silence_where_it_can_be_the_cause(
    making: Making,
    kind: str,
    nodes: list[str],
    links: list[tuple[str, str]],
    ended: float,
    outcome: str,
) -> None:
    """Calls take no link: a slow one keeps nobody from answering, but who is cut off may have nothing to answer."""
    load(making, 0, why="TimeoutError")
    states = [(31, "achieved", AS_ASKED)]
    making.fault(kind, 30, ended, nodes=nodes, links=links, states=states, at_heal=Presence())
    assert found(making.made(), "faults_achieved").outcome == outcome


def test_one_who_could_have_answered_is_enough_for_no_verdict(making: Making) -> None:
    load(making, 0, 0, why="TimeoutError")
    making.fault("kill", 30, 40, nodes=["us-1"], layer="node", at_heal=Presence())
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


def test_a_load_that_nodes_died_of_did_its_work(making: Making) -> None:
    """That they have ended is their own doing, and for other checks to say."""
    load(making, 0, why="us-1:8545: Connection refused")
    making.looks["us-1"] = lambda at: healthy(at) if at < 31 else exited()
    verdict = judge(
        making.made(), [{"name": "recovery", "check": "recovery", "parameters": {"within": "20s"}}]
    )
    assert (verdict.outcome, verdict.failed) == ("fail", ("recovery",))


def test_a_load_that_nodes_hang_of_did_its_work(making: Making) -> None:
    """A node that does not tell its height any more either answers nobody."""
    load(making, 0, why="TimeoutError")
    making.looks["us-1"] = lambda at: healthy(at) if at < 34 else {"height": None}
    assert found(making.made(), "faults_achieved").outcome == "pass"
    making.looks["us-1"] = lambda at: healthy(at) if at < 36 else {"height": None}
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


def test_a_load_that_nobody_looked_at_has_no_excuse(making: Making) -> None:
    load(making, 0, begun=30.1, ended=30.4, why="us-1:8545: Connection refused")
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


def test_who_was_not_there_yet_could_not_be_asked(making: Making) -> None:
    load(making, 0, why="us-1:8545: Connection refused")
    making.looks["us-1"] = lambda at: healthy(at) if at > 50 else {"state": "waiting", "pid": 0, "starts": 0}
    assert found(making.made(), "faults_achieved").outcome == "inconclusive"


def link(bypassed: int) -> LinkSample:
    return LinkSample(1_000_050.0, "us-1", "us-2", 10, 1000, 1, 0, bypassed)


def test_packets_around_control_give_no_verdict(making: Making) -> None:
    making.links = [link(3)]
    finding = found(making.made(), "no_bypass")
    assert (finding.outcome, finding.numbers["packets"]) == ("inconclusive", 3)
    making.links = [link(0)]
    assert found(making.made(), "no_bypass").outcome == "pass"


def test_links_that_are_not_under_control_matter_where_there_are_faults(making: Making) -> None:
    making.event(5, "control", problem="no nft", streams="", relays=0)
    assert found(making.made(), "no_bypass").outcome == "pass"
    making.fault("latency", 30, 40, links=PAIR)
    assert found(making.made(), "no_bypass").outcome == "inconclusive"


def test_what_others_changed_of_control_gives_no_verdict(making: Making) -> None:
    """Though all may have been as before a moment later, and with no fault on: they may have let links go free."""
    making.event(20, "control changed", what="rules", times=2)
    finding = found(making.made(), "no_bypass")
    assert (finding.outcome, finding.summary) == (
        "inconclusive",
        "the rules of links were changed by somebody else, 2 times",
    )


def test_an_idle_machine_keeps_up(making: Making) -> None:
    assert found(making.made(), "host_healthy").outcome == "pass"


def starved(at: float) -> Sampled:
    """Half of its time it is ready to run and has no CPU."""
    return {**(healthy(at) or {}), "cpu_wait_s": 0.5 * at}


def test_a_machine_that_others_use_up_is_to_blame(making: Making) -> None:
    making.host = lambda at: {"busy_s": 2.0 * at}
    making.looks["us-1"] = starved
    finding = found(making.made(), "host_healthy")
    assert finding.outcome == "inconclusive"
    assert "nodes waited for a CPU in 100% of the time; other programs took 100%" in finding.summary


def test_others_that_leave_nodes_their_share_do_no_harm(making: Making) -> None:
    """The scheduler is fair: a busy machine may have all the room that small nodes need."""
    making.host = lambda at: {"busy_s": 2.0 * at}
    assert found(making.made(), "host_healthy").outcome == "pass"


def test_nodes_that_use_up_the_machine_are_themselves_to_blame(making: Making) -> None:
    """A node that spins is what is looked for."""
    making.host = lambda at: {"busy_s": 2.0 * at}
    making.looks["us-1"] = making.looks["us-2"] = lambda at: {**(healthy(at) or {}), "cpu_s": 1.0 * at}
    making.looks["us-3"] = starved
    finding = found(making.made(), "host_healthy")
    assert finding.outcome == "pass"
    assert finding.numbers["others_cpu_share"] < 0.05


def test_cpu_that_the_machines_own_host_took_is_others(making: Making) -> None:
    making.host = lambda at: {"busy_s": 0.5 * at, "steal_s": 1.5 * at}
    making.looks["us-1"] = lambda at: {**(starved(at) or {}), "cpu_s": 0.5 * at}
    assert found(making.made(), "host_healthy").outcome == "inconclusive"


def test_looks_that_come_late_are_the_machines_fault(making: Making) -> None:
    """One may: the machine had something else to do."""
    making.host = lambda at: {"late_s": 3.0 if at == 50.0 else 0.0}
    assert found(making.made(), "host_healthy").outcome == "pass"
    making.host = lambda at: {"late_s": 3.0 if at > 80.0 else 0.0}
    assert "looks came more than 2 s late" in found(making.made(), "host_healthy").summary


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"clock_jump_s": 5.0}, "its clock was set by +5.0 s"),
        ({"memory_free_bytes": 1 << 20}, "its memory was full"),
        ({"disk_free_bytes": 1 << 20}, "its disk was full"),
    ],
)
def test_a_machine_without_room_is_to_blame(making: Making, figures: dict[str, float], said: str) -> None:
    making.host = lambda at: figures if at == 50.0 else {}
    assert found(making.made(), "host_healthy").summary == f"the machine is to blame: {said}"


def test_a_machine_that_was_not_looked_at_gives_no_verdict(making: Making) -> None:
    making.until = 0.0
    assert found(making.made(), "host_healthy").outcome == "inconclusive"


def every(seconds: float) -> Callable[[float], bool]:
    """One look in so many seconds is left."""
    return lambda at: at % seconds != 0


def test_a_time_in_which_nobody_looked_gives_no_verdict(making: Making) -> None:
    """To whoever reads the heights the whole net stood still; of some seconds nothing can be said either way."""
    making.unseen = lambda at: 70 < at < 86
    assert found(making.made(), "stuck", window="15s").outcome == "fail"
    finding = found(making.made(), "host_healthy")
    assert (finding.outcome, finding.summary) == (
        "inconclusive",
        "nobody looked at the net for 16.0 s from +0:50 on",
    )
    making.unseen = lambda at: 70 < at < 79
    assert found(making.made(), "host_healthy").outcome == "pass"


def test_samples_that_end_before_the_run_give_no_verdict(making: Making) -> None:
    """The net went away 5 s into `observe`: until then all had recovered."""
    making.until = 65.0
    verdict = judge(
        making.made(), [{"name": "recovery", "check": "recovery", "parameters": {"within": "20s"}}]
    )
    assert verdict.judgements[0].finding.outcome == "pass"
    assert (verdict.outcome, verdict.reason) == (
        "inconclusive",
        "host_healthy: samples end 35.0 s before the run does",
    )


def test_while_a_run_goes_on_its_samples_have_not_ended(making: Making) -> None:
    making.until = 65.0
    making.phases(settle=0, baseline=10, timeline=20, observe=60)
    making.event(99, "mark", step="m", text="")
    assert found(making.made(), "host_healthy").outcome == "pass"


def test_a_run_that_was_stopped_has_its_own_reason(making: Making) -> None:
    making.until = 65.0
    making.event(99, "stopped", why="interrupted")
    assert found(making.made(), "host_healthy").outcome == "pass"


@pytest.mark.parametrize("seconds", [5.0, 30.0])
def test_looks_that_are_rare_are_no_holes(making: Making, seconds: float) -> None:
    """As in the record of a round that was thinned, or of a net whose topology says so."""
    making.unseen = every(seconds)
    assert found(making.made(), "host_healthy").outcome == "pass"


def test_a_hole_in_a_thinned_record_is_found(making: Making) -> None:
    thinned = every(5.0)
    making.unseen = lambda at: thinned(at) or 60 < at < 80
    assert "for 20.0 s from +0:40 on" in found(making.made(), "host_healthy").summary


def test_what_is_before_the_baseline_is_not_asked_for(making: Making) -> None:
    """Of a hole that lasts into it the rest counts."""
    making.phases(settle=0, baseline=40, timeline=50, observe=60, over=100)
    making.unseen = lambda at: 5 < at < 49
    assert found(making.made(), "host_healthy").outcome == "pass"
    making.unseen = lambda at: 5 < at < 52
    assert "for 12.0 s from -0:10 on" in found(making.made(), "host_healthy").summary


def test_what_comes_after_the_run_is_not_asked_for(making: Making) -> None:
    making.until = 130.0
    making.unseen = lambda at: 95 < at < 125
    assert found(making.made(), "host_healthy").outcome == "pass"


@pytest.mark.parametrize("other", [-60.0, 5000.0])
def test_the_clock_of_another_boot_makes_no_hole(making: Making, other: float) -> None:
    making.host = lambda at: {"monotonic": at + (other if at >= 70 else 0.0)}
    assert found(making.made(), "host_healthy").outcome == "pass"


def test_a_clock_that_was_set_makes_no_hole(making: Making) -> None:
    """It is told as what it is."""
    making.host = lambda at: {"at": BEGUN + at + 20, "clock_jump_s": 20.0 * (at == 70)} if at >= 70 else {}
    assert found(making.made(), "host_healthy").lines == ("its clock was set by +20.0 s",)


def test_a_night_has_holes_between_its_rounds(making: Making) -> None:
    making.phases(settle=0, timeline=5, over=100)
    making.unseen = lambda at: 40 < at < 70
    assert found(making.made(), "host_healthy").outcome == "pass"
