"""Figures of nodes as checks follow them: where each comes from, over which time it can be compared, and its units.

A figure is followed within one phase and one life of a node's process: a new process begins anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from stressnet.checks.kendall import Points
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample
from stressnet.spec.fields import refuse
from stressnet.spec.units import QuantityError, format_percent, format_size, parse_duration, parse_size
from stressnet.spec.words import listing, nearest, show

Unit = Literal["bytes", "count", "cores", "seconds"]
WINDOW_S = 5.0
"""Over which a rate is taken: CPU time is counted in steps of 10 ms, and peers are looked for once in a while."""
_MOSTLY = 0.8
"""Share of windows in which a node must gain blocks for its work to be counted in them."""
_TIMES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EXAMPLES: Mapping[Unit, str] = {"bytes": "1MiB", "count": "5", "cores": "10%", "seconds": "5ms"}
_SHARE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?%\Z")
_COUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?\Z")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a node."""

    name: str
    noun: str
    unit: Unit = "count"
    """`cores` are CPU seconds a second, written as a percentage of one core."""
    column: str = ""
    """Of `NodeSample`."""
    series: str = ""
    """Word in the `series` of a kind, where it is told as a metric."""
    counter: bool = False
    """It only rises: what is followed is its rate a second."""


FIGURES: Mapping[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure("memory", "memory", "bytes", column="rss_bytes"),
        Figure("cpu", "CPU", "cores", column="cpu_s", counter=True),
        Figure("fds", "open files", column="fds"),
        Figure("threads", "threads", column="threads"),
        Figure("sockets", "TCP sockets", column="sockets"),
        Figure("streams", "open streams", series="streams"),
        Figure("tasks", "tasks", series="tasks"),
        Figure("pending_requests", "pending requests", series="pending_requests"),
        Figure("opens", "connection attempts", column="opens", counter=True),
        Figure("discoveries", "discoveries", series="discoveries", counter=True),
        Figure("blocks", "blocks gained", column="height", counter=True),
        Figure("lag", "lag in blocks"),
        Figure("cpu_per_block", "CPU time a block", "seconds"),
    )
}
"""The last two are made of several figures, or nodes, by who compares them."""


@dataclass(frozen=True, slots=True)
class Life:
    """The looks at one process of a node within a time."""

    node: str
    starts: int
    looks: Sequence[NodeSample]

    @property
    def begun(self) -> float:
        """Unix time of the first look."""
        return self.looks[0].at

    @property
    def ended(self) -> float:
        """Unix time of the last look."""
        return self.looks[-1].at


def lives(record: Record, node: str, since: float, until: float) -> list[Life]:
    """Return the lives of a node within a time, in order."""
    found: dict[int, list[NodeSample]] = {}
    for row in record.nodes[node]:
        if since <= row.at <= until and row.state in ("ready", "starting"):
            found.setdefault(row.starts, []).append(row)
    return [Life(node, starts, looks) for starts, looks in found.items()]


def known(record: Record, node: str, figure: Figure) -> bool:
    """Tell whether a figure of a node can be had at all: not all kinds map all series."""
    return bool(figure.column or record.plan.node(node).series.get(figure.series))


def counted(record: Record, life: Life, figure: Figure) -> Points:
    """Return a figure as it was counted in a life."""
    if figure.column:
        looks = ((row.at, getattr(row, figure.column)) for row in life.looks)
        return [(at, float(value)) for at, value in looks if value is not None]
    series = record.plan.node(life.node).series.get(figure.series, "")
    told = record.metrics.get(life.node, {}).get(series, ())
    return [(at, value) for at, value in told if life.begun <= at <= life.ended]


def followed(record: Record, life: Life, figure: Figure) -> Points:
    """Return a figure as it is compared: its level, or of a counter the rate a second over WINDOW_S."""
    points = counted(record, life, figure)
    return _rates(points) if figure.counter else points


def per_block(life: Life) -> Points:
    """Return the CPU seconds a block gained over WINDOW_S; none where too many windows gained none.

    Work is done for blocks: a node that gets more of them may use more CPU.
    """
    rows = [
        (row.at, row.cpu_s, row.height)
        for row in life.looks
        if row.cpu_s is not None and row.height is not None
    ]
    steps = [
        (rows[last][0], rows[last][1] - rows[first][1], rows[last][2] - rows[first][2])
        for first, last in _windows([at for at, _, _ in rows])
    ]
    found = [(at, seconds / gained) for at, seconds, gained in steps if gained > 0]
    return found if len(found) >= _MOSTLY * len(steps) else []


