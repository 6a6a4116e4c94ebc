"""Figures of nodes that shoot up, whether they come back or not, against what is normal in the same net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.check import Check, Finding
from stressnet.checks.figures import (
    FIGURES,
    WINDOW_S,
    Figure,
    Life,
    choice,
    counted,
    followed,
    format_amount,
    known,
    lives,
    parse_floor,
)
from stressnet.checks.kendall import Points
from stressnet.checks.shape import shape
from stressnet.checks.vocabulary import Factor, NodeSelector, Phases, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, one_of, refuse
from stressnet.spec.units import format_duration
from stressnet.spec.words import show

Sort = Literal["spike", "step", "ramp"]
SORTS: tuple[Sort, ...] = get_args(Sort)
FLOORS: Mapping[str, float] = {
    "cpu": 0.25,
    "opens": 5.0,
    "discoveries": 2.0,
    "memory": float(64 << 20),
    "streams": 20.0,
}
"""Below these, many times next to nothing is nothing: what a node takes to start, or to find its peers again."""
_LEAST_S = 2.0
"""What is over sooner is an odd sample; a burst is above for longer, since rates are taken over WINDOW_S."""

_LEAST_RAMP_S = 4 * WINDOW_S
"""A rate over WINDOW_S goes up for so long after a jump that it looks like a ramp at first."""


def _sorts(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(SORTS)}")
    return value


_LISTED = {"enum": list(FLOORS)}
Floors = Annotated[
    dict[str, float],
    BeforeValidator(choice(FLOORS, parse_floor)),
    WithJsonSchema(
        {"oneOf": [{"type": "array", "items": _LISTED}, {"type": "object", "propertyNames": _LISTED}]}
    ),
]
Sorts = Annotated[
    list[Annotated[Sort, BeforeValidator(one_of(*SORTS)), WithJsonSchema({"enum": list(SORTS)})]],
    BeforeValidator(_sorts),
]


class Parameters(Model):
    """No figure of a node may shoot up to many times what is normal."""

    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")
    figures: Floors = Field(
        default=dict(FLOORS),
        description="Which, and how high they must be at least; default: all that are known. A list of `cpu` (25% "
        "of a core), `opens` (connection attempts, 5/s), `discoveries` (2/s), `memory` (64MiB), "
        "`streams` (20), or a mapping with an amount for each, as in `{cpu: 50%, opens: 10/s}`.",
    )
    times: Factor = Field(
        default=5.0,
        description="And so many times what the node had in the baseline, or the median of the net's, if that is "
        "more; default: 5.",
    )
    during: Phases = Field(
        default=["timeline", "observe"], description="In which phases; default: timeline and observe."
    )
    counts: Sorts = Field(
        default=["spike", "step"],
        description="What fails; default: the first two. `spike` (it came back), `step` (it came up at once and "
        "stayed), `ramp` (it went up all the time, which `growth` is for). All are reported.",
    )


@dataclass(frozen=True, slots=True)
class Rise:
    """One figure of a node far above what is normal; Unix times."""

    node: str
    figure: Figure
    sort: Sort
    usual: float
    peak: float
    peak_at: float
    begun: float
    """The first sample above the bound."""
    ended: float
    """The last."""
    above_s: float
    """How long it was above in all."""
    back: bool
    """Whether it came down again."""


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold figures against those of the baseline."""
    names = selected(record, parameters.of)
    if "baseline" not in record.phases or not any(part in record.phases for part in parameters.during):
        return Finding("inconclusive", f"the run has not come to the phase {parameters.during[0]}")
    usual = {word: _usual(record, FIGURES[word]) for word in parameters.figures}
    silent = [word for word, by_node in usual.items() if not set(by_node) & set(names)]
    rises = [
        rise
        for word, by_node in usual.items()
        for name in names
        if name in by_node
        for rise in _rises(record, name, FIGURES[word], by_node[name], parameters)
    ]
    rises.sort(key=lambda one: (one.sort not in parameters.counts, -_times_usual(one, parameters)))
    bad = [one for one in rises if one.sort in parameters.counts]
    lines = tuple(_line(record, one) for one in rises)
    numbers = {"rises": [_numbers(one) for one in rises], "usual": usual}
    if bad:
        nodes = tuple(dict.fromkeys(one.node for one in bad))
        return Finding("fail", _summary(record, bad), nodes, min(one.begun for one in bad), lines, numbers)
    if silent and ("figures" in parameters.model_fields_set or len(silent) == len(usual)):
        said = f"what is normal is not known: no node told its {', '.join(silent)} in the baseline"
        return Finding("inconclusive", said, (), None, lines, numbers)
    nouns = ", ".join(FIGURES[word].noun for word in usual if word not in silent)
    ramps = f"; {len(rises)} went up all the time" if rises else ""
    return Finding("pass", f"nothing shot up on {shorten(names)} ({nouns}){ramps}", (), None, lines, numbers)


