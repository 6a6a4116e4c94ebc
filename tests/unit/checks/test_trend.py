"""Growth is claimed of what goes on growing, and of nothing else."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressnet.checks import kendall
from stressnet.checks.least_squares import line
from stressnet.checks.trend import (
    LEAST_SAMPLES,
    Trend,
    block_minima,
    growth,
    p_value,
    seconds_until_decided,
    settled,
    time_to_limit,
    trend,
)

Points = list[tuple[float, float]]
COUNT = 240


def sampled(values: list[float], every_s: float = 2.0) -> Points:
    return [(1000.0 + every_s * number, value) for number, value in enumerate(values)]


def noise(seed: int, count: int = COUNT) -> list[float]:
    random = Random(seed)
    return [random.gauss(0, 1) for _ in range(count)]


def leaking(seed: int, leak: float, count: int = COUNT) -> Points:
    """Noise, and a leak in its standard deviations over the run."""
    return sampled([value + leak * number / count for number, value in enumerate(noise(seed, count))])


def strict(points: Points) -> Trend:
    found = trend(points, confidence=0.99)
    assert found is not None
    return found


THRESHOLD = 1.5 / (2 * COUNT)
"""Per second; as in benchmarks.truth_series."""
series = st.lists(st.integers(-50, 50), min_size=90, max_size=130).map(
    lambda values: sampled([float(value) for value in values])
)


def test_block_minima_are_the_earliest_smallest_points() -> None:
    points = sampled([3.0, 1.0, 1.0, 5.0, 4.0, 4.0, 0.0], every_s=1.0)
    assert block_minima(points, 3) == [(1001.0, 1.0), (1002.0, 1.0), (1006.0, 0.0)]
    assert block_minima(points, 7) == points


def test_the_warm_up_is_a_share_of_time_not_of_samples() -> None:
    often = [(number / 10, 0.0) for number in range(100)]
    seldom = [(10.0 + number, 0.0) for number in range(21)]
    assert settled(often + seldom, 1 / 3) == seldom
    assert settled([]) == []


def test_too_few_samples_are_no_trend() -> None:
    enough = sampled(noise(1, 90))
    found = trend(enough)
    assert found is not None
    assert found.samples == LEAST_SAMPLES
    assert trend(enough[:-2]) is None
    assert p_value(enough[:-2], 0.0) is None
    assert trend([]) is None


def test_a_line_has_its_slope_and_level() -> None:
    found = strict(sampled([7.0 + 0.25 * number for number in range(COUNT)]))
    assert (found.slope, found.low, found.high, found.late) == pytest.approx((0.125,) * 4)
    assert found.level == pytest.approx(7 + 0.25 * (COUNT - 1))
    assert found.span_s == 2.0 * (COUNT * 2 // 3 - 1)
    assert growth(found, 0.12) == "growth"
    assert growth(found, 0.13) == "none"


def test_independent_minima_have_the_interval_of_theil_and_sen() -> None:
    """Where neighbours differ as much as they can, nothing is made wider."""
    points = sampled([number * 0.1 + (number % 2) * (3 + number % 7) for number in range(96)])
    found = trend(points, warm_up=0.0, blocks=96)
    assert found is not None
    expected = stats.theilslopes([value for _, value in points], [at for at, _ in points])
    assert (found.slope, found.low, found.high) == pytest.approx(
        (expected.slope, expected.low_slope, expected.high_slope)
    )


def test_noise_that_lingers_makes_the_interval_wider() -> None:
    random, values = Random(3), [0.0]
    while len(values) < COUNT:
        values.append(0.95 * values[-1] + random.gauss(0, 1))
    found = strict(sampled(values))
    _, low, high = kendall.interval(block_minima(settled(sampled(values))), 0.99)
    assert found.high - found.low > 1.5 * (high - low)


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_growth_and_a_leak_is(seed: int) -> None:
    assert growth(strict(leaking(seed, 0.0)), THRESHOLD) != "growth"
    assert growth(strict(leaking(seed, 18.0)), THRESHOLD) == "growth"
    assert growth(strict(leaking(seed, -18.0)), THRESHOLD) == "none"


@pytest.mark.parametrize("steps", [5, 8, 20, 60])
def test_a_counter_that_climbs_a_long_staircase_grows(steps: int) -> None:
    found = strict(sampled([float(number * steps // COUNT) for number in range(COUNT)]))
    assert growth(found, steps / (2 * COUNT) / 4) == "growth"
    assert found.slope == pytest.approx(steps / (2 * COUNT), rel=0.25)


@pytest.mark.parametrize("at", [90, 120, 160, 200, 230])
@pytest.mark.parametrize("values", ["clean", "noisy"])
def test_one_late_step_is_no_growth(at: int, values: str) -> None:
    level = noise(at) if values == "noisy" else [0.0] * COUNT
    points = sampled([value + 20 * (number >= at) for number, value in enumerate(level)])
    assert growth(strict(points), THRESHOLD) != "growth"
    assert p_value(points, THRESHOLD) == 1.0


def test_two_steps_are_no_growth_though_every_rank_speaks_for_it() -> None:
    points = sampled([value + 9 * (number // 70) for number, value in enumerate(noise(8))])
    found = strict(points)
    assert found.low > THRESHOLD
    assert found.late > THRESHOLD
    assert growth(found, THRESHOLD) == "undecided"


def test_what_stopped_growing_is_no_growth() -> None:
    found = replace(strict(leaking(1, 18.0)), late=THRESHOLD)
    assert growth(found, THRESHOLD) == "undecided"


def test_a_late_spike_leaves_no_trace() -> None:
    """The slope of least squares would be 25 thresholds."""
    points = sampled([value + 50 * (200 <= number < 215) for number, value in enumerate(noise(4))])
    found = strict(points)
    assert line(settled(points))[0] > 15 * THRESHOLD
    assert abs(found.slope) < 2 * THRESHOLD
    assert growth(found, THRESHOLD) != "growth"


@given(st.integers(-1000, 1000), st.integers(90, 300), st.floats(0, 10))
def test_a_constant_series_never_grows(value: int, count: int, threshold: float) -> None:
    found = strict(sampled([float(value)] * count))
    assert (found.slope, found.low, found.high, found.level) == (0.0, 0.0, 0.0, float(value))
    assert growth(found, threshold) == "none"
    assert p_value(sampled([float(value)] * count), threshold) == 1.0


@given(st.lists(st.integers(0, 9), min_size=90, max_size=200), st.floats(0, 1))
def test_a_falling_series_never_grows(falls: list[int], threshold: float) -> None:
    level, values = 0, []
    for fall in falls:
        level -= fall
        values.append(float(level))
    points = sampled(values)
    assert growth(strict(points), threshold) != "growth"
    assert p_value(points, threshold) == 1.0


@given(series, st.integers(-(10**6), 10**6), st.sampled_from([2.0**-10, 0.5, 4.0, 2.0**20]))
def test_shifts_and_scales_change_no_verdict(points: Points, shift: int, scale: float) -> None:
    """Shifts and scales are such that floating point is exact."""
    other = [(at, (value + shift) * scale) for at, value in points]
    found, moved = strict(points), strict(other)
    assert (moved.slope, moved.low, moved.high) == pytest.approx(
        (found.slope * scale, found.low * scale, found.high * scale), rel=1e-6, abs=1e-9 * scale
    )
    assert growth(moved, 0.2987 * scale) == growth(found, 0.2987)  # no slope that integers make
    assert p_value(other, 0.25 * scale) == pytest.approx(p_value(points, 0.25), rel=1e-6)


@given(series)
def test_the_slope_is_within_its_interval_and_a_wider_one_holds_a_narrower(points: Points) -> None:
    wide, narrow = strict(points), trend(points, confidence=0.8)
    assert narrow is not None
    assert wide.low <= narrow.low <= narrow.slope <= narrow.high <= wide.high


def test_p_values_of_leaks_are_small_and_those_of_noise_are_not() -> None:
    leaks = [p_value(leaking(seed, 18.0), THRESHOLD) for seed in range(20)]
    healthy = [p_value(leaking(seed, 0.0), THRESHOLD) for seed in range(20)]
    assert max(p for p in leaks if p is not None) < 1e-3
    assert min(p for p in healthy if p is not None) > 0.01


def test_p_counts_from_the_threshold_on() -> None:
    points = leaking(2, 18.0)
    ps = [p_value(points, share * 18 / (2 * COUNT)) for share in (0.0, 0.5, 0.8, 1.5)]
    assert ps == sorted(ps, key=lambda p: p or 0.0)
    assert ps[0] is not None
    assert ps[2] is not None
    assert ps[0] < 1e-6 < 1e-4 < ps[2] < 1.0
    assert ps[-1] == 1.0


def test_time_to_limit() -> None:
    found = replace(strict(leaking(1, 18.0)), low=0.5, high=2.0, level=90.0)
    assert time_to_limit(found, 100.0) == (5.0, 20.0)
    assert time_to_limit(replace(found, low=0.0), 100.0) == (5.0, None)
    assert time_to_limit(replace(found, low=-1.0, high=0.0), 100.0) is None
    assert time_to_limit(found, 90.0) == (0.0, 0.0)


def test_sampling_as_much_longer_as_told_narrows_the_interval_enough() -> None:
    """By the law of a line's slope: half the distance to the threshold takes 4 to the power of 1/3 times the span."""
    found = Trend(
        slope=3.0,
        low=-1.0,
        high=7.0,
        confidence=0.95,
        late=3.0,
        over_stairs=9.0,
        level=0.0,
        samples=80,
        span_s=160.0,
        warm_up=1 / 3,
    )
    assert seconds_until_decided(found, 1.0) == pytest.approx(240 * (math.cbrt(4) - 1))
    assert seconds_until_decided(found, 5.0) == pytest.approx(240 * (math.cbrt(4) - 1))
    assert seconds_until_decided(found, 3.01) is None
    assert seconds_until_decided(found, 3.0) is None
    assert seconds_until_decided(found, -2.0) == 0.0
    assert seconds_until_decided(replace(found, over_stairs=0.0), -2.0) == pytest.approx(120.0)
