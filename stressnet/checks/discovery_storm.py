"""Nodes that look for peers, or call them, many times as often as they normally do."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.check import Check, Finding
from stressnet.checks.series import Points, risen, windows
from stressnet.checks.vocabulary import Factor, NodeSelector, PhaseName, Phases, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, PerSecond, SomeSeconds, one_of, refuse
from stressnet.spec.units import format_duration
from stressnet.spec.words import show

Measure = Literal["connections", "streams", "discoveries"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
_LEAST_PER_S = 1.0
_DEVIATIONS = 4.0
"""How far above what is usual chance does not come: some hundred windows are looked at, so 3 in 100,000 is seldom."""
Rates = Sequence[tuple[float, float]]
"""(end of a window, rate a second), in the order of time."""
_SERIES: Mapping[Measure, str] = {"streams": "streams_opened", "discoveries": "discoveries"}
"""Words of a kind's `series`."""
_NOUNS: Mapping[Measure, str] = {
    "connections": "connection attempts",
    "streams": "streams opened",
    "discoveries": "discoveries",
}


def _measures(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(MEASURES)}")
    return value


Measures = Annotated[
    list[Annotated[Measure, BeforeValidator(one_of(*MEASURES)), WithJsonSchema({"enum": list(MEASURES)})]],
    BeforeValidator(_measures),
]