def _usual(record: Record, figure: Figure) -> dict[str, float]:
    """Return what is normal for each node: its own in the baseline, or the median of all, if that is more."""
    phase = record.phases["baseline"]
    own: dict[str, float] = {}
    for name in record.nodes:
        if known(record, name, figure):
            for life in lives(record, name, phase.begun, phase.ended)[-1:]:
                points = counted(record, life, figure)
                if len(points) > 1:
                    own[name] = _rate(points) if figure.counter else median(value for _, value in points)
    middle = median(own.values()) if own else 0.0
    return {
        name: max(own.get(name, 0.0), middle) for name in record.nodes if own and known(record, name, figure)
    }


def _rate(points: Points) -> float:
    (begun, less), (ended, more) = points[0], points[-1]
    return max(0.0, more - less) / (ended - begun)


def _rises(record: Record, name: str, figure: Figure, usual: float, parameters: Parameters) -> Iterator[Rise]:
    bound = max(parameters.times * usual, parameters.figures[figure.name])
    for life in lives(record, name, record.phases["baseline"].begun, record.now):
        points = _settled(record, life, followed(record, life, figure), figure)
        above = [(at, value) for at, value in points if value > bound and _counts(record, at, parameters)]
        if above and above[-1][0] - above[0][0] >= _LEAST_S:
            yield _rise(name, figure, usual, points, above)


def _settled(record: Record, life: Life, points: Points, figure: Figure) -> Points:
    """Leave out what a process takes to start, where it did so in the timeline or later."""
    first = record.nodes[life.node][0].starts
    since = life.begun + (2 * WINDOW_S if figure.counter else WINDOW_S) if life.starts != first else 0.0
    return [(at, value) for at, value in points if at >= since]


def _counts(record: Record, at: float, parameters: Parameters) -> bool:
    phases = (record.phases[part] for part in parameters.during if part in record.phases)
    return any(phase.begun <= at <= phase.ended for phase in phases)


def _rise(name: str, figure: Figure, usual: float, points: Points, above: Points) -> Rise:
    begun, ended = above[0][0], above[-1][0]
    back = points[-1][0] - ended >= _LEAST_S
    until = [point for point in points if point[0] <= ended]
    sort: Sort = "ramp" if _climbs(figure, until) else "spike" if back else "step"
    peak_at, peak = max(above, key=lambda point: point[1])
    high = {at for at, _ in above}
    above_s = sum(later - at for (at, _), (later, _) in pairwise(points) if at in high and later in high)
    return Rise(name, figure, sort, usual, peak, peak_at, begun, ended, above_s, back)


def _climbs(figure: Figure, points: Points) -> bool:
    """Tell whether it went up all the time, for longer than it takes a rate to follow a jump."""
    form = shape(points)
    if form is None or form.form != "ramp" or form.begin is None or form.size <= 0:
        return False
    return not figure.counter or points[-1][0] - form.begin > _LEAST_RAMP_S


def _times_usual(one: Rise, parameters: Parameters) -> float:
    return one.peak / max(parameters.times * one.usual, parameters.figures[one.figure.name])


def _summary(record: Record, bad: Sequence[Rise]) -> str:
    worst = bad[0]
    nodes = tuple(dict.fromkeys(one.node for one in bad if one.figure == worst.figure))
    others = list(dict.fromkeys(one.figure.noun for one in bad if one.figure != worst.figure))
    also = f"; also {', '.join(others)}" if others else ""
    return f"{shorten(nodes)}: {_said(record, worst)}{also}"


def _line(record: Record, one: Rise) -> str:
    return f"{one.node}: {_said(record, one)}, highest at {record.clock(one.peak_at)}"


def _said(record: Record, one: Rise) -> str:
    """Say when, how high, for how long, and whether it came back."""
    times = f", {one.peak / one.usual:.3g} times what is normal" if one.usual else " and normally none"
    amount = f"{format_amount(one.figure, one.peak)} {one.figure.noun}"
    return (
        f"{one.sort} to {amount}{times}, from {record.clock(one.begun)} for "
        f"{format_duration(round(one.above_s))}{_after(record, one)}"
    )


def _after(record: Record, one: Rise) -> str:
    if not one.back:
        return ", and did not come back" if record.over else ""
    if "observe" not in record.phases or one.ended < record.healed_at:
        return ", and came back by itself"
    seconds = round(one.ended - record.healed_at)
    return f", and came back {f'{format_duration(seconds)} after' if seconds else 'with'} the heal"


def _numbers(one: Rise) -> dict[str, Any]:
    return {
        "node": one.node,
        "figure": one.figure.name,
        "sort": one.sort,
        "usual": one.usual,
        "peak": one.peak,
        "peak_at": one.peak_at,
        "begun": one.begun,
        "ended": one.ended,
        "above_s": round(one.above_s, 3),
        "back": one.back,
    }


CHECK = Check("spike", "no figure of a node shoots up to many times what is normal", Parameters, judge)
