"""Where a run whose controller died goes on: read from its journal, beside what its net still has on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stressnet.checks.expectation import Expectation
from stressnet.engine.run.scenario import Scenario, Settling
from stressnet.errors import UsageError
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.record import runs
from stressnet.record.record import PHASES, Phase, Record

_OVER = ("step missed", "step failed", "load over", "mark")
_KILL = "kill"
"""What has ended a fault that is put on again, for the rest of its time."""
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
            expected=Expectation.from_raw(run["expected"]),
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
    return Progress(phase.name, _elapsed_s(record, phase, max(died, sampled)), frozenset(_done(record)))


def _elapsed_s(record: Record, phase: Phase, at: float) -> float:
    """Return how much of a phase was over at a time: while nobody did the run, none of it went by."""
    since, elapsed = phase.begun, 0.0
    for event in record.events:
        if event["event"] == "resumed" and event["phase"] == phase.name and event["time"] <= at:
            since, elapsed = event["time"], event["elapsed_s"]
    return float(max(0.0, elapsed + at - since))


def _done(record: Record) -> Iterator[str]:
    """Yield the steps that are over: what was on when the controller died is put on again for the rest of its time."""
    on: dict[str, str] = {}
    for event in record.events:
        if event["event"] == "fault on":
            on[event["id"]] = event["step"]
        elif event["event"] == "fault over" and event["id"] in on:
            if event["by"] != _KILL:
                yield on[event["id"]]
        elif event["event"] in _OVER or (event["event"] == "step" and event["action"] == "heal"):
            yield event["step"]


def rest_of(timeline: Timeline, record: Record, progress: Progress) -> Timeline:
    """Return the timeline for what is left of it, in its own time.

    Steps that were begun and are not over are done again at once, for the rest of their time; those that come after one
    that is over come when they would have come, and waiting begins no second time.
    """
    phase = record.phases.get("timeline")
    if phase is None:
        return timeline
    begun = {
        event["step"]: _elapsed_s(record, phase, event["time"])
        for event in reversed(record.events)  # the first time counts
        if event["event"] in ("fault on", "load on")
    }
    over = {name: _elapsed_s(record, phase, at) for name, at in _overs(record).items()}
    steps = []
    for step in timeline.steps:
        when = step.when
        if step.name in begun and step.name not in progress.done:
            step = _again(step, progress.elapsed_s, progress.elapsed_s - begun[step.name])
        elif when.after in over and when.after in progress.done:
            step = replace(step, when=When(time_s=over[when.after] + when.wait_s))
        elif when.within_s is not None:
            step = replace(step, when=replace(when, within_s=max(0.0, when.within_s - progress.elapsed_s)))
        steps.append(step)
    return replace(timeline, steps=tuple(steps))


def _overs(record: Record) -> dict[str, float]:
    """Return when each step was last over, Unix time."""
    found = {span.step: span.ended for span in record.faults if span.ended is not None}
    for event in record.events:
        if event["event"] in ("load over", "mark") or (
            event["event"] == "step" and event["action"] == "heal"
        ):
            found[event["step"]] = float(event["time"])
    return found


def left_s(scenario: Scenario, progress: Progress) -> float:
    """Return how long the rest of a run takes, seconds; a net may take all of its time to settle."""
    settling, timeline = scenario.settling, scenario.timeline
    takes = {
        "settle": settling.timeout_s,
        "baseline": settling.baseline_s,
        "timeline": timeline.duration_s,
        "observe": timeline.observe_s,
    }
    return sum(takes[name] for name in PHASES[PHASES.index(progress.phase) :]) - progress.elapsed_s


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
