"""Nodes whose height stands still although others are ahead and can be reached."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.check import Check, Finding
from stressnet.checks.progress import IN_STEP, STEP_S, Heights, between, heights, unasked
from stressnet.plan import Plan, shorten
from stressnet.record.record import Record, Span
from stressnet.record.rows import NodeSample
from stressnet.spec.fields import Model, SomeSeconds, one_of, refuse, whole
from stressnet.spec.units import format_duration
from stressnet.spec.words import show

Class = Literal["sticky", "starved", "halted", "slow recovery", "under fault"]
CLASSES: tuple[Class, ...] = get_args(Class)
_LEAST_WINDOW_S = 10.0
_SILENCE_S = 10.0
"""Samples that end so long before the record does say nothing of its end."""
_LAST_S = 2.0
"""Who was behind at every moment of the last seconds is behind; for a moment everyone is, who is looked at first."""
_MARGIN = 1.5
"""A window is so many times the kind's longest recovery timer, which may have begun anew meanwhile."""


def _classes(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(CLASSES)}")
    return value


Classes = Annotated[
    list[Annotated[Class, BeforeValidator(one_of(*CLASSES)), WithJsonSchema({"enum": list(CLASSES)})]],
    BeforeValidator(_classes),
]
Peers = Annotated[int, BeforeValidator(whole(1, 10_000)), WithJsonSchema({"type": "integer", "minimum": 1})]


class Parameters(Model):
    """A node is stuck when its height stands still for a window while others are ahead and reachable."""

    window: SomeSeconds | None = Field(
        default=None,
        description="How long; default: 1.5 times the longest recovery timer of the node's kind, at least 10 s.",
    )
    ahead: Peers = Field(default=1, description="So many nodes must be more than 2 blocks ahead; default: 1.")
    classes: Classes = Field(
        default=["sticky", "starved", "halted"],
        description="What fails; default: the first three. `sticky` (healthy "
        "links, and not going on), `starved` (the same, and without peers), "
        "`halted` (no node of the net gains height), `slow recovery` (it went on, later than the window), "
        "`under fault` (while a fault was on it or its links, or all of the net while any was on).",
    )


@dataclass(frozen=True, slots=True)
class Stall:
    """A node that stood still while others were ahead; Unix times."""

    node: str
    """Empty: the whole net."""
    begun: float
    ended: float
    height: int
    behind: int
    """Blocks behind the highest at its end."""
    healthy_s: float
    """The longest time in it in which nothing that was asked for disturbed it."""
    sort: Class
    over: bool
    """Whether it went on afterwards."""


def window_s(plan: Plan, node: str, asked: float | None) -> float:
    """Return how long a node must stand still to be called stuck, seconds."""
    if asked is not None:
        return asked
    return max(_LEAST_WINDOW_S, _MARGIN * plan.node(node).recovery_s)


def judge(record: Record, parameters: Parameters) -> Finding:
    """Look for stalls of the classes that fail."""
    seen = heights(record)
    stalls = [
        stall
        for name in record.nodes
        for stall in _stalls(
            record, seen, name, window_s(record.plan, name, parameters.window), parameters.ahead
        )
    ]
    longest = max(window_s(record.plan, name, parameters.window) for name in record.nodes)
    stalls += _halts(record, seen, longest)
    stalls.sort(key=lambda stall: (stall.sort not in parameters.classes, -(stall.ended - stall.begun)))
    lines = tuple(_line(record, stall) for stall in stalls)
    numbers = {"stalls": [_numbers(stall) for stall in stalls]}
    bad = [stall for stall in stalls if stall.sort in parameters.classes]
    if bad:
        names = tuple(dict.fromkeys(name for stall in bad for name in _concerned(seen, stall)))
        return Finding(
            "fail", _summary(record, bad), names, min(stall.begun for stall in bad), lines, numbers
        )
    unknown = _unknown(record, seen, parameters)
    if unknown:
        return Finding("inconclusive", unknown, (), None, lines, numbers)
    return Finding("pass", _harmless(stalls), (), None, lines, numbers)


def _concerned(seen: Heights, stall: Stall) -> Sequence[str]:
    """Return who stood still: of a whole net all that ran at its end, the highest first."""
    if stall.node:
        return [stall.node]
    place = bisect_left(seen.times, stall.ended)
    ran = {name: height for name, row in seen.nodes.items() if (height := row[place]) is not None}
    return sorted(ran, key=lambda name: -ran[name])


