"""Slopes that outliers and ties do not upset: Theil and Sen's estimate, its interval and test by Kendall's statistic.

P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968). Plain Python, since a
scientific library would cost a second and 100 MB at every start; the tests compare with one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist, median

Points = Sequence[tuple[float, float]]
"""(seconds, value), in the order of time."""


def slopes(points: Points) -> list[float]:
    """Return the slopes (per second) of all pairs of points that differ in time, ascending; n (n - 1) / 2 of them."""
    return sorted(
        (value - earlier) / (at - before)
        for number, (at, value) in enumerate(points)
        for before, earlier in points[:number]
        if at > before
    )


def variance(points: Points) -> float:
    """Return the variance of Kendall's S where there is no trend, less what ties in time and in values take from it."""
    ties = (Counter(values).values() for values in zip(*points, strict=True))
    return (_spread(len(points)) - sum(_spread(alike) for counts in ties for alike in counts)) / 18


def _spread(count: int) -> int:
    return count * (count - 1) * (2 * count + 5)


def interval(points: Points, confidence: float) -> tuple[float, float, float]:
    """Return the median slope and the two-sided confidence interval (slope, low, high) for independent noise.

    Ranks are rounded as in scipy.stats.theilslopes. ValueError where no two points differ in time.
    """
    ascending = slopes(points)
    if not ascending:
        raise ValueError("a slope needs two points that differ in time")
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(max(0.0, variance(points)))
    low = max(round((len(ascending) - reach) / 2) - 1, 0)
    high = min(round((len(ascending) + reach) / 2), len(ascending) - 1)
    return median(ascending), ascending[low], ascending[high]


def score(points: Points) -> int:
    """Return Kendall's S: how many pairs rise less how many fall."""
    rises = (
        (value > earlier) - (value < earlier)
        for number, (_, value) in enumerate(points)
        for _, earlier in points[:number]
    )
    return sum(rises)


def p_rising(points: Points, inflation: float = 1.0) -> float:
    """Return the one-sided p-value of the hypothesis that values do not rise, for points at different times.

    Normal approximation with continuity correction, good from 10 points on. `inflation` is how many times the variance
    is what it would be for independent noise.
    """
    spread = variance(points) * inflation
    found = score(points)
    if spread <= 0 or found <= 0:
        return 1.0
    # The complementary error function keeps its digits far out, where 1 - cdf would be 0.
    return math.erfc((found - 1) / math.sqrt(2 * spread)) / 2
