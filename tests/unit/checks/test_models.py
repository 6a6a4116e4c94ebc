"""Sums of squares are those of the models written out, and lingering noise is seen."""

from __future__ import annotations

from random import Random
from statistics import fmean, variance

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressnet.checks.autocorrelation import HIGHEST, inflation, lag_one
from stressnet.checks.least_squares import EVIDENCE, Bends, Sums, line, over_stairs

values = st.lists(st.integers(-1000, 1000), min_size=8, max_size=30)


def about_mean(part: list[int]) -> float:
    mean = fmean(part)
    return sum((value - mean) ** 2 for value in part)


@given(values, st.data())
def test_parts_of_a_series(series: list[int], data: st.DataObject) -> None:
    begin = data.draw(st.integers(1, len(series) - 2))
    end = data.draw(st.integers(begin + 1, len(series) - 1))
    sums = Sums([float(value) + 1e6 for value in series])
    inside = series[begin:end]
    assert sums.mean(begin, end) == pytest.approx(fmean(inside) + 1e6)
    assert sums.rest(begin, end) == pytest.approx(about_mean(inside), abs=1e-3)


@given(values)
def test_the_best_part_leaves_least_of_all(series: list[int]) -> None:
    def left(begin: int, end: int) -> float:
        return about_mean(series[begin:end]) + about_mean(series[:begin] + series[end:])

    places = range(1, len(series))
    found = Sums([float(value) + 1e6 for value in series]).best_part(places, places)
    least = min(left(begin, end) for begin in places for end in places if end > begin)
    assert left(*found) == pytest.approx(least, abs=1e-3)


@given(values)
def test_what_a_bend_leaves_over_is_what_a_line_over_the_time_since_it_leaves(series: list[int]) -> None:
    """Also of large times and values, whose squares have no digits to lose."""
    points = [(1e6 + 3.0 * number, float(value) + 1e6) for number, value in enumerate(series)]
    bends = Bends(points)
    for begin, (origin, _) in enumerate(points[:-1]):
        since = [(max(0.0, at - origin), value) for at, value in points]
        assert bends.rest(begin) == pytest.approx(line(since)[2], abs=1e-3)


@given(values)
def test_the_line_of_least_squares(series: list[int]) -> None:
    points = [(3.0 * number, float(value)) for number, value in enumerate(series)]
    expected = stats.linregress([at for at, _ in points], [value for _, value in points])
    slope, start, rest = line(points)
    assert (slope, start) == pytest.approx((expected.slope, expected.intercept), abs=1e-6)
    assert rest == pytest.approx(sum((value - start - slope * at) ** 2 for at, value in points), abs=1e-3)


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 6, 24])
def test_four_levels_are_a_line_rather_than_stairs(levels: int) -> None:
    points = [(float(number), float(number * levels // 24)) for number in range(24)]
    assert (over_stairs(points, 24.0) > EVIDENCE) == (levels >= 4)


def lingering(correlation: float, count: int, random: Random) -> list[float]:
    value = random.gauss(0, 1 / (1 - correlation**2) ** 0.5)
    found = [value]
    while len(found) < count:
        value = correlation * value + random.gauss(0, 1)
        found.append(value)
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.8])
def test_the_correlation_is_found_without_bias_to_speak_of(correlation: float) -> None:
    """Of 40 samples about a line; none is taken for negative, hence 0.08 at 0."""
    random, found = Random(2), []
    for _ in range(400):
        points = list(enumerate(lingering(correlation, 40, random)))
        slope, start, _ = line([(float(at), value) for at, value in points])
        found.append(lag_one([value - start - slope * at for at, value in points]))
    assert fmean(found) == pytest.approx(correlation, abs=0.09)


def test_a_mean_varies_as_much_more_as_is_said() -> None:
    random = Random(3)
    means = [fmean(lingering(0.7, 24, random)) for _ in range(4000)]
    assert variance(means) == pytest.approx(inflation(0.7, 24) / (1 - 0.7**2) / 24, rel=0.1)
    assert inflation(0.0, 24) == 1.0


def test_correlations_have_bounds() -> None:
    assert lag_one([1.0, -1.0] * 20) == 0.0
    assert lag_one([0.0] * 40) == 0.0
    assert lag_one([float(number) for number in range(40)]) <= HIGHEST
