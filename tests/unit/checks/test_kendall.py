"""Slopes, their interval and the test are those of scipy, ties or not."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressnet.checks import kendall

ties = st.lists(st.integers(-3, 3), min_size=3, max_size=40)
reals = st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=40)


def timed(values: list[float]) -> list[tuple[float, float]]:
    return [(2.0 * number, float(value)) for number, value in enumerate(values)]


@given(ties | reals, st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_is_that_of_theil_and_sen(values: list[float], confidence: float) -> None:
    points = timed(values)
    expected = stats.theilslopes([value for _, value in points], [at for at, _ in points], alpha=confidence)
    assert kendall.interval(points, confidence) == pytest.approx(
        (expected.slope, expected.low_slope, expected.high_slope), rel=1e-9, abs=1e-9
    )


def test_equal_times_make_no_slope_and_are_ties() -> None:
    points = [(0.0, 1.0), (0.0, 2.0), (1.0, 3.0), (1.0, 5.0), (3.0, 4.0)]
    expected = stats.theilslopes([value for _, value in points], [at for at, _ in points])
    assert len(kendall.slopes(points)) == 8
    assert kendall.interval(points, 0.95) == pytest.approx(
        (expected.slope, expected.low_slope, expected.high_slope)
    )
    with pytest.raises(ValueError, match="differ in time"):
        kendall.interval([(1.0, 2.0), (1.0, 3.0)], 0.95)


@given(ties)
def test_s_and_its_variance_are_those_of_kendalls_tau(values: list[int]) -> None:
    """Seen by scipy's asymptotic p-value, which has no continuity correction."""
    points = timed([float(value) for value in values])
    score, spread = kendall.score(points), kendall.variance(points)
    if len(set(values)) == 1:
        assert (score, spread) == (0, 0.0)
        return
    expected = stats.kendalltau(*zip(*points, strict=True), method="asymptotic", alternative="greater")
    # scipy's variance has two more terms where both series have ties; times have none here.
    assert stats.norm.sf(score / spread**0.5) == pytest.approx(expected.pvalue, rel=1e-9)


def test_p_is_near_the_exact_one() -> None:
    random = Random(5)
    for slope in (0.0, 0.1, 0.3):
        points = timed([slope * number + random.gauss(0, 1) for number in range(24)])
        exact = stats.kendalltau(*zip(*points, strict=True), method="exact", alternative="greater").pvalue
        if kendall.score(points) > 0:
            assert kendall.p_rising(points) == pytest.approx(exact, rel=0.1, abs=1e-5)


def test_p_of_what_does_not_rise_is_1_and_noise_that_lingers_makes_it_larger() -> None:
    assert kendall.p_rising(timed([5.0] * 12)) == 1.0
    assert kendall.p_rising(timed([12.0 - number for number in range(12)])) == 1.0
    rising = timed([float(number) for number in range(12)])
    assert kendall.p_rising(rising) < 1e-5 < 1e-3 < kendall.p_rising(rising, 4.0) < 0.02
