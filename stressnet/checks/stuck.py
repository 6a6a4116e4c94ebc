"""Nodes whose height stands still although others are ahead and can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.check import Check, Finding
from stressnet.checks.progress import IN_STEP, Heights, heights
from stressnet.plan import Plan, shorten
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample
from stressnet.spec.fields import Model, SomeSeconds, one_of, refuse, whole
from stressnet.spec.units import format_duration
from stressnet.spec.words import show

Class = Literal["sticky", "starved", "halted", "slow recovery", "under fault"]
CLASSES: tuple[Class, ...] = get_args(Class)
_LEAST_WINDOW_S = 10.0
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
    ahead: Peers = Field(default=1, description="So many nodes must be more than 2 blocks ahead.")
    classes: Classes = Field(
        default=["sticky", "starved", "halted"],
        description="What fails: `sticky` (healthy links, and not going on), `starved` (the same, and without peers), "
        "`halted` (no node of the net gains height), `slow recovery` (it went on, later than the window), "
        "`under fault` (while a fault was on it or its links).",
    )


@dataclass(frozen=True, slots=True)
class Stall:
    """A node that stood still while others were ahead; Unix times."""

    node: str
    begun: float
    ended: float
    height: int
    behind: int
    """Blocks behind the highest at its end."""
    healthy_s: float
    """How long at its end nothing that was asked for disturbed it."""
    sort: Class
    over: bool
    """Whether it went on afterwards."""


def window_s(plan: Plan, node: str, asked: float | None) -> float:
    """Return how long a node must stand still to be called stuck, seconds."""
    if asked is not None:
        return asked
    return max(_LEAST_WINDOW_S, _MARGIN * getattr(plan.node(node), "recovery_s", 0.0))


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
    halt = _halt(record, seen, max(window_s(record.plan, name, parameters.window) for name in record.nodes))
    stalls += [halt] if halt else []
    stalls.sort(key=lambda stall: (stall.sort not in parameters.classes, -(stall.ended - stall.begun)))
    lines = tuple(_line(record, stall) for stall in stalls)
    numbers = {"stalls": [_numbers(stall) for stall in stalls]}
    bad = [stall for stall in stalls if stall.sort in parameters.classes]
    if bad:
        names = tuple(dict.fromkeys(stall.node for stall in bad if stall.node))
        return Finding(
            "fail", _summary(record, bad), names, min(stall.begun for stall in bad), lines, numbers
        )
    unknown = _unknown(record, seen, parameters)
    if unknown:
        return Finding("inconclusive", unknown, (), None, lines, numbers)
    said = f"no node stood still ({len(stalls)} stalls of classes that do not count)" if stalls else ""
    return Finding("pass", said or "no node stood still while others were ahead", (), None, lines, numbers)


def _unknown(record: Record, seen: Heights, parameters: Parameters) -> str:
    """Say why it cannot be known whether a node is stuck; nothing where it can."""
    silent = [name for name, row in seen.nodes.items() if all(height is None for height in row)]
    if len(silent) == len(seen.nodes):
        return "no node said its height"
    observe = record.phases.get("observe")
    if not record.over or observe is None:
        return ""
    behind = [
        name
        for name in seen.nodes
        if seen.times
        and seen.ahead(name, len(seen.times) - 1)
        and observe.ended - observe.begun < window_s(record.plan, name, parameters.window)
    ]
    if not behind:
        return ""
    seconds = format_duration(round(observe.ended - observe.begun))
    return (
        f"{shorten(behind)} was still behind when the record ended, {seconds} after the last fault, which is "
        "less than the window: `observe` must be longer"
    )


def _stalls(record: Record, seen: Heights, name: str, window: float, ahead: int) -> Iterator[Stall]:
    """Yield the times in which a node stood still for a window, from when others were ahead of it."""
    row, begun = seen.nodes[name], None
    for place, at in enumerate(seen.times):
        own = row[place]
        moved = place == 0 or own is None or row[place - 1] is None or own > row[place - 1]  # type: ignore[operator]
        if begun is not None and (moved or _absent(record, name, at)):
            yield from _stall(record, seen, name, begun, place - 1, window, over=moved and own is not None)
            begun = None
        if begun is None and own is not None and not moved and len(seen.ahead(name, place)) >= ahead:
            begun = place
    if begun is not None:
        yield from _stall(record, seen, name, begun, len(seen.times) - 1, window, over=False)


def _absent(record: Record, name: str, at: float) -> bool:
    """Whether a fault of ours keeps the node itself from running."""
    return any(
        span.fault.kind in ("pause", "kill") and name in span.fault.nodes and span.on_at(at)
        for span in record.faults
    )


def _stall(
    record: Record, seen: Heights, name: str, first: int, last: int, window: float, *, over: bool
) -> Iterator[Stall]:
    begun, ended = seen.times[first], seen.times[last]
    if ended - begun < window:
        return
    healthy_s = ended - _disturbed_until(record, seen, name, first, last)
    if healthy_s < window:
        sort: Class = "under fault"
    elif over:
        sort = "slow recovery"
    else:
        sort = "starved" if _alone(record.nodes[name], ended - window, ended) else "sticky"
    height = seen.nodes[name][last] or 0
    yield Stall(name, begun, ended, height, seen.lag(name, last) or 0, healthy_s, sort, over)


def _disturbed_until(record: Record, seen: Heights, name: str, first: int, last: int) -> float:
    """Return since when the node was undisturbed: itself, and both ways to somebody who was ahead at the end."""
    begun, ended = seen.times[first], seen.times[last]
    helpers = seen.ahead(name, last)
    own = begun
    by_link = dict.fromkeys(helpers, begun)
    for span in record.concerning(name, begun, ended):
        until = min(span.ended or ended, ended)
        if name in span.fault.nodes:
            own = max(own, until)
        for source, target in span.fault.links:
            other = target if source == name else source
            if name in (source, target) and other in by_link:
                by_link[other] = max(by_link[other], until)
    for span in record.faults:
        for other in by_link.keys() & set(span.fault.nodes):
            if span.begun < ended and (span.ended is None or span.ended > begun):
                by_link[other] = max(by_link[other], min(span.ended or ended, ended))
    return max(own, min(by_link.values(), default=ended))


def _alone(rows: Sequence[NodeSample], since: float, until: float) -> bool:
    """Whether the node had no peer in all of this time, by its own word."""
    seen = [row.peers for row in rows if since <= row.at <= until and row.peers is not None]
    return bool(seen) and max(seen) == 0


def _halt(record: Record, seen: Heights, window: float) -> Stall | None:
    """Return the last time in which no node gained height for a window; one without any fault on goes before others."""
    begun, most = None, None
    found: Stall | None = None
    for place, at in enumerate(seen.times):
        highest = seen.highest(place)
        if most is None or highest is None or highest > most:
            begun, most = at, highest if highest is not None else most
        if begun is None or not most or at - begun < window:
            continue
        quiet = max([begun, *(span.ended or at for span in record.faults if span.begun < at)])
        sort: Class = "halted" if at - quiet >= window else "under fault"
        if sort == "halted" or found is None or found.sort == sort:
            found = Stall("", begun, at, most, 0, at - quiet, sort, False)
    return found


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
    more = "" if worst.over else ", and did not go on"
    return (
        f"{said}: height {worst.height} from {record.clock(worst.begun)} for "
        f"{format_duration(round(worst.ended - worst.begun))}, {worst.behind} blocks behind{more}"
    )


def _line(record: Record, stall: Stall) -> str:
    who = stall.node or "the whole net"
    seconds, healthy = round(stall.ended - stall.begun), round(stall.healthy_s)
    end = "then it went on" if stall.over else "to the end of the record"
    if not stall.node:
        return f"the whole net: {stall.sort}, no node above height {stall.height} from {record.clock(stall.begun)} for {seconds} s"
    return (
        f"{who}: {stall.sort}, height {stall.height} from {record.clock(stall.begun)} for {seconds} s, "
        f"{stall.behind} behind at the end, undisturbed for the last {healthy} s; {end}"
    )


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
