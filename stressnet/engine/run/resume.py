"""Where a run whose controller died goes on: read from its journal, beside what its net still has on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stressnet.engine.run.scenario import Scenario, Settling
from stressnet.errors import UsageError
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.record import runs
from stressnet.record.record import PHASES, Record

_OVER = ("step missed", "step failed", "load over", "mark")
_LEAST_S = 0.05
"""What is left of a fault and is less than this is not put on again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come."""

    phase: str = PHASES[0]
    """The phase that it is in."""
    elapsed_s: float = 0.0
    """How much of that phase is over."""
    done: frozenset[str] = frozenset()
    """Steps of the timeline that are over."""


def read_scenario(path: Path) -> Scenario:
    """Return what a record was made from; UsageError where it is none that can go on."""
    record = Record(path)
    try:
        timeline = Timeline.from_raw(json.loads((path / runs.TIMELINE).read_text(encoding="utf-8")))
        run = record.run
        return Scenario(
            name=run["name"],
            variant=run["variant"],
            expected=run["expected"],
            description=run["description"],
            file=run["file"],
            seed=run["seed"],
            time_scale=run["time_scale"],
            plan=record.plan,
            timeline=timeline,
            settling=Settling(**run["settling"]),
            checks=tuple(run["checks"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} cannot go on: {error!r}") from error


def progress_of(record: Record) -> Progress:
    """Return how far a run had come when its controller died; UsageError where it came to its end."""
    if record.over:
        raise UsageError(f"the run in {record.path} came to its end; `stressnet check` judges it again")
    if not record.phases:
        raise UsageError(f"the run in {record.path} had no net yet when it ended; begin anew")
    phase = list(record.phases.values())[-1]
    died = max(float(event["time"]) for event in record.events)
    sampled = max((rows[-1].at for rows in record.nodes.values() if rows), default=died)
    return Progress(phase.name, max(died, sampled) - phase.begun, frozenset(_done(record)))


def _done(record: Record) -> Iterator[str]:
    """Yield the steps that are over: what was on when the controller died is put on again for the rest of its time."""
    on: dict[str, str] = {}
    for event in record.events:
        if event["event"] == "fault on":
            on[event["id"]] = event["step"]
        elif event["event"] == "fault over" and event["id"] in on:
            yield on[event["id"]]
        elif event["event"] in _OVER or (event["event"] == "step" and event["action"] == "heal"):
            yield event["step"]


def rest_of(timeline: Timeline, record: Record, progress: Progress) -> Timeline:
    """Return the timeline with those steps that were begun and not over put on again at once, for what is left."""
    begun = {
        event["step"]: event["time"] for event in record.events if event["event"] in ("fault on", "load on")
    }
    started = record.phases["timeline"].begun if "timeline" in record.phases else 0.0
    steps = []
    for step in timeline.steps:
        if step.name in begun and step.name not in progress.done:
            passed = progress.elapsed_s - (begun[step.name] - started)
            steps.append(_again(step, progress.elapsed_s, passed))
        else:
            steps.append(step)
    return replace(timeline, steps=tuple(steps))


def _again(step: TimelineStep, at_s: float, passed_s: float) -> TimelineStep:
    for_s = None if step.for_s is None else max(_LEAST_S, step.for_s - passed_s)
    return replace(step, when=When(time_s=at_s), for_s=for_s)


def open_spans(events: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of faults that the journal has as on."""
    on: dict[str, None] = {}
    for event in events:
        if event["event"] == "fault on":
            on[event["id"]] = None
        elif event["event"] == "fault over":
            on.pop(event["id"], None)
    return list(on)
