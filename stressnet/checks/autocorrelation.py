"""How much less a series says whose noise lingers: samples that resemble their neighbours are not independent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

HIGHEST = 0.97
"""A correlation found above it is not believed: the noise could not be told from a trend at all."""


def lag_one(residuals: Sequence[float], parameters: int = 2) -> float:
    """Return the correlation of neighbours in what a model with some parameters left over, from 0 to HIGHEST.

    What short series show is too low by about (p + (p + 2) r) / n, for p parameters of a trend in time (M. G. Kendall,
    Biometrika 41, 1954, for p = 1); that is put right, and a negative correlation taken for none.
    """
    count = len(residuals)
    mean = sum(residuals) / count
    apart = [value - mean for value in residuals]
    total = sum(value * value for value in apart)
    if total <= 0 or count <= parameters + 2:
        return 0.0
    found = sum(one * next_ for one, next_ in pairwise(apart)) / total
    return min(max(0.0, (found + parameters / count) / (1 - (parameters + 2) / count)), HIGHEST)


def inflation(correlation: float, count: int) -> float:
    """Return by how much lingering noise, an AR(1) process, multiplies the variance of the mean of `count` samples."""
    return 1 + 2 * sum((1 - lag / count) * correlation**lag for lag in range(1, count))
