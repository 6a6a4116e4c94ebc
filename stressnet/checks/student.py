"""Student's distribution, for whole degrees of freedom: how far means stray whose spread is known from few.

M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964), 26.7.3 and 26.7.4: finite sums, exact but
for rounding. Plain Python, as `kendall`; the tests compare with a scientific library.
"""

from __future__ import annotations

import math


def beyond(t: float, freedom: int) -> float:
    """Return the probability of a value as far from 0 as `t`, or further, on either side."""
    angle = math.atan(abs(t) / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for number in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * number / (number + 1)
    inside = math.sin(angle) * total
    if odd:
        inside = (angle + inside) * 2 / math.pi
    return max(0.0, 1.0 - inside)


def reach(confidence: float, freedom: int) -> float:
    """Return how far from 0 this share of all values lies at most."""
    low, high = 0.0, 1.0
    while beyond(high, freedom) > 1 - confidence:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle, freedom) > 1 - confidence else (low, middle)
    return high
