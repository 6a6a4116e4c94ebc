"""Paths of SVG: lines of many points reduced to what can be seen, in as few characters as it takes.

All are drawn on WIDTH x HEIGHT units that the page stretches to its own size; strokes do not scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import fmean, median

from stressnet.report.page import Line, Point
from stressnet.report.scale import Scale

WIDTH = 1000
HEIGHT = 2000
"""Finer than a screen, because the page reads values back from its lines."""
BUDGET = 360_000
"""Points of a page: about 2 MB. Runs with more are reduced further than to a column a pixel."""
BINS = 200
"""Moments at which regions are summed up, at most."""

Dot = tuple[int, int]
Spread = Sequence[tuple[float, tuple[float, float, float] | None]]
"""Moments, each with least, median and greatest value, or None where there is none."""


def columns(lines: int) -> int:
    """Return how many columns each of so many lines may have, of two points each."""
    return max(100, min(WIDTH, BUDGET // (2 * max(1, lines))))


def stretches(points: Iterable[Point]) -> Iterator[list[tuple[float, float]]]:
    """Yield the runs of points that are there; what is no number is a gap as well."""
    found: list[tuple[float, float]] = []
    for at, value in points:
        if value is not None and math.isfinite(value) and math.isfinite(at):
            found.append((at, value))
        elif found:
            yield found
            found = []
    if found:
        yield found


def reduce(points: Sequence[tuple[float, float]], time: Scale, most: int) -> Sequence[tuple[float, float]]:
    """Return the least and the greatest value of each column, in their order, where there are more than those."""
    if len(points) <= 2 * most:
        return points
    kept: list[tuple[float, float]] = []
    for column in _columns(points, time, most):
        low = min(column, key=lambda point: point[1])
        high = max(column, key=lambda point: point[1])
        kept += sorted({low, high})
    return kept


def _columns(
    points: Sequence[tuple[float, float]], time: Scale, most: int
) -> Iterator[list[tuple[float, float]]]:
    column, number = [points[0]], int(time.share(points[0][0]) * most)
    for point in points[1:]:
        here = int(time.share(point[0]) * most)
        if here != number:
            yield column
            column, number = [], here
        column.append(point)
    yield column


def line(points: Iterable[Point], time: Scale, values: Scale, most: int = WIDTH) -> str:
    """Return the path of a line with its gaps; a point alone is a dot. Empty where there is no point."""
    return "".join(_path(_dots(reduce(stretch, time, most), time, values)) for stretch in stretches(points))


def _dots(points: Iterable[tuple[float, float]], time: Scale, values: Scale) -> list[Dot]:
    wide, left = WIDTH / (time.high - time.low), time.low
    high, top = HEIGHT / (values.high - values.low), values.high
    return [(round((at - left) * wide), round((top - value) * high)) for at, value in points]


def _path(dots: Sequence[Dot]) -> str:
    """Write dots as relative steps; those that lie on the way from one to the next are left out."""
    corners = [dots[0]]
    for dot in dots[1:]:
        if len(corners) > 1 and _straight(corners[-2], corners[-1], dot):
            corners[-1] = dot
        else:
            corners.append(dot)
    steps = [
        f"{x - left}{'' if y < above else ' '}{y - above}" for (left, above), (x, y) in pairwise(corners)
    ]
    begin = f"M{corners[0][0]} {corners[0][1]}"
    return f"{begin}l{' '.join(steps)}" if steps else f"{begin}h0"


def _straight(first: Dot, middle: Dot, last: Dot) -> bool:
    ahead = middle[0] - first[0], middle[1] - first[1]
    beyond = last[0] - middle[0], last[1] - middle[1]
    level = ahead[0] * beyond[1] == ahead[1] * beyond[0]
    return level and ahead[0] * beyond[0] + ahead[1] * beyond[1] >= 0


def spread(lines: Sequence[Line], time: Scale) -> Spread:
    """Return what lines span from moment to moment."""
    most = max((len(line.points) for line in lines), default=0)
    # A bin is longer than the time between two looks, so that a look that is late leaves none empty.
    bins = max(1, min(BINS, int(most / 1.5)))
    found: list[list[float]] = [[] for _ in range(bins)]
    for line in lines:
        for number, values in _binned(line, time, bins).items():
            found[number].append(fmean(values))
    length = (time.high - time.low) / bins
    return [
        (time.low + (number + 0.5) * length, (min(values), median(values), max(values)) if values else None)
        for number, values in enumerate(found)
    ]


def _binned(line: Line, time: Scale, bins: int) -> dict[int, list[float]]:
    binned: dict[int, list[float]] = {}
    for stretch in stretches(line.points):
        for at, value in stretch:
            number = min(bins - 1, max(0, int(time.share(at) * bins)))
            binned.setdefault(number, []).append(value)
    return binned


def ribbon(low: Sequence[Point], high: Sequence[Point], time: Scale, values: Scale) -> str:
    """Return the path around all between two lines that have their gaps at the same moments."""
    return "".join(
        _path(_dots(below + above[::-1], time, values)) + "z"
        for below, above in zip(stretches(low), stretches(high), strict=True)
    )
