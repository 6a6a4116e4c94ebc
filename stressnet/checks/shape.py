"""What form a change has: a spike that came back, a step to a new level, or a ramp that goes on.

Models are fitted by least squares to the median-filtered series and compared by BIC, with the number of samples that
independent noise would need to say as much. The least lengths and changes are those of Chromium's performance dashboard
(catapult, dashboard/dashboard/find_change_points.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from stressnet.checks.autocorrelation import inflation, lag_one
from stressnet.checks.kendall import Points
from stressnet.checks.least_squares import EVIDENCE, Bends, Sums, bic, line

LEAST_SIDE = 6
"""Samples on each side of a step, and before and after a spike."""
LEAST_CHANGE = 2.5
"""Of a step and a spike, in standard deviations of what they leave over."""
FILTERED = 5
"""Samples of which the median is taken: what lasts for one or two is an odd sample, no spike."""
_GRID = 60
"""About as many places are tried first for a spike and for the begin of a ramp: all of 480 samples would take 0.1 s."""

Form = Literal["flat", "spike", "step", "ramp"]


@dataclass(frozen=True, slots=True)
class Shape:
    """The form of a series, where its change is, and how much. Falls and dips have a negative `size`."""

    form: Form
    begin: float | None
    """The first sample (seconds) of the spike or the new level, or from which a ramp rose; None where it is flat."""
    end: float | None
    """The first sample after a spike; None for the others."""
    size: float
    """From the level before to that within the spike or after the step; of a ramp, what it rose to the last sample."""
    noise: float
    """Standard deviation of what the model leaves over."""


@dataclass(frozen=True, slots=True)
class _Model:
    shape: Shape
    parameters: int
    left: list[float]

    @property
    def believable(self) -> bool:
        return self.shape.form in ("flat", "ramp") or abs(self.shape.size) >= LEAST_CHANGE * self.shape.noise


def shape(points: Points) -> Shape | None:
    """Return the form of a series with times that ascend, or None where it has fewer than 3 * LEAST_SIDE points."""
    if len(points) < 3 * LEAST_SIDE:
        return None
    values = _filtered([value for _, value in points])
    smooth = [(at, value) for (at, _), value in zip(points, values, strict=True)]
    if min(values) == max(values):
        return Shape("flat", None, None, 0.0, 0.0)
    models = list(_models(smooth, Sums(values)))
    # What the best fit leaves over is nearest to noise alone; its neighbours tell how many samples are independent.
    closest = min(models, key=lambda model: model.shape.noise)
    count = len(points)
    independent = count / inflation(lag_one(closest.left, closest.parameters), count)
    floor = 1e-12 * sum(value * value for value in models[0].left)

    def criterion(model: _Model) -> float:
        rest = max(sum(value * value for value in model.left), floor)
        known = EVIDENCE if model.shape.form == "flat" else 0.0
        return bic(rest, model.parameters, max(independent, 2 * LEAST_SIDE)) - known

    return min((model for model in models if model.believable), key=criterion).shape


def _filtered(values: list[float]) -> list[float]:
    half = FILTERED // 2
    return [median(values[max(0, number - half) : number + half + 1]) for number in range(len(values))]


def _models(smooth: Points, sums: Sums) -> Iterator[_Model]:
    """Yield each form fitted at its best, flat first."""
    count = len(smooth)
    mean = sums.mean(0, count)
    yield _model(smooth, "flat", 1, [mean] * count)
    yield _ramp(smooth, 0)
    yield _ramp(smooth, _bend(smooth))

    at = _step(sums, count)
    low, high = sums.mean(0, at), sums.mean(at, count)
    yield _model(smooth, "step", 3, [low] * at + [high] * (count - at), at, size=high - low)

    begin, end = _spike(sums, count)
    inside = sums.mean(begin, end)
    around = (mean * count - inside * (end - begin)) / (count - end + begin)
    fitted = [around] * begin + [inside] * (end - begin) + [around] * (count - end)
    yield _model(smooth, "spike", 4, fitted, begin, end, inside - around)


def _model(
    smooth: Points,
    form: Form,
    parameters: int,
    fitted: Sequence[float],
    begin: int | None = None,
    end: int | None = None,
    size: float = 0.0,
) -> _Model:
    left = [value - fit for (_, value), fit in zip(smooth, fitted, strict=True)]
    noise = math.sqrt(sum(value * value for value in left) / (len(left) - parameters))
    first, after = (None if number is None else smooth[number][0] for number in (begin, end))
    return _Model(Shape(form, first, after, size, noise), parameters, left)


def _ramp(smooth: Points, begin: int) -> _Model:
    bent = _bent(smooth, begin)
    slope, start, _ = line(bent)
    size = slope * (bent[-1][0] - bent[0][0])
    return _model(
        smooth, "ramp", 3 if begin else 2, [start + slope * past for past, _ in bent], begin, size=size
    )


def _bent(smooth: Points, begin: int) -> Points:
    """Return the points over the time since a ramp began, before which there is none."""
    origin = smooth[begin][0]
    return [(max(0.0, at - origin), value) for at, value in smooth]


def _bend(smooth: Points) -> int:
    """Return the number of the sample at which a ramp that was flat before leaves least, of those on a grid."""
    stride = max(1, len(smooth) // _GRID)
    thinned = smooth[::stride]
    places = range(-(-LEAST_SIDE // stride), (len(smooth) - LEAST_SIDE) // stride)
    return stride * min(places, key=Bends(thinned).rest)


def _step(sums: Sums, count: int) -> int:
    """Return the number of the first sample of the new level: the split that leaves least."""
    return min(
        range(LEAST_SIDE, count - LEAST_SIDE + 1), key=lambda at: sums.rest(0, at) + sums.rest(at, count)
    )


def _spike(sums: Sums, count: int) -> tuple[int, int]:
    """Return the first sample of the spike that leaves least, and the first after it: on a grid, then between."""
    stride = max(1, count // _GRID)
    coarse = range(LEAST_SIDE, count - LEAST_SIDE + 1, stride)
    begin, end = sums.best_part(coarse, coarse)
    return sums.best_part(_near(begin, stride, count), _near(end, stride, count))


def _near(number: int, stride: int, count: int) -> range:
    return range(max(LEAST_SIDE, number - stride), min(count - LEAST_SIDE, number + stride) + 1)
