"""How long nodes take from the heal until they are in step again, and who failed although nothing was done to it."""

from __future__ import annotations

import math

from pydantic import Field

from stressnet.checks.check import Check, Finding
from stressnet.checks.progress import IN_STEP, Heights, ended, heights, unasked
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, SomeSeconds
from stressnet.spec.topology import Height
from stressnet.spec.units import format_duration

_LAPSE_S = 2.0
"""Looks at two nodes do not come at one moment, and a block may come in between: out of step for less is noise."""


class Parameters(Model):
    """Every node must be in step within a time after the heal."""

    within: SomeSeconds = Field(
        description="The time, from the heal on: from the end of the timeline, not of a fault that ended before."
    )
    lag: Height = Field(
        default=IN_STEP, description="Blocks behind the highest that still count as in step; default: 2."
    )


def judge(record: Record, parameters: Parameters) -> Finding:
    """Measure the recovery of each node."""
    observe = record.phases.get("observe")
    if observe is None:
        return Finding("inconclusive", "the run did not come to the phase after the faults")
    seen = heights(record)
    left_out = unasked(record)
    names = [name for name in record.nodes if name not in left_out]
    gone = [name for name in ended(record) if name in names]
    if not gone and not any(seen.lag(name, len(seen.times) - 1) is not None for name in names if seen.times):
        return Finding("inconclusive", "no node said its height")
    took = {name: _took(seen, name, observe.begun, parameters.lag) for name in names}
    untouched = [name for name in names if not any(span.concerns(name) for span in record.faults)]
    late = [name for name, seconds in took.items() if seconds is None or seconds > parameters.within]
    bad = tuple(dict.fromkeys([*late, *gone]))
    slowest_first = sorted(names, key=lambda name: (name not in bad, -_seconds(took[name])))
    lines = (
        *(_line(name, took[name], name in untouched, name in gone) for name in slowest_first),
        *(f"{name}: has no height, or was not started" for name in left_out),
    )
    numbers = {"seconds": took, "untouched_but_failed": [name for name in bad if name in untouched]}
    within = format_duration(parameters.within)
    if observe.ended - observe.begun < parameters.within and bad and record.over:
        said = f"{shorten(bad)} was not in step, but was watched for less than {within}"
        return Finding("inconclusive", said, bad, None, lines, numbers)
    if bad and record.now - observe.begun >= parameters.within:
        said = f"{shorten(bad)} {'was' if len(bad) == 1 else 'were'} not in step {within} after the heal"
        return Finding("fail", said, bad, observe.begun + parameters.within, lines, numbers)
    if bad:
        return Finding("inconclusive", f"{shorten(bad)} not in step yet", bad, None, lines, numbers)
    known = [seconds for seconds in took.values() if seconds is not None]
    slowest = f", the slowest {max(known):.1f} s after the heal" if known else ""
    return Finding("pass", f"all nodes were in step{slowest}", (), None, lines, numbers)


def _took(seen: Heights, name: str, since: float, lag: int) -> float | None:
    """Return the seconds until the node was in step for good, but for lapses; None where it was not at the end."""
    found = lapsed = None
    for place, at in enumerate(seen.times):
        if at < since:
            continue
        behind = seen.lag(name, place)
        if behind is not None and behind <= lag:
            found = at - since if found is None else found
            lapsed = None
            continue
        lapsed = at if lapsed is None else lapsed
        if behind is None or at - lapsed >= _LAPSE_S:
            found = None
    return found


def _seconds(took: float | None) -> float:
    return math.inf if took is None else took


def _line(name: str, seconds: float | None, untouched: bool, gone: bool) -> str:
    said = "has exited" if gone else "was not in step at the end" if seconds is None else f"{seconds:.1f} s"
    return f"{name}: {said}{'; nothing had been done to it' if untouched else ''}"


CHECK = Check("recovery", "every node is in step again within a time after the heal", Parameters, judge)
