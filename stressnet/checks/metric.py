"""A bound on a Prometheus series of nodes: on its value, how fast it rises, or how much it rose in a phase."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.checks.check import Check, Finding
from stressnet.checks.series import Points, risen, steps
from stressnet.checks.vocabulary import NodeSelector, OnePhase, is_over, part, selected
from stressnet.plan import shorten
from stressnet.record.record import Phase, Record
from stressnet.spec.fields import Model, Number, Seconds, Text, one_of, refuse
from stressnet.spec.units import format_duration
from stressnet.spec.words import listing, nearest

TAKEN = ("value", "rate", "rise")
_BOUNDS: Mapping[str, str] = {
    "above": "more than",
    "below": "less than",
    "at_least": "at least",
    "at_most": "at most",
}
_GAP = 3.0
"""So many intervals without a look: nobody knows whether the bound was broken in between."""

Taken = Annotated[str, BeforeValidator(one_of(*TAKEN)), WithJsonSchema({"enum": list(TAKEN)})]


class Parameters(Model):
    """A series of each node, summed over its labels, must keep to one bound."""

    name: Text = Field(description="Name of the series, without labels.")
    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")
    phase: OnePhase = Field(
        default="observe",
        alias="in",
        description="In which phase, `observe` unless said; `all`: in the whole run.",
    )
    take: Taken = Field(
        default="value",
        description="What is compared: the `value` unless said, its `rate` a second between two looks, or its "
        "`rise` from the begin to the end of the phase; of a node that was started anew, rates and rises count from 0.",
    )
    above: Number | None = Field(default=None, description="It must be more.")
    below: Number | None = Field(default=None, description="It must be less.")
    at_least: Number | None = Field(default=None, description="It must be as much or more.")
    at_most: Number | None = Field(default=None, description="It must be as much or less.")
    for_s: Seconds = Field(
        default=0.0,
        alias="for",
        description="How long it must break the bound before that is a failure; default: not at all. A rise has no "
        "time.",
    )

    @model_validator(mode="after")
    def _one(self) -> Parameters:
        given = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"{listing(given)} together" if given else "no bound"
            raise refuse(found, f"one of {listing(_BOUNDS)}")
        if self.take == "rise" and self.for_s:
            raise refuse("`for` together with `take: rise`", "one of them")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """The comparison and its number."""
        return next((name, number) for name in _BOUNDS if (number := getattr(self, name)) is not None)

    def holds(self, value: float) -> bool:
        """Tell whether a value keeps to the bound."""
        name, number = self.bound
        return {
            "above": value > number,
            "below": value < number,
            "at_least": value >= number,
            "at_most": value <= number,
        }[name]

    def off(self, value: float) -> float:
        """Return how far a value is on the wrong side."""
        return abs(value - self.bound[1])


@dataclass(frozen=True, slots=True)
class Breach:
    """A time in which a node broke the bound at every look; Unix times."""

    node: str
    begun: float
    ended: float
    worst: float


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold the series of each node against the bound."""
    phase = part(record, parameters.phase)
    if phase is None:
        return Finding("inconclusive", f"the run has not come to the phase {parameters.phase}")
    able = [name for name in selected(record, parameters.of) if record.plan.node(name).metrics]
    if not able:
        return Finding("inconclusive", f"no node of {parameters.of} has metrics")
    taken = {name: list(_taken(record, name, parameters, phase)) for name in able}
    known = {name: points for name, points in taken.items() if points}
    if not known:
        return Finding("inconclusive", _nothing(record, able, parameters, phase))
    breaches = [one for name, points in known.items() for one in _breaches(record, name, points, parameters)]
    bad = sorted(
        (one for one in breaches if one.ended - one.begun >= parameters.for_s),
        key=lambda one: -parameters.off(one.worst),
    )
    lines = (*(_line(record, one, parameters) for one in bad), *_extremes(known, parameters))
    numbers = {name: _number(points, parameters) for name, points in known.items()}
    found = {"bound": dict([parameters.bound]), "take": parameters.take, "worst": numbers}
    if bad and (parameters.take != "rise" or is_over(record, parameters.phase)):
        names = tuple(dict.fromkeys(one.node for one in bad))
        said = f"{_what(parameters)} of {shorten(names)} was not {_wanted(parameters)}: {bad[0].worst:.6g}"
        return Finding("fail", said, names, min(one.begun for one in bad), lines, found)
    unknown = tuple(name for name in able if name not in known and _matters(record, name, parameters, phase))
    if bad or unknown:
        said = (
            f"{_what(parameters)} of {shorten(unknown)} is not known"
            if unknown
            else f"not yet {_wanted(parameters)}"
        )
        return Finding("inconclusive", said, unknown, None, lines, found)
    said = f"{_what(parameters)} was {_wanted(parameters)} on {shorten(list(known))}"
    return Finding("pass", said, (), None, lines, found)


