"""A timeline does each step at its moment, and leaves nothing on: with a clock that jumps and a net in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.engine.run.net import Seen
from stressnet.engine.run.timeline import TimelineRun
from stressnet.faultplan.timeline import Calls, Timeline, TimelineStep, When
from stressnet.faults.presence import Presence
from stressnet.record.journal import RunJournal, read_journal
from stressnet.spec.targets import Targets
from stressnet.testing import MemoryNet, run_virtual


def fault(
    name: str, when: When, for_s: float | None = None, on: str = "us-1", what: str = "pause"
) -> TimelineStep:
    return TimelineStep(name, when, "fault", what, (), Targets(on=on), for_s)


class Trial:
    """One run of a timeline, and what became of it."""

    def __init__(self, folder: Path) -> None:
        self.net = MemoryNet(some_plan())
        self.path = folder / "journal.jsonl"
        self.called: list[tuple[float, list[str], float]] = []

    def run(self, *steps: TimelineStep, duration_s: float = 60.0, beside: Any = None, **more: Any) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            journal = RunJournal(self.path, lambda: (loop.time(), loop.time()))
            timeline = TimelineRun(Timeline(steps, duration_s, 0.0), self.net, journal, 7, self.call_nodes)
            other = asyncio.create_task(beside(self.net)) if beside else None
            with closing(journal):
                await timeline.run(**more)
            if other:
                await other

        run_virtual(main)

    async def call_nodes(self, step: TimelineStep, nodes: Sequence[str], seconds: float) -> Mapping[str, Any]:
        self.called.append((asyncio.get_running_loop().time(), list(nodes), seconds))
        await asyncio.sleep(seconds)
        return {"calls": {}}

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.path) if event["event"] in names]

    @property
    def log(self) -> list[tuple[float, str]]:
        return [(round(at, 1), what) for at, what, _ in self.net.log]


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_fault_is_on_from_its_time_for_its_time(trial: Trial) -> None:
    """It ends by itself, and the journal says so."""
    trial.run(fault("cut", When(time_s=10.0), 20.0))
    assert trial.log == [(10.0, "on"), (30.0, "ended")]
    (over,) = trial.events("fault over")
    assert over["by"] == "time"
    assert over["time"] == pytest.approx(30.0, abs=1.0)


def test_a_fault_without_a_time_is_healed_at_the_end(trial: Trial) -> None:
    """Leases are renewed meanwhile, so it lasts to there."""
    trial.run(fault("cut", When(time_s=1.0)))
    assert trial.log == [(1.0, "on"), (60.0, "healed")]
    assert trial.events("fault over")[0]["by"] == "end"


def test_a_step_comes_after_another_is_over(trial: Trial) -> None:
    """`after` waits for the end of the other fault, and then `wait`."""
    trial.run(fault("one", When(time_s=5.0), 10.0), fault("two", When(after="one", wait_s=4.0), 2.0, "us-2"))
    assert trial.log[0] == (5.0, "on")
    assert trial.log[2][0] == pytest.approx(19.0, abs=1.0)


def test_a_step_heals_another(trial: Trial) -> None:
    """`heal` ends a fault before its time, and only that one."""
    heal = TimelineStep("heal", When(time_s=20.0), "heal", "one")
    trial.run(fault("one", When(time_s=5.0)), fault("two", When(time_s=6.0), None, "us-2"), heal)
    assert [(at, how) for at, how in trial.log if how != "on"] == [(20.0, "healed"), (60.0, "healed")]
    assert [(event["step"], event["by"]) for event in trial.events("fault over")] == [
        ("one", "plan"),
        ("two", "end"),
    ]


@pytest.mark.parametrize(
    ("when", "nodes"),
    [
        (When(condition="height", above=40.0, of="us"), {"height": 40}),
        (When(condition="figure", name="lag", above=9.0, of="eu"), {"height": 40}),
        (When(condition="figure", name="peers", below=1.0, of="us-1"), {"peers": 0}),
        (When(condition="state", name="exited", of="us-1"), {"state": "exited"}),
        (When(condition="metric", name="streams", above=2.0, of="us-1"), {}),
    ],
    ids=["height", "lag", "peers", "state", "metric"],
)
def test_a_step_waits_for_what_is_observed(trial: Trial, when: When, nodes: dict[str, Any]) -> None:
    """It happens within a moment of when the condition holds, and not before."""

    async def change(net: MemoryNet) -> None:
        await asyncio.sleep(30)
        for name, now in net.seen.nodes.items():
            if name.startswith("us"):
                now.update(nodes)  # type: ignore[attr-defined]
        net.metrics = {"streams": {"us-1": 3.0}}

    trial.run(fault("cut", when, 1.0, "eu-1"), beside=change)
    assert trial.log[0][0] == pytest.approx(30.0, abs=0.5)


def test_a_selector_may_ask_who_is_connected(trial: Trial) -> None:
    """A condition on the peers of a node comes when one of them is so, and a load goes to them."""
    look = trial.net.look

    async def connected(*, connections: bool = False) -> Seen:
        return replace(await look(), connected=[("us-1", "eu-1")] if connections else [])

    trial.net.look = connected  # type: ignore[method-assign]
    trial.net.seen.nodes["eu-1"]["state"] = "exited"  # type: ignore[index]
    calls = Calls("rpc", "rpc", "/", "inSync", (), 20.0)
    when = When(condition="state", name="exited", of="peers of us-1", within_s=5.0)
    load = TimelineStep(
        "ask", When(time_s=9.0), "load", "load", (), Targets(on="peers of eu-1"), 1.0, calls=calls
    )
    trial.run(fault("cut", when, 1.0, "eu-2"), load)
    assert trial.log[0] == (0.0, "on")
    assert [nodes for _, nodes, _ in trial.called] == [["us-1"]]


@pytest.mark.parametrize(
    ("selector", "why"), [("any 2 of highest", "draws from 1"), ("peers of us-1", "means no node")]
)
def test_a_load_that_has_nobody_is_a_step_that_failed(trial: Trial, selector: str, why: str) -> None:
    """And the rest goes on; a condition that asks so is not there yet."""
    trial.net.seen.nodes["us-1"]["height"] = 40  # type: ignore[index]
    calls = Calls("rpc", "rpc", "/", "inSync", (), 20.0)
    load = TimelineStep("ask", When(time_s=5.0), "load", "load", (), Targets(on=selector), 1.0, calls=calls)
    waits = When(condition="height", above=1.0, of=selector, within_s=10.0)
    trial.run(load, fault("cut", waits, 1.0), fault("nap", When(time_s=30.0), 1.0))
    (failed,) = trial.events("step failed")
    assert why in failed["why"]
    assert [event["step"] for event in trial.events("step missed")] == ["cut"]
    assert trial.log[0] == (30.0, "on")


@pytest.mark.parametrize("within_s", [15.0, None])
def test_what_does_not_come_is_missed(trial: Trial, within_s: float | None) -> None:
    """A step whose moment does not come is noted, at its own time-out or at the end, and nothing is done."""
    trial.run(fault("cut", When(condition="height", above=9.0, of="us", within_s=within_s)))
    assert trial.log == []
    (missed,) = trial.events("step missed")
    assert missed["time"] == pytest.approx(within_s or 60.0, abs=0.5)


def test_a_fault_that_is_refused_is_noted_and_the_rest_goes_on(trial: Trial) -> None:
    """One step that fails does not stop the others."""
    trial.net.refuses = "no room for it"

    async def allow(net: MemoryNet) -> None:
        await asyncio.sleep(20)
        net.refuses = ""

    trial.run(fault("one", When(time_s=5.0)), fault("two", When(time_s=30.0), 5.0), beside=allow)
    assert [event["why"] for event in trial.events("step failed")] == ["no room for it"]
    assert trial.log == [(30.0, "on"), (35.0, "ended")]


def test_a_fault_that_is_not_on_by_the_end_was_not_done(trial: Trial) -> None:
    """Its step had begun, so it must not look as if nothing had been asked."""

    async def dawdle(*_: Any) -> Any:
        await asyncio.sleep(100)

    trial.net.put_on = dawdle  # type: ignore[method-assign]
    trial.run(fault("slow", When(time_s=5.0), 10.0))
    (event,) = trial.events("step failed")
    assert event["step"] == "slow"
    assert "when the timeline ended" in event["why"]


def test_an_agent_that_is_away_for_a_moment_costs_nothing(trial: Trial) -> None:
    """It is asked again, and leases go on."""

    async def away(net: MemoryNet) -> None:
        for at in (4.5, 20.0):
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            net.silent = True
            await asyncio.sleep(1.5)
            net.silent = False

    trial.run(fault("cut", When(time_s=5.0), 30.0), beside=away)
    assert trial.log == [(6.0, "on"), (36.0, "ended")]


def test_a_fault_that_somebody_else_ended_is_told_apart(trial: Trial) -> None:
    """A run whose faults did not last as asked must not be trusted."""

    async def heal(net: MemoryNet) -> None:
        await asyncio.sleep(12)
        await net.take_off(["f1"])

    trial.run(fault("cut", When(time_s=5.0), 30.0), beside=heal)
    assert [event["by"] for event in trial.events("fault over")] == ["agent"]


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_a_fault_is_seen_to_be_over_before_it_is_said_to_be_healed(trial: Trial, seconds: float) -> None:
    """On a busy machine the agent's answer takes long, and who looks meanwhile must not say that it ended by itself."""

    class Slow(MemoryNet):
        async def take_off(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
            found = await super().take_off(ids)
            await asyncio.sleep(seconds)
            return found

    trial.net = Slow(some_plan())
    heal = TimelineStep("heal", When(time_s=20.0), "heal", "one")
    trial.run(fault("one", When(time_s=5.0)), fault("two", When(time_s=6.0), None, "us-2"), heal)
    assert [event["by"] for event in trial.events("fault over")] == ["plan", "end"]


def test_what_was_there_of_a_fault_goes_into_the_journal(trial: Trial) -> None:
    """Whatever ends it: its time, the plan, or the timeline's end."""
    trial.net.at_heal = Presence(["us-1: 1 of 1 processes run"]).to_raw()
    heal = TimelineStep("heal", When(time_s=20.0), "heal", "one")
    trial.run(
        fault("one", When(time_s=5.0)),
        fault("two", When(time_s=6.0), 3.0, "us-2"),
        fault("three", When(time_s=7.0), None, "us-3"),
        heal,
    )
    over = trial.events("fault over")
    assert [event["by"] for event in over] == ["time", "plan", "end"]
    assert all(Presence.from_raw(event) == Presence(("us-1: 1 of 1 processes run",)) for event in over)


def test_without_signs_of_life_faults_end_by_themselves(trial: Trial) -> None:
    """A controller that is killed leaves its faults on no longer than their lease."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        journal = RunJournal(trial.path, lambda: (loop.time(), loop.time()))
        steps = (fault("cut", When(time_s=5.0)),)
        timeline = TimelineRun(Timeline(steps, 600.0, 0.0), trial.net, journal, 7, trial.call_nodes)
        task = asyncio.create_task(timeline.run())
        await asyncio.sleep(30)
        for one in asyncio.all_tasks() - {asyncio.current_task(), task}:
            one.cancel()  # as a kill does: nothing is cleaned up
        await asyncio.sleep(20)
        await trial.net.standing()
        assert trial.net.log[-1][1] == "ended"
        assert trial.net.log[-1][0] <= 41.0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        journal.close()

    run_virtual(main)


def test_an_interrupted_timeline_heals(trial: Trial) -> None:
    """Ctrl-C takes everything off at once."""

    async def main() -> None:
        journal = RunJournal(trial.path)
        steps = (fault("cut", When(time_s=5.0)),)
        timeline = TimelineRun(Timeline(steps, 600.0, 0.0), trial.net, journal, 7, trial.call_nodes)
        task = asyncio.create_task(timeline.run())
        await asyncio.sleep(30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        journal.close()

    run_virtual(main)
    assert trial.log == [(5.0, "on"), (30.0, "healed")]


def test_load_is_sent_for_its_time(trial: Trial) -> None:
    """To the nodes of its selector, for as long as it is asked, at most to the timeline's end."""
    calls = Calls("rpc", "rpc", "/", "inSync", (), 20.0)
    step = TimelineStep("ask", When(time_s=50.0), "load", "load", (), Targets(on="eu"), 30.0, calls=calls)
    trial.run(step)
    ((at, nodes, seconds),) = trial.called
    assert (at, nodes, round(seconds, 3)) == (50.0, ["eu-1", "eu-2", "eu-3"], 9.9)
    (over,) = trial.events("load over")
    assert over["time"] < 60.0
    assert trial.events("load over")


def test_a_mark_is_a_line_in_the_journal(trial: Trial) -> None:
    """Marks are for people who read the report."""
    trial.run(TimelineStep("here", When(time_s=3.0), "mark", "half time"))
    assert [(event["time"], event["text"]) for event in trial.events("mark")] == [(3.0, "half time")]


def test_what_was_done_before_is_not_done_again(trial: Trial) -> None:
    """A run that goes on after a kill begins where the journal ends; it has said when what may follow comes."""
    trial.run(
        fault("one", When(time_s=5.0), 1.0),
        fault("two", When(time_s=40.0), 5.0),
        fault("three", When(time_s=6.0), 2.0),
        fault("four", When(after="one"), 2.0),
        elapsed_s=30.0,
        done={"one"},
    )
    assert trial.log == [(0.0, "on"), (2.0, "ended"), (10.0, "on"), (15.0, "ended")]
    assert [event["step"] for event in trial.events("step missed")] == ["four"]


def test_what_comes_after_a_step_that_failed_does_not_come(trial: Trial) -> None:
    """Whatever it was that failed; `after` means that it is over."""
    calls = Calls("rpc", "rpc", "/", "inSync", (), 20.0)
    nobody = Targets(on="peers of us-1")
    trial.net.refuses = "no room for it"
    trial.run(
        TimelineStep("ask", When(time_s=5.0), "load", "load", (), nobody, 1.0, calls=calls),
        TimelineStep("kill", When(time_s=5.0), "fault", "kill", (), Targets(on="us-1"), momentary=True),
        *(TimelineStep(f"m-{name}", When(after=name), "mark", name) for name in ("ask", "kill")),
    )
    assert [event["step"] for event in trial.events("step failed")] == ["ask", "kill"]
    assert [event["step"] for event in trial.events("step missed")] == ["m-ask", "m-kill"]


def test_a_step_that_heals_says_what_before_it_does(trial: Trial) -> None:
    """A controller that dies meanwhile must not put it on again."""
    heal = TimelineStep("heal", When(time_s=20.0), "heal", "one")
    trial.run(fault("one", When(time_s=5.0)), fault("two", When(time_s=6.0), None, "us-2"), heal)
    assert [event.get("heals") for event in trial.events("step")] == [None, None, ["f1"]]


def test_figures_are_noted_when_they_are_news(trial: Trial) -> None:
    """What is measured again and again and is the same stands in the journal once."""

    async def measure(net: MemoryNet) -> None:
        await asyncio.sleep(10)
        net.measure("on", [{"name": "x", "found": 1}])
        await asyncio.sleep(20)
        net.measure("not achieved", [{"name": "x", "found": 2, "holds": False}])

    trial.run(fault("cut", When(time_s=5.0), 40.0), beside=measure)
    assert [event["state"] for event in trial.events("fault seen")] == ["on", "on", "not achieved"]


def test_a_fault_that_was_not_as_asked_when_it_ended_is_not_said_to_have_been(trial: Trial) -> None:
    """Of one that is over an agent says only that it is: what counts is the last that was measured."""

    async def measure(net: MemoryNet) -> None:
        await asyncio.sleep(10)
        net.measure("not achieved", [{"name": "x", "found": 2, "holds": False}])

    trial.run(fault("cut", When(time_s=5.0), 40.0), beside=measure)
    assert [event["state"] for event in trial.events("fault seen")] == ["on", "not achieved"]


def test_a_first_attempt_that_was_not_as_asked_counts_where_no_other_came(trial: Trial) -> None:
    """An agent measures again what is not as asked; a fault that is healed before was what is known of it."""

    async def measure(net: MemoryNet) -> None:
        await asyncio.sleep(10)
        net.measure("on", [{"name": "x", "found": 2, "holds": False}])

    trial.run(fault("cut", When(time_s=5.0), None), beside=measure, duration_s=20.0)
    assert [event["state"] for event in trial.events("fault seen")][-1] == "not achieved"


def test_thirty_days_of_faults_take_seconds(trial: Trial) -> None:
    """A long timeline keeps its times, to the second, and nothing of it piles up."""
    days = 30 * 86400.0
    steps = [fault(f"cut#{turn}", When(time_s=60.0 + turn * 3600.0), 60.0) for turn in range(719)]
    trial.run(*steps, duration_s=days)
    starts = [at for at, how in trial.log if how == "on"]
    assert starts == [60.0 + turn * 3600.0 for turn in range(719)]
    drifts = [abs(event["drift_s"]) for event in trial.events("step")]
    assert max(drifts) < 0.01