def _harmless(stalls: Sequence[Stall]) -> str:
    """Say who stood still in a way that does not count, the longest first."""
    if not stalls:
        return "no node stood still while others were ahead"
    who = shorten(tuple(dict.fromkeys(stall.node or "the whole net" for stall in stalls)))
    sorts = " or ".join(dict.fromkeys(stall.sort for stall in stalls))
    longest = format_duration(round(stalls[0].ended - stalls[0].begun))
    return f"only {who} stood still, for {longest} at most, which does not count here: {sorts}"


def _unknown(record: Record, seen: Heights, parameters: Parameters) -> str:
    """Say why it cannot be known whether a node is stuck; nothing where it can."""
    asked = [name for name in record.nodes if name not in unasked(record)]
    silent = [name for name in asked if all(height is None for height in seen.nodes[name])]
    if len(silent) == len(asked):
        return "no node said its height"
    if not record.over:
        return ""
    if silent:
        return f"{shorten(silent)} never said its height"
    if record.now - seen.times[-1] > _SILENCE_S:
        return f"the samples end {format_duration(round(record.now - seen.times[-1]))} before the record"
    return _watched_too_shortly(record, seen, parameters)


def _watched_too_shortly(record: Record, seen: Heights, parameters: Parameters) -> str:
    observe = record.phases.get("observe")
    if observe is None:
        return ""
    seconds = observe.ended - observe.begun
    last = range(max(0, len(seen.times) - 1 - round(_LAST_S / STEP_S)), len(seen.times))
    behind = [
        name
        for name in seen.nodes
        if all(seen.are_ahead(name, place, parameters.ahead) for place in last)
        and seconds < window_s(record.plan, name, parameters.window)
    ]
    if not behind:
        return ""
    return (
        f"{shorten(behind)} was still behind when the record ended, {format_duration(round(seconds))} after the "
        "heal, which is less than the window: `observe` must be longer"
    )


def _stalls(record: Record, seen: Heights, name: str, window: float, ahead: int) -> Iterator[Stall]:
    """Yield the times in which a node stood still for a window and others were ahead of it."""
    row, begun = seen.nodes[name], None
    absent = [
        span for span in record.faults if span.fault.kind in ("pause", "kill") and name in span.fault.nodes
    ]
    for place, at in enumerate(seen.times):
        own, before = row[place], row[place - 1] if place else None
        moved = own is None or before is None or own > before
        stands = (
            not moved and seen.are_ahead(name, place, ahead) and not any(span.on_at(at) for span in absent)
        )
        if begun is not None and not stands:
            on = own is not None and before is not None and own > before
            yield from _stall(record, seen, name, begun, place - 1, window, over=on)
            begun = None
        if begun is None and stands:
            begun = place
    if begun is not None:
        yield from _stall(record, seen, name, begun, len(seen.times) - 1, window, over=False)


def _stall(
    record: Record, seen: Heights, name: str, first: int, last: int, window: float, *, over: bool
) -> Iterator[Stall]:
    begun, ended = seen.times[first], seen.times[last]
    if ended - begun < window:
        return
    helpers = {other: seen.times[seen.ahead_from(name, other, first)] for other in seen.ahead(name, last)}
    healthy_s = _undisturbed_s(record, name, helpers, ended)
    if healthy_s < window:
        sort: Class = "under fault"
    elif over:
        sort = "slow recovery"
    else:
        sort = "starved" if _alone(record.nodes[name], ended - window, ended) else "sticky"
    height = seen.nodes[name][last] or 0
    yield Stall(name, begun, ended, height, seen.lag(name, last) or 0, healthy_s, sort, over)


def _undisturbed_s(record: Record, name: str, helpers: Mapping[str, float], ended: float) -> float:
    """Return the longest time in which a node and somebody ahead of it, and both ways between them, had no fault.

    `helpers` says since when each was ahead: who stood as still as this node could not help it.
    """
    return max(
        (
            _gap(
                (
                    span
                    for span in record.faults
                    if _within(span, since, ended) and between(span, name, other)
                ),
                since,
                ended,
            )
            for other, since in helpers.items()
        ),
        default=0.0,
    )


