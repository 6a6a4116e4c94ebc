"""How often nodes look for peers and call them, and how much CPU time a block takes: over windows, and usually."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from stressnet.checks.figures import FIGURES, format_amount
from stressnet.checks.series import Points, risen, windows
from stressnet.record.record import Record

Measure = Literal["connections", "streams", "discoveries", "cpu_per_block"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
"""All but the last are events at random moments, counted a second; the last is CPU seconds a block."""
_SERIES: Mapping[Measure, str] = {"streams": "streams_opened", "discoveries": "discoveries"}
"""Words of a kind's `series`."""
_NOUNS: Mapping[Measure, str] = {
    "connections": "connection attempts/s",
    "streams": "streams opened/s",
    "discoveries": "discoveries/s",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Events or CPU seconds: a second, or a block; and a second in any case."""

    rate: float
    per_s: float


@dataclass(frozen=True, slots=True)
class Window(Rate):
    """The same in a time; Unix times."""

    begun: float
    ended: float


def words(measure: Measure, value: float, unit: bool = True) -> str:
    """Write how much of a measure."""
    if measure == "cpu_per_block":
        return format_amount(FIGURES["cpu_per_block"], value) + " of CPU a block" * unit
    return f"{value:.3g} {_NOUNS[measure]}" if unit else f"{value:.3g}/s"


def counted(record: Record, name: str, measure: Measure) -> Points:
    """Return the counter of which a measure is made; nothing where it cannot be had."""
    if measure in ("connections", "cpu_per_block"):
        column = "opens" if measure == "connections" else "cpu_s"
        looks = ((row.at, getattr(row, column)) for row in record.nodes[name])
        return [(at, float(value)) for at, value in looks if value is not None]
    series = record.plan.node(name).series.get(_SERIES[measure])
    return record.metrics.get(name, {}).get(series, ()) if series else ()


def usual(record: Record, measure: Measure) -> dict[str, Rate]:
    """Return the rate of each node in the baseline, or the median of all if that is more; nothing where none is known.

    Of a node that was not there yet, as of one that happened to be quiet, the median is known.
    """
    phase = record.phases["baseline"]
    own: dict[str, Rate] = {}
    points_of = {name: counted(record, name, measure) for name in record.nodes}
    for name, looks in record.nodes.items():
        points = points_of[name]
        inside = [at for at, _ in points if phase.begun <= at <= phase.ended]
        rise = risen(points, looks, inside[0], inside[-1]) if len(inside) > 1 else None
        share = _share(record, name, measure)(inside[0], inside[-1]) if rise is not None else 0.0
        if rise is not None and share:
            own[name] = Rate(rise / share, rise / (inside[-1] - inside[0]))
    if not own:
        return {}
    middle = Rate(median(one.rate for one in own.values()), median(one.per_s for one in own.values()))
    known = {name: own.get(name, middle) for name, points in points_of.items() if points}
    return {
        name: Rate(max(one.rate, middle.rate), max(one.per_s, middle.per_s)) for name, one in known.items()
    }


def rates(
    record: Record, name: str, measure: Measure, seconds: float, during: Sequence[str]
) -> Iterator[Window]:
    """Yield the windows of a length within the phases, one ending at each look; none in which no block was gained."""
    points, of = counted(record, name, measure), _share(record, name, measure)
    for word in during:
        phase = record.phases.get(word)
        if phase is None:
            continue
        for begun, ended, per_s in windows(points, record.nodes[name], seconds, phase.begun, phase.ended):
            share = of(begun, ended)
            if share:
                yield Window(per_s * (ended - begun) / share, per_s, begun, ended)


def _share(record: Record, name: str, measure: Measure) -> Callable[[float, float], float]:
    """Return what tells for how much a counter rose between two looks: seconds, or blocks; 0 where for nothing."""
    if measure != "cpu_per_block":
        return lambda begun, ended: ended - begun
    heights = {row.at: row.height for row in record.nodes[name] if row.height is not None}

    def gained(begun: float, ended: float) -> float:
        first, last = heights.get(begun), heights.get(ended)
        return 0.0 if first is None or last is None else float(max(0, last - first))

    return gained
