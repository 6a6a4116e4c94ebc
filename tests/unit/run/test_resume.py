"""Where a run whose controller was killed goes on: in the timeline's own time, which stood still meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.records import BEGUN, make_record

from stressnet.engine.run.resume import progress_of, rest_of
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.record.record import Record
from stressnet.spec.targets import Targets

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
