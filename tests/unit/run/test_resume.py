"""Where a run whose controller was killed goes on: in the timeline's own time, which stood still meanwhile."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from some_plan import some_plan
from unit.records import BEGUN, make_record
from unit.run.some_scenario import some_scenario

from stressnet.engine.run.resume import Progress, left_s, progress_of, read_scenario, rest_of
from stressnet.engine.run.stages import Asked, write_down
from stressnet.engine.run.timeline import TimelineRun
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record
from stressnet.spec.targets import Targets
from stressnet.testing import MemoryNet, run_virtual

FAULT = {"kind": "pause", "parameters": {}, "links": [], "nodes": ["us-1"], "ends_at": 0.0, "asked": "pause"}


def event(second: float, name: str, **more: Any) -> dict[str, Any]:
    return {"time": BEGUN + second, "event": name, **more}


def put_on(at: float, number: int, step: str) -> dict[str, Any]:
    return event(
        at, "fault on", id=f"f{number}", step=step, layer="node", fault={**FAULT, "id": f"f{number}"}
    )


def pause(name: str, when: When, for_s: float | None = 20.0) -> TimelineStep:
    return TimelineStep(name, when, "fault", "pause", (), Targets(on="us-1"), for_s)


def rest(path: Path, *steps: TimelineStep) -> dict[str, TimelineStep]:
    """Return what is left of a timeline, which began at 5 s, by name of the step."""
    record = Record(path)
    left = rest_of(Timeline(steps, 60.0, 0.0), record, progress_of(record))
    return {step.name: step for step in left.steps}


def test_a_wait_after_a_step_goes_on(tmp_path: Path) -> None:
    """And does not begin anew: the step was over at +7, and the controller died at +12."""
    over = [
        put_on(10, 1, "nap"),
        event(12, "fault over", id="f1", by="time"),
        event(17, "mark", step="m", text=""),
    ]
    left = rest(make_record(tmp_path, until=17, more=over), pause("late", When(after="nap", wait_s=20.0)))
    assert left["late"].when == When(time_s=27.0)


def test_what_is_on_is_done_for_the_rest_of_its_time(tmp_path: Path) -> None:
    """What comes after it still waits for it."""
    path = make_record(
        tmp_path, until=17, more=[put_on(10, 1, "nap"), event(17, "samples not fetched", why="")]
    )
    left = rest(path, pause("nap", When(time_s=5.0)), pause("late", When(after="nap", wait_s=1.0)))
    assert (left["nap"].when, left["nap"].for_s) == (When(time_s=12.0), pytest.approx(13.0))
    assert left["late"].when == When(after="nap", wait_s=1.0)


def test_a_time_to_wait_within_does_not_begin_anew(tmp_path: Path) -> None:
    path = make_record(tmp_path, until=17, more=[event(17, "mark", step="m", text="")])
    left = rest(path, pause("high", When(condition="height", above=99.0, within_s=30.0)))
    assert left["high"].when.within_s == pytest.approx(18.0)


def test_time_in_which_nobody_did_it_is_not_of_the_timeline(tmp_path: Path) -> None:
    """Killed at +8, gone on with 20 s later, and killed again after 4 more."""
    more = [
        put_on(10, 1, "nap"),
        event(33, "resumed", phase="timeline", elapsed_s=8.0),
        event(33, "fault over", id="f1", by="kill", at=BEGUN + 23),
        put_on(33, 2, "nap"),
        event(37, "mark", step="m", text=""),
    ]
    path = make_record(tmp_path, until=14, more=more)
    assert progress_of(Record(path)).elapsed_s == pytest.approx(12.0)
    left = rest(path, pause("nap", When(time_s=5.0)))
    assert (left["nap"].when.time_s, left["nap"].for_s) == (pytest.approx(12.0), pytest.approx(13.0))


def test_a_fault_was_over_when_the_agent_ended_it(tmp_path: Path) -> None:
    """And not when somebody came to see."""
    more = [put_on(10, 1, "nap"), event(50, "fault over", id="f1", by="kill", at=BEGUN + 22)]
    (span,) = Record(make_record(tmp_path, more=more)).faults
    assert span.lasted_s == pytest.approx(12.0)


def test_a_line_of_the_journal_ends_where_it_ends(tmp_path: Path) -> None:
    """Texts hold whatever a node or an engine has said, also what other programs take for an end."""
    said = "one\u2028two\x85three"
    path = make_record(tmp_path)
    with (path / "journal.jsonl").open("a") as file:
        file.write(json.dumps(event(61, "stopped", why=said), ensure_ascii=False) + "\n")
    assert [one["why"] for one in Record(path).events if one["event"] == "stopped"] == [said]


def took_up(at: float, elapsed_s: float) -> dict[str, Any]:
    return event(at, "resumed", phase="timeline", elapsed_s=elapsed_s)


def test_what_is_done_and_what_is_over(tmp_path: Path) -> None:
    """What was missed or failed is not done again, and nothing may follow it; what is on is neither done nor over."""
    more = [
        *(event(6, "step", step="ask", action="load"), event(6, "load on", step="ask", nodes=[])),
        *(event(7, "step", step="here", action="mark"), event(7, "mark", step="here", text="")),
        *(event(8, "step missed", step="high", why=""), event(8, "step failed", step="full", why="")),
        *(put_on(9, 1, "nap"), put_on(9, 2, "cut"), put_on(9, 3, "slow"), put_on(9, 4, "stop")),
        *(event(10, "fault over", id="f1", by="time"), event(11, "fault over", id="f2", by="kill")),
        *(event(12, "load over", step="ask", calls={}), event(12, "load on", step="more", nodes=[])),
        *(event(13, "step", step="heal", action="heal", heals=["f3"]), event(14, "breach", check="stuck")),
    ]
    assert progress_of(Record(make_record(tmp_path, until=14, more=more))) == Progress(
        "timeline",
        9.0,
        frozenset({"ask", "here", "high", "full", "nap", "slow", "heal"}),
        {"here": 2.0, "nap": 5.0, "ask": 7.0, "slow": 8.0, "heal": 8.0},
    )


@pytest.mark.parametrize(("by", "over"), [("kill", 5.0), ("plan", 8.0)])
def test_what_a_step_was_about_to_heal_stays_off(tmp_path: Path, by: str, over: float) -> None:
    """It is not put on again, and what comes after it comes; when somebody has said when it was over, then."""
    more = [
        *(put_on(6, 1, "nap"), event(10, "step", step="heal", action="heal", heals=["f1"])),
        *(took_up(30, 6.0), event(32, "fault over", id="f1", by=by), event(33, "samples lost", why="")),
    ]
    path = make_record(tmp_path, until=11, more=more)
    assert progress_of(Record(path)).done == {"nap", "heal"}
    left = rest(path, pause("nap", When(time_s=1.0)), pause("late", When(after="nap", wait_s=9.0)))
    assert left["late"].when == When(time_s=over + 9.0)


def test_a_step_that_could_not_heal_leaves_on_what_it_meant(tmp_path: Path) -> None:
    """As it would have been had nobody died."""
    more = [
        *(put_on(6, 1, "nap"), event(10, "step", step="heal", action="heal", heals=["f1"])),
        event(11, "step failed", step="heal", why="no agent answers"),
    ]
    progress = progress_of(Record(make_record(tmp_path, until=12, more=more)))
    assert (progress.done, progress.over) == ({"heal"}, {})


def test_a_step_whose_moment_had_come_does_not_wait_for_another(tmp_path: Path) -> None:
    """The controller died before it was on: it comes at once, for its whole time."""
    path = make_record(tmp_path, until=12, more=[event(12, "step", step="high", action="fault")])
    left = rest(path, pause("high", When(condition="height", above=99.0, within_s=30.0)))
    assert (left["high"].when, left["high"].for_s) == (When(time_s=7.0), 20.0)


def test_a_run_that_goes_on_misses_what_it_would_have_missed(tmp_path: Path) -> None:
    """What comes after a step that was missed does not come because the controller died since."""
    path = make_record(tmp_path, until=9, more=[event(8, "step missed", step="high", why="")])
    record = Record(path)
    steps = (
        pause("high", When(condition="height", above=99.0, within_s=2.0)),
        pause("late", When(after="high")),
        pause("then", When(time_s=30.0)),
    )
    progress = progress_of(record)
    timeline = rest_of(Timeline(steps, 60.0, 0.0), record, progress)
    net = MemoryNet(some_plan())

    async def main() -> None:
        with closing(RunJournal(path / "journal.jsonl")) as journal:
            calls: Any = None
            doing = TimelineRun(timeline, net, journal, 7, calls)
            await doing.run(progress.elapsed_s, progress.done)

    run_virtual(main)
    assert [round(at) for at, how, _ in net.log if how == "on"] == [27], (
        "`then`, of whose timeline 3 s were over"
    )
    missed = [one["step"] for one in Record(path).events if one["event"] == "step missed"]
    assert missed == ["high", "late"]


@pytest.mark.parametrize(
    ("phase", "elapsed_s", "left"),
    [("settle", 3.0, 217.0), ("baseline", 3.0, 97.0), ("timeline", 40.0, 50.0), ("observe", 29.0, 1.0)],
)
def test_what_is_left_takes_what_is_left_of_all_phases(phase: str, elapsed_s: float, left: float) -> None:
    assert left_s(some_scenario(), Progress(phase, elapsed_s)) == left


def test_a_record_says_all_of_what_it_was_made_from(tmp_path: Path) -> None:
    """One that is gone on with keeps packets as it was to, and all the rest."""
    write_down(tmp_path, some_scenario(), Asked(tmp_path, ()))
    assert read_scenario(tmp_path) == some_scenario()
