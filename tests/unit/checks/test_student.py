"""Student's distribution is that of a scientific library."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stressnet.checks.student import beyond, reach


@given(st.floats(-50, 50), st.integers(1, 200))
def test_tails_are_those_of_scipy(t: float, freedom: int) -> None:
    assert beyond(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-6, abs=1e-13)


@given(st.floats(0.01, 0.9999), st.integers(1, 200))
def test_quantiles_are_those_of_scipy(confidence: float, freedom: int) -> None:
    assert reach(confidence, freedom) == pytest.approx(stats.t.ppf((1 + confidence) / 2, freedom), rel=1e-6)
