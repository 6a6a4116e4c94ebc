"""What was asked of a fault beside what was found, and how far they may lie apart: stated as data, by kind."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Unit = Literal["duration", "rate", "size", "share", "count", "cpus"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a figure may lie from what was asked: at least `least` (SI), or a share of it if that is more."""

    least: float = 0.0
    share: float = 0.0

    def around(self, asked: float) -> float:
        """Return how far it may lie from this."""
        return max(self.least, self.share * asked)


_DELAY = Tolerance(least=2e-3, share=0.02)
_RATE = Tolerance(share=0.05)
_EXACT = Tolerance()
_PAGE = Tolerance(least=os.sysconf("SC_PAGE_SIZE"))
"""What file systems in memory count in."""

TOLERANCES: Mapping[str, Tolerance] = {
    "partition": _EXACT,
    "reject": _EXACT,
    "rate": _RATE,
    "delay": _DELAY,
    "latency": _DELAY,
    "bandwidth": _RATE,
    "stall": _EXACT,
    "slow_close": _DELAY,
    "reset": _DELAY,
    "cut": _EXACT,
    "slice": _EXACT,
    "disk_full": _PAGE,
    "pause": _EXACT,
    "kill": _EXACT,
    "cpu": Tolerance(least=0.02, share=0.1),  # a period's budget may be used up at either end of a look
    "memory": _PAGE,
}
"""By kind of fault. Those with a share of packets have the interval of CONFIDENCE instead."""
CONFIDENCE = 0.99
"""How many of right shares lie within the binomial interval: one look in a hundred is outside by chance."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, in SI. It holds from `low` to `high`, both included."""

    name: str
    """What, in words: "round trip"."""
    unit: Unit
    asked: float
    """What all faults on the link together amount to."""
    found: float
    low: float
    high: float | None
    """None: no bound."""
    of: int
    """How many exchanges, packets or connections it was found from."""
    how: str = ""
    """In words, where there is more to say: how a connection ended."""

    @property
    def holds(self) -> bool:
        """Whether it is within the tolerance."""
        return self.low <= self.found and (self.high is None or self.found <= self.high)

    @property
    def error(self) -> float:
        """What was found less what was asked."""
        return self.found - self.asked

    @property
    def far(self) -> float:
        """How far it is from what was asked, in tolerances: up to 1 it holds; to tell the worst of several."""
        if self.holds:
            room = max(self.asked - self.low, (self.high or self.asked) - self.asked)
            return abs(self.error) / room if room else 0.0
        bound = self.low if self.found < self.low or self.high is None else self.high
        room = abs(bound - self.asked)
        return max(abs(self.error) / room, 1.0) if room else math.inf

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "asked": self.asked,
            "found": self.found,
            "error": self.error,
            "low": self.low,
            "high": self.high,
            "of": self.of,
            "how": self.how,
            "holds": self.holds,
        }


def near(
    kind: str,
    name: str,
    unit: Unit,
    asked: float,
    found: float,
    of: int,
    *,
    spread: float = 0.0,
    how: str = "",
) -> Figure:
    """Return a figure that may lie as far from what was asked as the kind allows, and `spread` (SI) further."""
    room = TOLERANCES[kind].around(asked) + spread
    return Figure(name, unit, asked, found, max(0.0, asked - room), asked + room, of, how)


def share_of(
    name: str, expected: float, found: int, of: int, among: int = 1, correlation: float = 0.0
) -> Figure:
    """Return a figure for events that happened `found` times in `of` (at least 1) trials, and `expected` were asked.

    Of several figures of which the worst counts (`among`), all are inside as often as one alone would be. Trials of
    which each decides the next by a correlation say as much as fewer that do not.
    """
    asked = expected / of
    trials = max(1, round(of * (1 - correlation) / (1 + correlation)))
    low, high = binomial_interval(trials, asked, 1 - (1 - CONFIDENCE) / among)
    return Figure(name, "share", asked, found / of, low / trials, high / trials, of)


def binomial_interval(trials: int, probability: float, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """Return the least and the greatest count that are not among the rarest of each end of a binomial distribution.

    Exact: its terms are added up from 9 standard deviations outwards inwards.
    """
    if not 0 < probability < 1:
        return (round(trials * probability),) * 2
    most = (1 - confidence) / 2
    least = _least(trials, probability, most)
    return least, trials - _least(trials, 1 - probability, most)


def _least(trials: int, probability: float, most: float) -> int:
    """Return the least count with more than `most` of the distribution at or below it."""
    mean, deviation = trials * probability, math.sqrt(trials * probability * (1 - probability))
    count = max(0, int(mean - 9 * deviation - 9))
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(probability)
        + (trials - count) * math.log1p(-probability)
    )
    below = term
    while below <= most and count < trials:
        term *= (trials - count) / (count + 1) * probability / (1 - probability)
        count += 1
        below += term
    return count
