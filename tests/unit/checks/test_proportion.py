"""Intervals of shares and corrections for many tests are the published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressnet.checks.proportion import benjamini_hochberg, holm, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(5, 5, 0.57, 1.0), (10, 10, 0.72, 1.0), (3, 5, 0.23, 0.88), (3, 10, 0.11, 0.60), (0, 20, 0.0, 0.16)],
)
def test_wilson_by_known_values(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n) == pytest.approx((low, high), abs=0.005)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_that_of_scipy(trials: tuple[int, int], confidence: float) -> None:
    expected = stats.binomtest(*trials).proportion_ci(confidence, method="wilson")
    assert wilson(*trials, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_shares_that_are_none() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="6 of 5"):
        wilson(6, 5)


def test_benjamini_and_hochbergs_own_example() -> None:
    """Of their paper's 15 p-values, 4 are rejected at 0.05."""
    values = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344]
    values += [0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(values, 0.05) == [True] * 4 + [False] * 11
    assert benjamini_hochberg(values[::-1], 0.05) == [False] * 11 + [True] * 4
    assert benjamini_hochberg([], 0.05) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.001, 0.5))
def test_benjamini_hochberg_is_that_of_scipy(values: list[float], q: float) -> None:
    adjusted = stats.false_discovery_control(values, method="bh")
    assert all(
        rejected == (p <= q)
        for rejected, p in zip(benjamini_hochberg(values, q), adjusted, strict=True)
        if abs(p - q) > 1e-12
    )


def test_holm_stops_at_the_first_that_is_not_small_enough() -> None:
    """By his rule: 0.01 to 0.05 / 4, 0.02 not to 0.05 / 3, and then none, however small its own bound would be."""
    assert holm([0.02, 0.01, 0.03, 0.04], 0.05) == [False, True, False, False]
    assert holm([0.005, 0.01, 0.03, 0.026], 0.05) == [True, True, False, False]
    assert holm([0.001, 0.01, 0.02, 0.04], 0.05) == [True] * 4
    assert holm([], 0.05) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_no_more_than_benjamini_and_hochberg(values: list[float]) -> None:
    assert all(
        loose or not strict
        for strict, loose in zip(holm(values, 0.05), benjamini_hochberg(values, 0.05), strict=True)
    )
