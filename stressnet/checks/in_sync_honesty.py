"""Nodes that say they are in sync while they lag, and questions to nodes that make work for others."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from pydantic import Field

from stressnet.checks.check import Check, Finding
from stressnet.checks.loads import Load, loads
from stressnet.checks.progress import Heights, heights, in_reach
from stressnet.checks.series import risen
from stressnet.checks.vocabulary import Factor, NodeSelector, selected
from stressnet.plan import shorten
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.spec.fields import Model, Seconds, Text
from stressnet.spec.topology import Height
from stressnet.spec.units import format_duration
from stressnet.spec.words import nearest

_GAP_S = 10.0
"""Nobody knows what a node would have said in between."""
_FRESH = 3.0
"""How old a node's height may be, in intervals of its looks."""
_CHANCE = 2.0
"""Standard deviations by which requests that have nothing to do with calls may be more than in the baseline."""


class Parameters(Model):
    """A node that lags must not say that it is in sync, and to ask it must not make others work."""

    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")
    lag: Height = Field(
        default=10, description="So many blocks behind the highest that it can reach it may be; default: 10."
    )
    for_s: Seconds = Field(default=5.0, alias="for", description="How long it may be wrong; default: 5s.")
    queries: Text | None = Field(
        default=None,
        description="Name of a counter of requests between nodes, which must not rise with the calls of a `load`.",
    )
    per_call: Factor = Field(
        default=0.1,
        description="So much may that counter rise, over the net, for each call that was sent; default: 0.1.",
    )


@dataclass(frozen=True, slots=True)
class Lie:
    """A time in which a node said that it is in sync, and was not; Unix times."""

    node: str
    begun: float
    ended: float
    behind: int
    """Blocks, at most."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a counter did during a load that is over."""

    load: Load
    calls: int
    """That were sent, and those of the harness itself."""
    rise: float
    """Of the counter over the net, beyond what is usual."""
    by_node: Mapping[str, float]

    @property
    def per_call(self) -> float:
        """How much the counter rose with each call."""
        return self.rise / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Usual:
    """What a counter does when nobody calls."""

    rise: float
    """Over the net."""
    seconds: float

    def at_most(self, seconds: float) -> float:
        """Return by how much it rises in a time, with what chance may add to it: events of a Poisson process, of which
        the baseline has seen a few."""
        if not self.seconds:
            return 0.0
        share = seconds / self.seconds
        return self.rise * share + _CHANCE * sqrt(max(0.0, self.rise) * share * (1 + share))