def _rates(points: Points) -> list[tuple[float, float]]:
    steps = [(points[first], points[last]) for first, last in _windows([at for at, _ in points])]
    return [(at, (more - less) / (at - begun)) for (begun, less), (at, more) in steps if more >= less]


def _windows(times: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Yield the numbers of the first and the last look of windows of WINDOW_S, one for each look that ends one."""
    first = 0
    for last, at in enumerate(times):
        while first < last and times[first + 1] <= at - WINDOW_S:
            first += 1
        if at - times[first] >= WINDOW_S:
            yield first, last


def peers(looks: Sequence[NodeSample]) -> float | None:
    """Return how many peers a node had, as it says itself, at half of the looks or more."""
    told = [row.peers for row in looks if row.peers is not None]
    return median(told) if told else None


def parse_amount(figure: Figure, value: object) -> float:
    """Return what `64MiB`, `12`, `5ms` or `25%` (of a core) are; QuantityError where it is no amount of that figure."""
    example = _EXAMPLES[figure.unit]
    if figure.unit == "bytes":
        return float(parse_size(value))
    if figure.unit == "seconds":
        return float(parse_duration(value))
    pattern = _SHARE if figure.unit == "cores" else _COUNT
    match = None if isinstance(value, bool) else pattern.match(str(value).strip())
    if not match:
        allowed = "a percentage of one core" if figure.unit == "cores" else "a number"
        raise QuantityError(show(value), allowed, example)
    return float(match[1]) / 100 if figure.unit == "cores" else float(match[0])


def parse_rate(figure: Figure, value: object) -> float:
    """Return the amount a second that `1MiB/m`, `5/m` or `10%/h` are."""
    amount, sign, unit = str(value).rpartition("/")
    if not sign or unit.strip() not in _TIMES:
        example = f"{_EXAMPLES[figure.unit]}/m"
        raise QuantityError(show(value), f"an amount and the time it may take ({', '.join(_TIMES)})", example)
    return parse_amount(figure, amount) / _TIMES[unit.strip()]


def parse_floor(figure: Figure, value: object) -> float:
    """Return the amount of what is followed: `2/s` of a counter, but CPU time as a percentage of one core."""
    return (
        parse_rate(figure, value)
        if figure.counter and figure.unit != "cores"
        else parse_amount(figure, value)
    )


def format_amount(figure: Figure, value: float) -> str:
    """Write an amount of what is followed."""
    if figure.unit == "cores":
        return format_percent(float(f"{value:.3g}"))
    if figure.unit == "bytes":
        return f"{'-' if value < 0 else ''}{format_size(abs(value))}"
    if figure.unit == "seconds":
        return f"{float(f'{1000 * value:.3g}'):g}ms"
    return f"{value:.3g}/s" if figure.counter else f"{value:.4g}"


def format_rate(figure: Figure, per_s: float) -> str:
    """Write how fast it grows, a minute."""
    if figure.unit == "bytes":
        return f"{format_amount(figure, per_s * 60)}/m"
    return f"{100 * per_s * 60:.3g}%/m" if figure.unit == "cores" else f"{per_s * 60:.3g}/m"


Parse = Callable[[Figure, object], float]


def amounts(names: Sequence[str], parse: Parse) -> Callable[[Any], dict[str, float]]:
    """Return the check of a mapping from some figures to amounts."""

    def read(value: Any) -> dict[str, float]:
        if not isinstance(value, dict):
            raise refuse(show(value), f"a mapping of {listing(names)}")
        return {_name(key, names): _parsed(parse, key, item) for key, item in value.items()}

    return read


def choice(defaults: Mapping[str, float], parse: Parse) -> Callable[[Any], dict[str, float]]:
    """Return the check of a list of figures, each with its default, or of a mapping that says an amount for each."""
    mapping = amounts(list(defaults), parse)

    def read(value: Any) -> dict[str, float]:
        if not value or not isinstance(value, list | dict):
            raise refuse(
                show(value), f"a list of {listing(list(defaults))}, or a mapping with an amount for each"
            )
        if isinstance(value, dict):
            return mapping(value)
        return {name: defaults[_name(name, list(defaults))] for name in value}

    return read


def _name(value: Any, names: Sequence[str]) -> str:
    if value not in names:
        raise refuse(show(value), listing(names), nearest(str(value), names))
    return str(value)


def _parsed(parse: Parse, name: str, value: object) -> float:
    try:
        return parse(FIGURES[name], value)
    except QuantityError as error:
        example = f"{{{name}: {error.example}}}"
        raise refuse(f"{name}: {error.found}", error.allowed, example=example) from None