def _taken(record: Record, name: str, parameters: Parameters, phase: Phase) -> Iterator[tuple[float, float]]:
    points = record.metrics.get(name, {}).get(parameters.name, ())
    if parameters.take == "rise":
        rise = risen(points, record.nodes[name], phase.begun, phase.ended)
        if rise is not None:
            yield phase.ended, rise
        return
    if parameters.take == "value":
        yield from ((at, value) for at, value in points if phase.begun <= at <= phase.ended)
        return
    for begun, ended, more in steps(points, record.nodes[name]):
        if phase.begun <= begun and ended <= phase.ended:
            yield ended, more / (ended - begun)


def _breaches(record: Record, name: str, points: Points, parameters: Parameters) -> Iterator[Breach]:
    """Yield the times in which the bound was broken at every look."""
    most = _GAP * max(record.plan.sampling.closely_s, record.plan.sampling.every_s)
    run: list[tuple[float, float]] = []
    for at, value in points:
        if run and (parameters.holds(value) or at - run[-1][0] > most):
            yield _breach(name, run, parameters)
            run = []
        if not parameters.holds(value):
            run.append((at, value))
    if run:
        yield _breach(name, run, parameters)


def _breach(name: str, run: Sequence[tuple[float, float]], parameters: Parameters) -> Breach:
    return Breach(name, run[0][0], run[-1][0], max((value for _, value in run), key=parameters.off))


def _matters(record: Record, name: str, parameters: Parameters, phase: Phase) -> bool:
    """A counter with labels is not there before it first counts: of a node that tells others, it is at most 0."""
    tells = any(_told_in(points, phase) for points in record.metrics.get(name, {}).values())
    return not (tells and parameters.holds(0.0))


def _told_in(points: Points, phase: Phase) -> bool:
    place = bisect_left(points, phase.begun, key=lambda point: point[0])
    return place < len(points) and points[place][0] <= phase.ended


def _nothing(record: Record, able: Sequence[str], parameters: Parameters, phase: Phase) -> str:
    names = {name for node in able for name in record.metrics.get(node, ())}
    if not names:
        return f"{shorten(able)} told no metrics"
    if parameters.name in names:
        return f"{parameters.name} was not told in the phase {phase.name}"
    near = nearest(parameters.name, sorted(names))
    return f"no node told a series {parameters.name!r}" + (f" (did you mean {near!r}?)" if near else "")


def _what(parameters: Parameters) -> str:
    return parameters.name if parameters.take == "value" else f"the {parameters.take} of {parameters.name}"


def _wanted(parameters: Parameters) -> str:
    name, number = parameters.bound
    return f"{_BOUNDS[name]} {number:.6g}{'/s' if parameters.take == 'rate' else ''}"


def _line(record: Record, one: Breach, parameters: Parameters) -> str:
    if parameters.take == "rise":
        return f"{one.node}: {one.worst:.6g}"
    seconds = one.ended - one.begun
    lasted = f" for {format_duration(round(seconds, 1))}" if seconds else ""
    return f"{one.node}: {one.worst:.6g} at worst, from {record.clock(one.begun)} on{lasted}"


def _number(points: Points, parameters: Parameters) -> float:
    """Return what is nearest to the wrong side of the bound, or furthest on it."""
    most = parameters.bound[0] in ("below", "at_most")
    return (max if most else min)(value for _, value in points)


def _extremes(known: Mapping[str, Points], parameters: Parameters) -> Iterator[str]:
    word = "at most" if parameters.bound[0] in ("below", "at_most") else "at least"
    for name, points in known.items():
        value = _number(points, parameters)
        if parameters.holds(value):
            yield f"{name}: {word} {value:.6g}"


CHECK = Check("metric", "a Prometheus series of nodes keeps to a bound", Parameters, judge)