@dataclass(slots=True)
class Part:
    """What one of the two questions comes to."""

    fails: str = ""
    unknown: str = ""
    holds: str = ""
    nodes: tuple[str, ...] = ()
    at: float | None = None
    lines: tuple[str, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold the answers of nodes against their heights, and the counter against the calls."""
    parts = [_answers(record, parameters)]
    if parameters.queries is not None:
        parts.append(_queries(record, parameters, parameters.queries))
    lines = tuple(line for one in parts for line in one.lines)
    numbers = {name: value for one in parts for name, value in one.numbers.items()}
    bad = [one for one in parts if one.fails]
    if bad:
        said = "; ".join(one.fails for one in bad)
        at = min((one.at for one in bad if one.at is not None), default=None)
        nodes = tuple(dict.fromkeys(name for one in bad for name in one.nodes))
        return Finding("fail", said, nodes, at, lines, numbers)
    unknown = "; ".join(one.unknown for one in parts if one.unknown)
    if unknown:
        return Finding("inconclusive", unknown, (), None, lines, numbers)
    return Finding("pass", "; ".join(one.holds for one in parts), (), None, lines, numbers)


def _answers(record: Record, parameters: Parameters) -> Part:
    names = selected(record, parameters.of)
    said = {name: answers for name, answers in read_answers(record).items() if name in names}
    if not said:
        return Part(unknown="no node has said whether it is in sync" + ("" if record.over else " yet"))
    seen = heights(record)
    lies = [
        one for name, answers in said.items() for one in _lies(record, seen, name, answers, parameters.lag)
    ]
    lies.sort(key=lambda one: one.begun - one.ended)
    bad = [one for one in lies if one.ended - one.begun > parameters.for_s]
    numbers = {
        "answers": sum(map(len, said.values())),
        "lies": [
            {"node": one.node, "begun": one.begun, "ended": one.ended, "behind": one.behind} for one in lies
        ],
    }
    lines = tuple(_line(record, one) for one in bad or lies)
    if not bad:
        return Part(
            holds=f"{len(said)} nodes said truly whether they are in sync", lines=lines, numbers=numbers
        )
    who = tuple(dict.fromkeys(one.node for one in bad))
    worst = bad[0]
    words = (
        f"{shorten(who)} said to be in sync for {format_duration(round(worst.ended - worst.begun))} from "
        f"{record.clock(worst.begun)} on, up to {worst.behind} blocks behind"
    )
    return Part(fails=words, nodes=who, at=min(one.begun for one in bad), lines=lines, numbers=numbers)


def read_answers(record: Record) -> Mapping[str, Sequence[tuple[float, bool]]]:
    """Return by node what it said when, in the order of time."""
    found: dict[str, list[tuple[float, bool]]] = {}
    try:
        lines = (record.path / runs.ANSWERS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            one = json.loads(line)
            found.setdefault(one["node"], []).append((float(one["time"]), bool(one["in_sync"])))
        except (ValueError, KeyError, TypeError):
            continue  # a torn line, as a kill leaves it
    return found


def _lies(
    record: Record, seen: Heights, name: str, answers: Sequence[tuple[float, bool]], lag: int
) -> Iterator[Lie]:
    """Yield the times in which all answers were wrong: of who could not know better, none is.

    While a node does not tell its height, its answers are neither right nor wrong.
    """
    begun, last, behind = None, 0.0, 0
    told = [row.at for row in record.nodes[name] if row.height is not None]
    fresh_s = _FRESH * record.plan.sampling.every_s
    for at, in_sync in answers:
        known = bisect_right(told, at)
        if not known or at - told[known - 1] > fresh_s:
            continue
        place = seen.place(at)
        wrong = in_sync and place is not None and bool(in_reach(record, seen, name, place, lag))
        if begun is not None and (not wrong or at - last > _GAP_S):
            yield Lie(name, begun, last, behind)
            begun, behind = None, 0
        if wrong and place is not None:
            begun = at if begun is None else begun
            last, behind = at, max(behind, seen.lag(name, place) or 0)
    if begun is not None:
        yield Lie(name, begun, last, behind)


def _line(record: Record, one: Lie) -> str:
    return (
        f"{one.node}: said to be in sync from {record.clock(one.begun)} to {record.clock(one.ended)}, "
        f"up to {one.behind} blocks behind"
    )


def _queries(record: Record, parameters: Parameters, series: str) -> Part:
    names = {name for node in record.metrics.values() for name in node}
    if series not in names:
        near = nearest(series, sorted(names))
        return Part(
            unknown=f"no node told a series {series!r}" + (f" (did you mean {near!r}?)" if near else "")
        )
    usual = _usual(record, series)
    found = [
        _cost(record, series, usual, load, load.ended) for load in loads(record) if load.ended is not None
    ]
    if not found:
        return Part(unknown="no load is over" + (", so nothing was asked" if record.over else " yet"))
    found.sort(key=lambda one: -one.per_call)
    lines = tuple(
        f"load {one.load.step}: {series} rose by {one.rise:.0f} beyond what is usual, with {one.calls} calls"
        + ("" if one.load.answered else "; none of the load was answered")
        for one in found
    )
    numbers = {"queries_per_call": {one.load.step: round(one.per_call, 4) for one in found}}
    worst = found[0]
    if worst.per_call > parameters.per_call:
        rose = f"{series} rose by {worst.rise:.0f} with {worst.calls} calls of {worst.load.step}"
        who = sorted(
            (name for name, more in worst.by_node.items() if more), key=lambda name: -worst.by_node[name]
        )
        said = f"{rose}: {worst.per_call:.2g} a call"
        return Part(fails=said, nodes=tuple(who), at=worst.load.begun, lines=lines, numbers=numbers)
    told = [one for one in found if one.load.answered]
    if not told:
        steps = shorten(tuple(dict.fromkeys(one.load.step for one in found)))
        return Part(unknown=f"no call of load {steps} was answered", lines=lines, numbers=numbers)
    return Part(holds=f"{series} rose by {told[0].per_call:.2g} with each call", lines=lines, numbers=numbers)


def _cost(record: Record, series: str, usual: Usual, load: Load, ended: float) -> Cost:
    """Set the calls of a load against what the counter did beyond what is usual a second."""
    by_node, seconds = _risen(record, series, load.begun, ended, later=True)
    return Cost(
        load,
        calls=load.sent + _asked(record, load.begun, ended),
        rise=max(0.0, sum(by_node.values()) - usual.at_most(seconds)),
        by_node=by_node,
    )


def _risen(
    record: Record, series: str, since: float, until: float, *, later: bool
) -> tuple[dict[str, float], float]:
    """Return by how much the series rose on each node, and over how many seconds on average.

    These are more than were asked for: from the last look before, and with `later` to the first look after the end.
    """
    found, spans = {}, []
    for name, looks in record.nodes.items():
        points = record.metrics.get(name, {}).get(series, ())
        end = next((at for at, _ in points if at >= until), until) if later else until
        found[name] = risen(points, looks, since, end) or 0.0
        inside = [at for at, _ in points if at <= end]
        before = [at for at in inside if at <= since]
        if inside and inside[-1] > since:
            spans.append(inside[-1] - (before[-1] if before else since))
    return found, sum(spans) / len(spans) if spans else until - since


def _usual(record: Record, series: str) -> Usual:
    """Return how the series rises, over the net, when nobody calls."""
    phase = record.phases.get("baseline")
    if phase is None or phase.ended <= phase.begun:
        return Usual(0.0, 0.0)
    by_node, seconds = _risen(record, series, phase.begun, phase.ended, later=False)
    return Usual(sum(by_node.values()), seconds)


def _asked(record: Record, since: float, until: float) -> int:
    """Return how many of the harness's own questions were answered in a time: they are calls too."""
    return sum(since <= at <= until for answers in read_answers(record).values() for at, _ in answers)


CHECK = Check(
    "in_sync_honesty",
    "no node says that it is in sync while it lags, nor asks others for it",
    Parameters,
    judge,
)
