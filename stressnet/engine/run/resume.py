"""Where a run whose controller died goes on: read from its journal, beside what its net still has on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from stressnet.checks.expectation import Expectation
from stressnet.engine.run.scenario import Scenario, Settling
from stressnet.errors import UsageError
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.record import runs
from stressnet.record.record import PHASES, Record

_GIVEN_UP = ("step missed", "step failed")
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
    """Steps of the timeline that are not done again: those that are over, and those that were missed or failed."""
    over: Mapping[str, float] = field(default_factory=dict)
    """When steps were over, seconds of the timeline: others may follow them, and none that were missed or failed."""


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
            capture_bytes=run.get("capture_bytes", 0),  # records of earlier versions do not say it
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
    seconds = record.timing.seconds
    over = _overs(record)
    given_up = {event["step"] for event in record.events if event["event"] in _GIVEN_UP}
    elapsed_s = max(0.0, seconds(max(died, sampled)) - seconds(phase.begun))
    return Progress(phase.name, elapsed_s, frozenset(over.keys() | given_up), over)


def _overs(record: Record) -> dict[str, float]:
    """Return when each step that is over was so, in the timeline's own time.

    What was on when the controller died is not over: it is put on again for the rest of its time. But what a step was
    about to heal is, though nobody has said so: it is healed before the run goes on.
    """
    failed = {event["step"] for event in record.events if event["event"] == "step failed"}
    on: dict[str, str] = {}
    over: dict[str, float] = {}
    for event in record.events:
        name = event["event"]
        ended: list[str] = []
        if name == "fault on":
            on[event["id"]] = event["step"]
        elif name == "fault over" and event["id"] in on and event["by"] != _KILL:
            ended = [on[event["id"]]]
        elif name in ("load over", "mark"):
            ended = [event["step"]]
        elif name == "step" and event["action"] == "heal" and event["step"] not in failed:
            ended = [event["step"], *(on[one] for one in event.get("heals", ()) if one in on)]
        over |= dict.fromkeys(ended, record.timing.seconds(event["time"]))
    return over


def rest_of(timeline: Timeline, record: Record, progress: Progress) -> Timeline:
    """Return the timeline for what is left of it, in its own time.

    Steps that were begun and are not over are done again at once, for the rest of their time; those that come after one
    that is over come when they would have come, and waiting begins no second time.
    """
    if "timeline" not in record.phases:
        return timeline
    now_s = progress.elapsed_s
    on = {
        event["step"]: record.timing.seconds(event["time"])
        for event in reversed(record.events)  # the first time counts
        if event["event"] in ("fault on", "load on")
    }
    begun = on.keys() | {event["step"] for event in record.events if event["event"] == "step"}
    steps = []
    for step in timeline.steps:
        when = step.when
        if step.name in begun - progress.done:
            step = _again(step, now_s, now_s - on.get(step.name, now_s))
        elif when.after in progress.over:
            step = replace(step, when=When(time_s=progress.over[when.after] + when.wait_s))
        elif when.within_s is not None:
            step = replace(step, when=replace(when, within_s=max(0.0, when.within_s - now_s)))
        steps.append(step)
    return replace(timeline, steps=tuple(steps))


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