class Parameters(Model):
    """No node may look for peers many times as often as in the baseline."""

    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")
    times_baseline: Factor = Field(
        default=5.0,
        description="So many times the node's own rate in the baseline, or the median of the net's, if that is more; "
        "default: 5.",
    )
    at_least: PerSecond | None = Field(
        default=None,
        description="And so many a second at least: many times next to nothing is no storm. Default: 1/s, times the "
        "fault plan's `time_scale`, and more than chance makes of what is usual.",
    )
    window: SomeSeconds = Field(default=5.0, description="Over how long a rate is taken; default: 5s.")
    during: Phases = Field(
        default=["timeline", "observe"], description="In which phases; default: timeline and observe."
    )
    counts: Measures = Field(
        default=["connections", "discoveries"],
        description="What fails; default: connections and discoveries. `connections` (TCP "
        "connections that it tried to open, as the kernel counts), "
        "`streams` and `discoveries` (by the series that its kind names, where it does). All are reported.",
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """Rates of one node, a second."""

    node: str
    measure: Measure
    usual: float
    """Its own in the baseline, or the median of the net's."""
    worst: float = 0.0
    at: float = 0.0
    """Unix time: the end of the worst window."""
    begun: float | None = None
    """Unix time: the end of the first window above the bound; None: there was none."""
    ended: float = 0.0
    """Unix time: the end of the last such window."""
    over: bool = True
    """Whether the rate came down again, at the last window that is known."""
    doubtful: bool = False
    """Whether it was above the bound for so little that it may be chance."""


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold the rates of nodes against those of the baseline."""
    names = selected(record, parameters.of)
    baseline = record.phases.get("baseline")
    if baseline is None or not any(phase in record.phases for phase in parameters.during):
        return Finding("inconclusive", f"the run has not come to the phase {parameters.during[0]}")
    usual = {measure: _usual(record, measure) for measure in MEASURES}
    if not usual["connections"]:
        said = "what is normal is not known: no connection attempts were counted in the baseline"
        return Finding(
            "inconclusive", f"{said}, which takes {format_duration(baseline.ended - baseline.begun)}"
        )
    storms = [
        _storm(record, name, measure, usual[measure], parameters)
        for measure in MEASURES
        for name in names
        if name in usual[measure]
    ]
    bad = [one for one in storms if one.begun is not None and one.measure in parameters.counts]
    bad.sort(key=lambda one: -one.worst / max(one.usual, 0.01))
    lines = tuple(_line(record, one) for one in bad)
    numbers = {
        "rates": [_numbers(one) for one in storms],
        "cpu_s_per_block": _work(record, names, parameters),
    }
    if bad:
        who = tuple(dict.fromkeys(one.node for one in bad))
        first = min(one.begun for one in bad if one.begun is not None)
        return Finding("fail", _summary(record, bad), who, first, lines, numbers)
    doubtful = [one for one in storms if one.doubtful and one.measure in parameters.counts]
    if doubtful:
        return Finding("inconclusive", _doubt(record, doubtful), (), None, (), numbers)
    seen = [one for one in storms if one.at]
    if not seen:
        window = format_duration(parameters.window)
        return Finding(
            "inconclusive", f"no node was watched for {window} without a restart", (), None, (), numbers
        )
    peak = max(seen, key=lambda one: one.worst if one.measure == "connections" else -1.0)
    said = f"no storm: at most {peak.worst:.3g} {_NOUNS[peak.measure]}/s ({peak.node})"
    return Finding("pass", said, (), None, (), numbers)


def _points(record: Record, name: str, measure: Measure) -> Points:
    if measure == "connections":
        return [(row.at, float(row.opens)) for row in record.nodes[name] if row.opens is not None]
    series = getattr(record.plan.node(name), "series", {}).get(_SERIES[measure])
    return record.metrics.get(name, {}).get(series, ()) if series else ()


def _usual(record: Record, measure: Measure) -> dict[str, float]:
    """Return the rate of each node in the baseline, or the median of all if that is more; nothing where none is known.

    Of a node that was not there yet, as of one that happened to be quiet, the median is known.
    """
    phase = record.phases["baseline"]
    own: dict[str, float] = {}
    for name, looks in record.nodes.items():
        points = _points(record, name, measure)
        inside = [at for at, _ in points if phase.begun <= at <= phase.ended]
        rise = risen(points, looks, inside[0], inside[-1]) if len(inside) > 1 else None
        if rise is not None and inside[-1] > inside[0]:
            own[name] = rise / (inside[-1] - inside[0])
    if not own:
        return {}
    middle = median(own.values())
    return {name: max(own.get(name, 0.0), middle) for name in record.nodes if _points(record, name, measure)}


def _storm(
    record: Record, name: str, measure: Measure, usual: Mapping[str, float], parameters: Parameters
) -> Storm:
    bound = max(parameters.times_baseline * usual[name], _least(record, parameters))
    rates = list(_rates(record, name, measure, parameters.window, parameters.during))
    if not rates:
        return Storm(name, measure, usual[name])
    at, worst = max(rates, key=lambda one: one[1])
    points, looks = _points(record, name, measure), record.nodes[name]
    above: list[float] = []
    doubtful = False
    for stretch in _stretches(rates, lambda rate: bound <= rate > parameters.times_baseline * usual[name]):
        begun, ended = stretch[0][0] - parameters.window, stretch[-1][0]
        if parameters.at_least is not None or _more_than_chance(
            record, begun, ended, risen(points, looks, begun, ended), usual[name]
        ):
            above += [end for end, _ in stretch]
        else:
            doubtful = True
    if not above:
        return Storm(name, measure, usual[name], worst, at, doubtful=doubtful)
    return Storm(name, measure, usual[name], worst, at, above[0], above[-1], above[-1] < rates[-1][0])


def _stretches(rates: Rates, is_above: Callable[[float], bool]) -> Iterator[Rates]:
    """Yield the windows above a bound, those that follow each other together."""
    for stormy, stretch in groupby(rates, lambda one: is_above(one[1])):
        if stormy:
            yield list(stretch)


def _more_than_chance(record: Record, begun: float, ended: float, rise: float | None, usual: float) -> bool:
    """Tell whether what happened in a stretch of windows is no chance: the longer it is, the less it takes."""
    baseline = record.phases["baseline"]
    chance = _chance_per_s(usual, max(baseline.ended - baseline.begun, 1.0), ended - begun)
    return rise is not None and rise / (ended - begun) > chance


def _chance_per_s(usual: float, baseline_s: float, window_s: float) -> float:
    """Return the rate over a window that is more than chance, for events at random moments of which so many a second
    were seen in the baseline: a short one tells little, and asks for more.

    M. D. Huffman, "An improved approximate two-sample Poisson test", Applied Statistics 33 (1984).
    """
    ratio = window_s / baseline_s
    root = math.sqrt((usual * baseline_s + 3 / 8) * ratio) + _DEVIATIONS / 2 * math.sqrt(1 + ratio)
    return (root**2 - 3 / 8) / window_s


def _least(record: Record, parameters: Parameters) -> float:
    """Return the least rate of a storm; a protocol whose pauses are shorter does everything more often."""
    scale = record.run.get("time_scale") or 1.0
    return parameters.at_least if parameters.at_least is not None else float(_LEAST_PER_S * scale)


def _rates(
    record: Record, name: str, measure: Measure, window: float, during: Sequence[PhaseName]
) -> Iterator[tuple[float, float]]:
    """Yield (end, rate a second) of the windows within the phases."""
    points = _points(record, name, measure)
    for word in during:
        phase = record.phases.get(word)
        if phase is not None:
            for _, ended, rate in windows(points, record.nodes[name], window, phase.begun, phase.ended):
                yield ended, rate


def _work(record: Record, names: Sequence[str], parameters: Parameters) -> dict[str, dict[str, float | None]]:
    """Return the CPU seconds that each node took for a block, in the baseline and in the phases that count."""
    return {
        name: {word: _per_block(record, name, word) for word in ("baseline", *parameters.during)}
        for name in names
    }


def _per_block(record: Record, name: str, word: str) -> float | None:
    rows = [row for row in record.within(name, word) if row.cpu_s is not None and row.height is not None]
    if len(rows) < 2 or rows[0].starts != rows[-1].starts:
        return None
    blocks = (rows[-1].height or 0) - (rows[0].height or 0)
    return round(((rows[-1].cpu_s or 0.0) - (rows[0].cpu_s or 0.0)) / blocks, 6) if blocks > 0 else None


def _summary(record: Record, bad: Sequence[Storm]) -> str:
    who = tuple(dict.fromkeys(one.node for one in bad))
    worst = bad[0]
    times = f"{worst.worst / worst.usual:.3g} times" if worst.usual else "and none"
    return (
        f"{shorten(who)}: up to {worst.worst:.3g} {_NOUNS[worst.measure]}/s, {times} in the baseline, from "
        f"{record.clock(min(one.begun for one in bad if one.begun is not None))} on{_after(record, worst)}"
    )


def _doubt(record: Record, doubtful: Sequence[Storm]) -> str:
    worst = max(doubtful, key=lambda one: one.worst)
    baseline, who = record.phases["baseline"], tuple(dict.fromkeys(one.node for one in doubtful))
    return (
        f"{shorten(who)}: up to {worst.worst:.3g} {_NOUNS[worst.measure]}/s "
        f"may be chance: a baseline of {format_duration(round(baseline.ended - baseline.begun))} tells too little"
    )


def _after(record: Record, one: Storm) -> str:
    """Say whether it went on when nothing disturbed the net any more."""
    if "observe" not in record.phases:
        return ""
    if one.ended < record.healed_at:
        return ", not after the heal"
    seconds = format_duration(round(one.ended - record.healed_at))
    return f", for {seconds} after the heal{'' if one.over else ' and to the end'}"


def _line(record: Record, one: Storm) -> str:
    return (
        f"{one.node}: {one.worst:.3g} {_NOUNS[one.measure]}/s at {record.clock(one.at)} (baseline {one.usual:.3g}/s), "
        f"above the bound from {record.clock(one.begun or 0.0)} to {record.clock(one.ended)}{_after(record, one)}"
    )


def _numbers(one: Storm) -> dict[str, Any]:
    return {
        "node": one.node,
        "measure": one.measure,
        "baseline_per_s": round(one.usual, 4),
        "worst_per_s": round(one.worst, 4),
        "at": one.at or None,
        "begun": one.begun,
        "ended": one.ended or None,
    }


CHECK = Check(
    "discovery_storm", "no node looks for peers many times as often as in the baseline", Parameters, judge
)
