"""Nodes that look for peers, or call them, many times as often as they normally do, and what it costs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.check import Check, Finding
from stressnet.checks.rates import MEASURES, Measure, Rate, Window, counted, rates, usual, words
from stressnet.checks.series import risen
from stressnet.checks.vocabulary import Factor, NodeSelector, Phases, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, PerSecond, SomeSeconds, one_of, refuse
from stressnet.spec.units import format_duration
from stressnet.spec.words import show

_LEAST_PER_S = 1.0
_LEAST_CORES, _MORE_CPU = 0.1, 2.0
"""CPUs, and so many times what is usual: CPU time a block of a node that uses less is no storm, for fewer blocks make
each of them dear."""
_DEVIATIONS = 4.0
"""How far above what is usual chance does not come: some hundred windows are looked at, so 3 in 100,000 is seldom."""


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
        "`streams` and `discoveries` (by the series that its kind names, where it does), `cpu_per_block` (CPU time for "
        "each block, while the node takes twice its usual time and a tenth of a CPU or more). All are reported.",
    )


@dataclass(frozen=True, slots=True)
class Storm:
    """How much of a measure one node did: events a second, or CPU seconds a block."""

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

    @property
    def times(self) -> float:
        """So many times what is usual; without end where nothing is."""
        return self.worst / self.usual if self.usual else math.inf


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold the rates of nodes against those of the baseline."""
    names = selected(record, parameters.of)
    baseline = record.phases.get("baseline")
    if baseline is None or not any(phase in record.phases for phase in parameters.during):
        return Finding("inconclusive", f"the run has not come to the phase {parameters.during[0]}")
    normal = {measure: usual(record, measure) for measure in MEASURES}
    if not normal["connections"]:
        said = "what is normal is not known: no connection attempts were counted in the baseline"
        return Finding(
            "inconclusive", f"{said}, which takes {format_duration(baseline.ended - baseline.begun)}"
        )
    storms = [
        _storm(record, name, measure, normal[measure][name], parameters)
        for measure in MEASURES
        for name in names
        if name in normal[measure]
    ]
    bad = [one for one in storms if one.begun is not None and one.measure in parameters.counts]
    bad.sort(key=lambda one: (-one.times, -one.worst))
    lines = tuple(_line(record, one) for one in bad)
    numbers = {"rates": [_numbers(one) for one in storms]}
    if bad:
        who = tuple(dict.fromkeys(one.node for one in bad))
        first = min(one.begun for one in bad if one.begun is not None)
        return Finding("fail", _summary(record, bad), who, first, lines, numbers)
    doubtful = [one for one in storms if one.doubtful and one.measure in parameters.counts]
    if doubtful:
        return Finding("inconclusive", _doubt(record, doubtful), (), None, (), numbers)
    seen = [one for one in storms if one.at and one.measure in parameters.counts]
    if not seen:
        what, window = " or ".join(parameters.counts), format_duration(parameters.window)
        said = f"{what} of no node could be counted for {window} without a restart"
        return Finding("inconclusive", said, (), None, (), numbers)
    peak = max((one for one in seen if one.measure == seen[0].measure), key=lambda one: one.worst)
    said = f"no storm: at most {words(peak.measure, peak.worst)} ({peak.node})"
    return Finding("pass", said, (), None, (), numbers)


def _storm(record: Record, name: str, measure: Measure, normal: Rate, parameters: Parameters) -> Storm:
    bound = parameters.times_baseline * normal.rate
    seen = list(rates(record, name, measure, parameters.window, parameters.during))
    if not seen:
        return Storm(name, measure, normal.rate)
    peak = max(seen, key=lambda one: one.rate)
    cpu = measure == "cpu_per_block"
    least = max(_LEAST_CORES, _MORE_CPU * normal.per_s) if cpu else _least(record, parameters)
    above: list[float] = []
    doubtful = False
    for stretch in _stretches(seen, lambda one: one.rate > bound and one.per_s >= least):
        if (
            cpu
            or parameters.at_least is not None
            or _more_than_chance(record, name, measure, stretch, normal.rate)
        ):
            above += [one.ended for one in stretch]
        else:
            doubtful = True
    if not above:
        return Storm(name, measure, normal.rate, peak.rate, peak.ended, doubtful=doubtful)
    over = above[-1] < seen[-1].ended
    return Storm(name, measure, normal.rate, peak.rate, peak.ended, above[0], above[-1], over)


def _stretches(seen: Iterable[Window], is_above: Callable[[Window], bool]) -> Iterator[Sequence[Window]]:
    """Yield the windows above a bound, those that follow each other together."""
    for stormy, stretch in groupby(seen, is_above):
        if stormy:
            yield list(stretch)


def _more_than_chance(
    record: Record, name: str, measure: Measure, stretch: Sequence[Window], normal: float
) -> bool:
    """Tell whether what happened in a stretch of windows is no chance: the longer it is, the less it takes."""
    baseline = record.phases["baseline"]
    begun, ended = stretch[0].begun, stretch[-1].ended
    rise = risen(counted(record, name, measure), record.nodes[name], begun, ended)
    chance = _chance_per_s(normal, max(baseline.ended - baseline.begun, 1.0), ended - begun)
    return rise is not None and rise / (ended - begun) > chance


def _chance_per_s(normal: float, baseline_s: float, window_s: float) -> float:
    """Return the rate over a window that is more than chance, for events at random moments of which so many a second
    were seen in the baseline: a short one tells little, and asks for more.

    M. D. Huffman, "An improved approximate two-sample Poisson test", Applied Statistics 33 (1984).
    """
    ratio = window_s / baseline_s
    root = math.sqrt((normal * baseline_s + 3 / 8) * ratio) + _DEVIATIONS / 2 * math.sqrt(1 + ratio)
    return (root**2 - 3 / 8) / window_s


def _least(record: Record, parameters: Parameters) -> float:
    """Return the least rate of a storm; a protocol whose pauses are shorter does everything more often."""
    scale = record.run.get("time_scale") or 1.0
    return parameters.at_least if parameters.at_least is not None else float(_LEAST_PER_S * scale)


def _summary(record: Record, bad: Sequence[Storm]) -> str:
    who = tuple(dict.fromkeys(one.node for one in bad))
    worst = bad[0]
    times = f"{worst.times:.3g} times" if worst.usual else "and none"
    return (
        f"{shorten(who)}: up to {words(worst.measure, worst.worst)}, {times} in the baseline, from "
        f"{record.clock(min(one.begun for one in bad if one.begun is not None))} on{_after(record, worst)}"
    )


def _doubt(record: Record, doubtful: Sequence[Storm]) -> str:
    worst = max(doubtful, key=lambda one: one.worst)
    baseline, who = record.phases["baseline"], tuple(dict.fromkeys(one.node for one in doubtful))
    return (
        f"{shorten(who)}: up to {words(worst.measure, worst.worst)} "
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
        f"{one.node}: {words(one.measure, one.worst)} at {record.clock(one.at)} "
        f"(baseline {words(one.measure, one.usual, unit=False)}), "
        f"above the bound from {record.clock(one.begun or 0.0)} to {record.clock(one.ended)}{_after(record, one)}"
    )


def _numbers(one: Storm) -> dict[str, Any]:
    return {
        "node": one.node,
        "measure": one.measure,
        "baseline": round(one.usual, 6),
        "worst": round(one.worst, 6),
        "at": one.at or None,
        "begun": one.begun,
        "ended": one.ended or None,
    }


CHECK = Check(
    "discovery_storm", "no node looks for peers many times as often as in the baseline", Parameters, judge
)