def _within(span: Span, begun: float, ended: float) -> bool:
    return span.begun < ended and (span.ended is None or span.ended > begun)


def _gap(spans: Iterable[Span], begun: float, ended: float) -> float:
    """Return the longest time without any of these faults, which come in the order of their beginnings."""
    longest, free = 0.0, begun
    for span in spans:
        longest = max(longest, span.begun - free)
        free = max(free, ended if span.ended is None else span.ended)
    return max(longest, ended - free)


def _alone(rows: Sequence[NodeSample], since: float, until: float) -> bool:
    """Whether the node had no peer in all of this time, by its own word."""
    seen = [row.peers for row in rows if since <= row.at <= until and row.peers is not None]
    return bool(seen) and max(seen) == 0


def _halts(record: Record, seen: Heights, window: float) -> Iterator[Stall]:
    """Yield the times in which no node gained height for a window; what a net does before it has settled is not
    judged."""
    baseline = record.phases.get("baseline")
    if baseline is None:
        return
    begun: int | None = None
    for place, at in enumerate(seen.times):
        top = seen.highest(place)
        if at < baseline.begun or top is None:
            begun = None
        elif begun is None:
            begun = place
        elif top != (before := seen.highest(begun)):
            yield from _halt(record, seen, begun, place, window, over=before is None or top > before)
            begun = place  # also where the highest is gone: the net goes on from the next
    if begun is not None:
        yield from _halt(record, seen, begun, len(seen.times) - 1, window, over=False)


def _halt(
    record: Record, seen: Heights, first: int, last: int, window: float, *, over: bool
) -> Iterator[Stall]:
    begun, ended = seen.times[first], seen.times[last]
    quiet = _gap((span for span in record.faults if _within(span, begun, ended)), begun, ended)
    if ended - begun >= window:
        sort: Class = "halted" if quiet >= window else "under fault"
        yield Stall("", begun, ended, seen.highest(first) or 0, 0, quiet, sort, over)


def _summary(record: Record, bad: Sequence[Stall]) -> str:
    if not bad[0].node:
        stall = bad[0]
        said = "halted" if stall.sort == "halted" else "halted under a fault"
        return (
            f"the whole net {said} at height {stall.height} from {record.clock(stall.begun)} on, "
            f"for {format_duration(round(stall.ended - stall.begun))}"
        )
    names = tuple(dict.fromkeys(stall.node for stall in bad if stall.node))
    worst = bad[0]
    said = f"{shorten(names)} {'is' if len(names) == 1 else 'are'} stuck ({worst.sort})"
    more = ("" if worst.over else ", and did not go on") + _may_be_waiting(record, worst)
    return (
        f"{said}: height {worst.height} from {record.clock(worst.begun)} for "
        f"{format_duration(round(worst.ended - worst.begun))}, {worst.behind} blocks behind{more}"
    )


def _line(record: Record, stall: Stall) -> str:
    who = stall.node or "the whole net"
    seconds, healthy = round(stall.ended - stall.begun), round(stall.healthy_s)
    end = "then it went on" if stall.over else "it did not go on"
    return (
        f"{who}: {stall.sort}, height {stall.height} from {record.clock(stall.begun)} for {seconds} s, "
        f"{stall.behind} behind at its end, undisturbed for {healthy} s; {end}{_may_be_waiting(record, stall)}"
    )


def _may_be_waiting(record: Record, stall: Stall) -> str:
    """Say that a node may have waited, as it is meant to: a window of the plan's own can be shorter than its timers."""
    timer = record.plan.node(stall.node).recovery_s if stall.node else 0.0
    if stall.sort not in ("sticky", "starved") or stall.healthy_s >= timer:
        return ""
    return f"; it may be waiting for its longest recovery timer ({format_duration(timer)})"


def _numbers(stall: Stall) -> dict[str, Any]:
    return {
        "node": stall.node,
        "class": stall.sort,
        "begun": stall.begun,
        "ended": stall.ended,
        "height": stall.height,
        "behind": stall.behind,
        "healthy_s": stall.healthy_s,
        "over": stall.over,
    }


CHECK = Check(
    "stuck", f"no node stands still while others are more than {IN_STEP} blocks ahead", Parameters, judge
)
