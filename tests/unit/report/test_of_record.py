"""What the page of a record shows: times of the timeline, and rates of each life of a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unit.records import BEGUN, make_record

from stressnet.checks.check import Finding
from stressnet.checks.verdict import Judgement, Verdict
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample
from stressnet.record.samples import Samples
from stressnet.report.of_record import page_of
from stressnet.report.page import Chart, Page, Phase

FAULT = {
    "id": "f1", "kind": "pause", "parameters": {}, "links": [], "nodes": ["us-1"], "ends_at": 0.0,
    "asked": "pause --on us-1",
}  # fmt: skip


def event(second: float, name: str, **more: Any) -> dict[str, Any]:
    return {"time": BEGUN + second, "event": name, **more}


def put_on(second: float) -> dict[str, Any]:
    return event(second, "fault on", id="f1", step="nap", layer="node", fault=FAULT, notes=[])


def page(path: Path, at: float | None = None) -> Page:
    """Return the page of a record whose timeline began after 5 s, with a check that points at a second of it."""
    found = Finding("fail", "it is stuck", ("us-1",), None if at is None else BEGUN + at)
    return page_of(Record(path), Verdict("fail", "", (Judgement("stuck", "stuck", {}, found),)))


def chart(of: Page, title: str) -> Chart:
    (found,) = (one for one in of.charts if one.title == title)
    return found


def sampled(path: Path, rows: Sequence[NodeSample]) -> None:
    samples = Samples(path / runs.SAMPLES, "cut")
    samples.write(rows)
    samples.close(alone=True)


def test_times_are_of_the_timeline(tmp_path: Path) -> None:
    """Phases, faults, events, what checks point at, and all points of charts; before its begin they are below 0."""
    path = make_record(tmp_path, more=[put_on(10), event(14.5, "fault over", id="f1", by="time")])
    found = page(path, at=12)
    assert found.begun_at == BEGUN + 5
    assert list(found.phases) == [
        Phase("settle", -4, -3),
        Phase("baseline", -3, 0),
        Phase("timeline", 0, 15),
        Phase("observe", 15, 55),
    ]
    assert [(one.begin_s, one.end_s) for one in found.bands] == [(5, 9.5)]
    assert [one.what for one in found.asked_achieved] == ["+0:05 for 4.5s"]
    assert [one.at_s for one in found.judgements] == [7]
    assert [(one.at_s, one.event) for one in found.journal][:2] == [(-5, "phase"), (-4, "phase")]
    points = chart(found, "Height").lines[0].points
    assert (points[0], points[-1], len(points)) == ((-5, 10), (54, 69), 60)


def test_a_counter_rises_by_lives(tmp_path: Path) -> None:
    """A node that is started again counts anew, and where one life ends and the next begins there is no rate."""
    path = make_record(tmp_path)
    (path / runs.SAMPLES).unlink()
    looks = [(5, 1, 7.0), (6, 1, 7.5), (8, 1, 7.5), (9, 2, 0.25), (10, 2, 0.5), (11, 2, None), (12, 2, 0.75)]
    rows = [
        NodeSample(BEGUN + at, at, "us-1", "ready", pid, 1, 10, cpu_s=used, opens=pid)
        for at, pid, used in looks
    ]
    sampled(path, rows)
    (cpu,) = chart(page(path), "CPU").lines
    assert (cpu.node, cpu.region) == ("us-1", "west")
    assert list(cpu.points) == [(1, 0.5), (3, 0.0), (4, None), (5, 0.25), (6, None), (7, None)]
    (opens,) = chart(page(path), "Connection attempts").lines
    assert [rate for _, rate in opens.points] == [0.0, 0.0, None, 0.0, 0.0, 0.0]


def test_while_nobody_does_the_run_no_time_goes_by(tmp_path: Path) -> None:
    """Killed 7 s into the timeline, and gone on with 20 s later: texts and pictures say the same times."""
    more = [
        *(put_on(10), event(32, "resumed", phase="timeline", elapsed_s=7.0)),
        event(33, "fault over", id="f1", by="kill", at=BEGUN + 22),
        event(37, "mark", step="m", text="here"),
        *(event(40, "phase", phase="observe"), event(60, "phase", phase="over")),
    ]
    path = make_record(tmp_path, until=12, more=more)
    sampled(path, [NodeSample(BEGUN + at, at, "us-1", "ready", 1, 1, at) for at in (20, 37, 38)])
    found = page(path, at=37)
    assert list(found.phases)[-2:] == [Phase("timeline", 0, 15), Phase("observe", 15, 35)]
    assert dict(found.asked)["timeline"] == "15s"
    assert [(one.begin_s, one.end_s) for one in found.bands] == [(5, 7)]
    assert [one.what for one in found.asked_achieved] == ["+0:05 for 2s"]
    assert [one.at_s for one in found.judgements] == [12]
    assert Record(path).clock(BEGUN + 37) == "+0:12"
    assert [one.at_s for one in found.journal if one.event == "mark"] == [12]
    points = next(line for line in chart(found, "Height").lines if line.node == "us-1").points
    assert list(points)[-3:] == [(7, 20), (12, 37), (13, 38)]
