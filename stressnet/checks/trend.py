"""Whether a figure goes on growing, and how fast: a slope with an interval, from which three answers follow.

Noise of processes is one-sided (garbage waits for its collector, connections come and go), so what counts is how low a
figure still falls: the minima of blocks. Their median slope has an interval by Kendall's statistic, made wider where
minima resemble their neighbours. Samples must span several collections: between two of them, all garbage is a leak.
How often the answers are wrong is measured by `benchmarks/truth_series.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Literal

from stressnet.checks import kendall
from stressnet.checks.autocorrelation import inflation, lag_one
from stressnet.checks.kendall import Points
from stressnet.checks.least_squares import EVIDENCE, over_stairs

WARM_UP = 1 / 3
"""Share of the span that is left out: caches fill, peers are found."""
BLOCKS = 24
"""With 12, more healthy series stay undecided; with 36, blocks of short series miss the garbage collections."""
LEAST_SAMPLES = 60
"""After the warm-up; with 40, collections that come at random look like growth in one series of eight."""
_LEAST_INDEPENDENT = 6.0
"""One more than the parameters of two steps, below which BIC has no meaning."""
_MOST_SPANS = 10
"""Further than that nothing is foretold."""

Growth = Literal["growth", "none", "undecided"]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure went after the warm-up. Slopes are per second; `low` to `high` has the confidence asked for."""

    slope: float
    low: float
    high: float
    confidence: float
    late: float
    """Slope of the second half alone."""
    over_stairs: float
    """By how much of BIC a line explains the minima better than one or two steps do."""
    level: float
    """Where the line through the middle of the samples is at the last of them."""
    samples: int
    span_s: float
    """From the first to the last sample after the warm-up."""
    warm_up: float


@dataclass(frozen=True, slots=True)
class _Examined:
    trend: Trend
    minima: Points
    inflation: float
    """Of the variance of the minima's noise, since they resemble their neighbours."""


def block_minima(points: Points, blocks: int = BLOCKS) -> list[tuple[float, float]]:
    """Return the smallest point of each of `blocks` runs of equally many points, the earliest where several are.

    There must be at least as many points as blocks.
    """
    count = len(points)
    bounds = [number * count // blocks for number in range(blocks + 1)]
    return [min(points[begin:end], key=lambda point: point[1]) for begin, end in pairwise(bounds)]


def settled(points: Points, warm_up: float = WARM_UP) -> Points:
    """Return the points after a share of the span."""
    if not points:
        return points
    begun, ended = points[0][0], points[-1][0]
    return [point for point in points if point[0] >= begun + warm_up * (ended - begun)]


def trend(
    points: Points, *, confidence: float = 0.95, warm_up: float = WARM_UP, blocks: int = BLOCKS
) -> Trend | None:
    """Return how a figure goes, or None where fewer than LEAST_SAMPLES are left after the warm-up.

    Use a confidence of 0.99 where a verdict depends on it. Times must ascend. `blocks` are at least 6.
    """
    examined = _examined(points, confidence, warm_up, blocks)
    return examined.trend if examined else None


def _examined(points: Points, confidence: float, warm_up: float, blocks: int) -> _Examined | None:
    used = settled(points, warm_up)
    if len(used) < max(LEAST_SAMPLES, blocks):
        return None
    minima = block_minima(used, blocks)
    slope, low, high = kendall.interval(minima, confidence)
    more = inflation(lag_one([value - slope * (at - minima[0][0]) for at, value in minima]), blocks)
    # Scaled, not taken from ranks further out: beyond the steepest pair there is none.
    wider = math.sqrt(more)
    end = used[-1][0]
    found = Trend(
        slope=slope,
        low=slope - wider * (slope - low),
        high=slope + wider * (high - slope),
        confidence=confidence,
        late=median(kendall.slopes(minima[blocks // 2 :])),
        over_stairs=over_stairs(minima, max(_LEAST_INDEPENDENT, blocks / more)),
        level=median(value + slope * (end - at) for at, value in used),
        samples=len(used),
        span_s=end - used[0][0],
        warm_up=warm_up,
    )
    return _Examined(found, minima, more)


def highest_slope_since(points: Points, since: float, confidence: float) -> float:
    """Return how fast a figure grows at the most from a moment on, by the block minima left of those of `trend`,
    or infinity where these are less than a quarter of them."""
    minima = [one for one in block_minima(settled(points)) if one[0] >= since]
    return kendall.interval(minima, confidence)[2] if len(minima) >= BLOCKS / 4 else math.inf


def growth(trend: Trend, threshold: float) -> Growth:
    """Say whether it grows by more than a threshold (per second), one that matters in practice.

    Growth must go on in the second half and not be a few steps; such steps are what `shape` tells of.
    """
    if trend.low > threshold and _goes_on(trend, threshold):
        return "growth"
    return "none" if trend.high <= threshold else "undecided"


def _goes_on(trend: Trend, threshold: float) -> bool:
    return trend.late > threshold and trend.over_stairs > EVIDENCE


def p_value(
    points: Points, threshold: float, *, warm_up: float = WARM_UP, blocks: int = BLOCKS
) -> float | None:
    """Return the one-sided p-value of the hypothesis that the slope is not above a threshold (per second).

    It is 1 where growth does not go on, or is a few steps; None where `trend` is. For many nodes at once, see
    `stressnet.checks.proportion.benjamini_hochberg`.
    """
    examined = _examined(points, 0.95, warm_up, blocks)
    if examined is None:
        return None
    if not _goes_on(examined.trend, threshold):
        return 1.0
    begun = examined.minima[0][0]
    above = [(at, value - threshold * (at - begun)) for at, value in examined.minima]
    return kendall.p_rising(above, examined.inflation)


def time_to_limit(trend: Trend, limit: float) -> tuple[float, float | None] | None:
    """Return the earliest and the latest seconds from the last sample to a limit, or None where it is never reached.

    There is no latest where the slope may be 0. Beyond some ten times `span_s` neither deserves belief.
    """
    left = limit - trend.level
    if left <= 0:
        return 0.0, 0.0
    if trend.high <= 0:
        return None
    return left / trend.high, left / trend.low if trend.low > 0 else None


def seconds_until_decided(trend: Trend, threshold: float) -> float | None:
    """Return about how many seconds longer to sample until `growth` may be decided; 0 where it is, None if too many.

    The half of the interval towards the threshold shrinks with the span to the power of 3/2 (of a line's slope at a
    constant rate of samples), and a longer run has a longer warm-up. Where only the second half or steps stand against
    growth, that half must be seen anew. Rough: the slope itself may move. None where it takes more than ten spans.
    """
    if growth(trend, threshold) != "undecided":
        return 0.0
    above = trend.slope > threshold
    reach = trend.slope - trend.low if above else trend.high - trend.slope
    missing = abs(trend.slope - threshold)
    if missing * _MOST_SPANS**1.5 < reach:
        return None
    times = math.pow(reach / missing, 2 / 3)
    return max(times - 1, 0.5) * trend.span_s / (1 - trend.warm_up)
