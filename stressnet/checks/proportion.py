"""Shares of few trials, and many tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist


def wilson(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval (low, high) of the probability of what happened `k` times in `n` trials.

    E. B. Wilson, "Probable inference", JASA 22 (1927), without continuity correction. (0, 1) without trials; ValueError
    where `k` is not from 0 to `n`.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
    middle = (k + z2 / 2) / (n + z2)
    reach = math.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    return (0.0 if k == 0 else middle - reach), (1.0 if k == n else middle + reach)


def benjamini_hochberg(p_values: Sequence[float], q: float) -> list[bool]:
    """Return which hypotheses to reject, in the order given: of those a share of at most `q` is wrong on average.

    Y. Benjamini and Y. Hochberg, JRSS B 57 (1995): for tests that are independent, or depend positively.
    """
    ranked = sorted(p_values)
    bounds = [p for rank, p in enumerate(ranked, 1) if p <= q * rank / len(ranked)]
    most = max(bounds, default=-math.inf)
    return [p <= most for p in p_values]


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return which hypotheses to reject, in the order given: the chance that any of those is wrong is at most `alpha`.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979):
    whatever the tests have to do with each other.
    """
    rejected = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] > alpha / (len(p_values) - rank):
            break
        rejected[place] = True
    return rejected
