"""What is left of a series when levels or a line are taken away, and which of several models the rest speaks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

from stressnet.checks.kendall import Points

EVIDENCE = 4.0
"""By how much of BIC a model must be better than another to be believed: odds of e² = 7 to 1. From 2 to 6, evidence is
"positive" with R. E. Kass and A. E. Raftery, "Bayes factors", JASA 90 (1995). At 0, the growth rule called two of a
hundred high-water marks leaks, at 4 fewer than one; 6 left up to half of the leaks of 9 deviations undecided."""


class Sums:
    """Sums over any part of a series, each in constant time."""

    def __init__(self, values: Sequence[float]) -> None:
        centre = sum(values) / len(values)  # far from zero, squares would lose the digits that matter
        self._centre = centre
        self._sums = list(accumulate((value - centre for value in values), initial=0.0))
        self._squares = list(accumulate(((value - centre) ** 2 for value in values), initial=0.0))

    def mean(self, begin: int, end: int) -> float:
        """Return the mean of a part that is not empty."""
        return self._centre + (self._sums[end] - self._sums[begin]) / (end - begin)

    def rest(self, begin: int, end: int) -> float:
        """Return the sum of squares about the mean of a part that is not empty."""
        total = self._sums[end] - self._sums[begin]
        return max(0.0, self._squares[end] - self._squares[begin] - total * total / (end - begin))

    def best_part(self, begins: Sequence[int], ends: Sequence[int]) -> tuple[int, int]:
        """Return (begin, end) of the part which leaves least if it has a mean of its own, and all around it another.

        No part is the whole series. The sum of all is 0, so that around a part it is that within, and less is left the
        more these two means take away.
        """
        count, sums = len(self._sums) - 1, self._sums
        weights = [0.0, *(count / (length * (count - length)) for length in range(1, count))]
        most, best = -1.0, (begins[0], ends[-1])
        for begin in begins:
            before = sums[begin]
            for end in ends:
                if end > begin:
                    inside = sums[end] - before
                    taken = inside * inside * weights[end - begin]
                    if taken > most:
                        most, best = taken, (begin, end)
        return best


class Bends:
    """A level that bends into a ramp at one of the points of a series: what is left over, in constant time for each."""

    def __init__(self, points: Points) -> None:
        origin, centre = points[0][0], sum(value for _, value in points) / len(points)
        self._times = [at - origin for at, _ in points]
        values = [value - centre for _, value in points]
        self._squares = sum(value * value for value in values)
        # Of this point and all after it.
        self._time_sums = _from_here(self._times)
        self._time_squares = _from_here([at * at for at in self._times])
        self._values = _from_here(values)
        self._products = _from_here([at * value for at, value in zip(self._times, values, strict=True)])

    def rest(self, begin: int) -> float:
        """Return the sum of squares about the best ramp that begins at a point, which must not be the last."""
        at, count, after = self._times[begin], len(self._times), len(self._times) - begin
        ramp = self._time_sums[begin] - after * at
        ramp_squares = self._time_squares[begin] - 2 * at * self._time_sums[begin] + after * at * at
        along = self._products[begin] - at * self._values[begin]
        return max(0.0, self._squares - along * along / (ramp_squares - ramp * ramp / count))


def _from_here(values: Sequence[float]) -> list[float]:
    return list(accumulate(reversed(values)))[::-1]


def line(points: Points) -> tuple[float, float, float]:
    """Return (slope, value at time 0, sum of squares about it) of the line of least squares; times must differ."""
    count = len(points)
    mid_time = sum(at for at, _ in points) / count
    mid = sum(value for _, value in points) / count
    times = sum((at - mid_time) ** 2 for at, _ in points)
    slope = sum((at - mid_time) * (value - mid) for at, value in points) / times
    rest = sum((value - mid - slope * (at - mid_time)) ** 2 for at, value in points)
    return slope, mid - slope * mid_time, rest


def bic(rest: float, parameters: int, independent: float) -> float:
    """Return Schwarz's criterion (Annals of Statistics 6, 1978), the lower the better, but for a constant.

    `rest` is a sum of squares, which must be positive; `independent` is how many independent samples a series is worth.
    """
    return independent * math.log(rest) + parameters * math.log(independent)


def over_stairs(points: Points, independent: float, *, least: int = 2) -> float:
    """Return by how much the criterion of a line is better than that of the best stairs with one or two steps.

    A level is at least `least` points long. Negative where stairs are better; 0 for a constant series.
    """
    count = len(points)
    sums = Sums([value for _, value in points])
    whole = sums.rest(0, count)
    if whole <= 0:
        return 0.0
    one, two = _stairs(sums, count, least)
    floor = 1e-12 * whole  # what is below it is rounding
    line_bic = bic(max(line(points)[2], floor), 2, independent)
    return min(bic(max(one, floor), 3, independent), bic(max(two, floor), 5, independent)) - line_bic


def _stairs(sums: Sums, count: int, least: int) -> tuple[float, float]:
    """Return the smallest sums of squares about two and about three levels."""
    lower = {end: sums.rest(0, end) for end in range(least, count - least + 1)}
    upper = {begin: sums.rest(begin, count) for begin in lower}
    one = min(lower[at] + upper[at] for at in lower)
    pairs = ((at, later) for at in lower for later in lower if later - at >= least)
    two = min((lower[at] + sums.rest(at, later) + upper[later] for at, later in pairs), default=one)
    return one, two
