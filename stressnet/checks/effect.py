"""Whether a node differs from its neighbours by more than these do among themselves.

The unit is the node, not the sample: samples of a node that follow each other are not independent, so a thousand of
them prove nothing about the code that it runs (S. H. Hurlbert, "Pseudoreplication", Ecological Monographs 54, 1984).
Each node's figure over the whole time is held against that of each neighbour over the same moments, and of these ratios
the median counts. What ratios are usual is seen on the neighbours, each against the rest. They are few, so their
variance is moderated by one that is known beforehand (G. K. Smyth, "Linear models and empirical Bayes methods",
Statistical Applications in Genetics and Molecular Biology 3, 2004). How often that is wrong: `benchmarks/truth.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from statistics import NormalDist, fmean, median

from stressnet.checks.autocorrelation import inflation, lag_one
from stressnet.checks.beside import LEAST_BLOCKS, Part, Row, Rows, common, level
from stressnet.checks.student import beyond, reach

LEAST_NEIGHBOURS = 3
"""Of fewer nobody knows how far apart nodes are that run the same."""
_APART = 0.10
"""Nodes that run the same are so far apart (standard deviation of the logarithm), if nothing else is known: in nets of
the reference node it is 0 to 5 %, in others it may be more."""
_APART_FREEDOM = 2
"""That counts for so many neighbours: with 4, one record of twenty fails whose nodes are 30 % apart."""
CONFIDENCE = 0.90
"""Of intervals, so that the truth is beyond one end, the one that matters, in one case of twenty."""
_MOST_PAIRS = 66
"""Of which noise over time is taken: those of a dozen neighbours."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Usual:
    """How one figure of the neighbours is among themselves."""

    logs: dict[str, float]
    """Of each: the logarithm of how many times the median of the rest it is."""
    spread: float
    """Standard deviation of such a logarithm, by `freedom` degrees of freedom."""
    freedom: int
    typical: float
    """The same without the oddest neighbour, where there are enough."""
    typical_freedom: int
    chance: float = 0.0
    """What chance adds to its variance beyond the noise that was seen, where it counts events at random moments."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One figure of a node beside that of its neighbours, over the same moments."""

    node: str
    own: float
    others: float
    """The median of the neighbours."""
    log: float
    """Logarithm of how many times that it is."""
    usual: Usual | None
    """None: it is not known."""

    @property
    def times(self) -> float:
        """How many times the median of the neighbours it is."""
        return math.exp(self.log)

    @property
    def p(self) -> float:
        """How probable a node that runs the same would be so far off, on either side; 1 where nothing is usual."""
        if self.usual is None:
            return 1.0
        apart = beyond(self.log / self.usual.spread, self.usual.freedom)
        chance = self.usual.chance and 2 * _NORMAL.cdf(-abs(self.log) / math.sqrt(self.usual.chance))
        return max(apart, chance)

    @property
    def reach(self) -> float:
        """How far from the truth the logarithm may be, since nodes that run the same differ too.

        Who is beyond what even an odd neighbour does has to be far off; who is like most is not doubted for its sake.
        """
        if self.usual is None:
            return math.inf
        chance = _NORMAL.inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(self.usual.chance)
        return math.hypot(reach(CONFIDENCE, self.usual.typical_freedom) * self.usual.typical, chance)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The least and the most times that its own doing may be; None where what is usual is not known."""
        if self.usual is None:
            return None
        return math.exp(self.log - self.reach), math.exp(self.log + self.reach)


def usual(rows: Rows, floor: float, events: bool) -> Usual | None:
    """Return how far apart neighbours are; None where there are too few of them, or they were not seen long enough.

    `floor`: of less, multiples are taken of it. `events`: they come at random moments, so few of them differ.
    """
    logs = {
        name: found[0]
        for name, row in rows.items()
        if (found := _against(row, {other: rows[other] for other in rows if other != name}, floor))
    }
    if len(logs) < LEAST_NEIGHBOURS:
        return None
    neighbours = {name: rows[name] for name in logs}
    noise = _noise(neighbours, floor)
    chance = max(0.0, _chance(neighbours, floor) - noise) if events else 0.0
    most = sorted(logs.values(), key=abs)
    if len(logs) > LEAST_NEIGHBOURS:
        most.pop()
    return Usual(logs, *_moderated(list(logs.values()), noise), *_moderated(most, noise), chance)


def _moderated(logs: Sequence[float], noise: float) -> tuple[float, int]:
    """Return a standard deviation, and the degrees of freedom by which it is known."""
    seen, freedom = fmean(log * log for log in logs), len(logs) - 1
    weight = _APART_FREEDOM + freedom
    return math.sqrt((_APART_FREEDOM * (_APART**2 + noise) + freedom * seen) / weight), weight


def effect(name: str, row: Row, rows: Rows, floor: float, usual: Usual | None) -> Effect | None:
    """Return how a node is beside its neighbours; None where it was not seen long enough beside any."""
    found = _against(row, rows, floor)
    return Effect(name, found[1], found[2], found[0], usual) if found else None


def _against(row: Row, others: Rows, floor: float) -> tuple[float, float, float] | None:
    """Return the median logarithm of the ratio to each of the others, and the median levels of it and of them."""
    pairs = []
    for other in others.values():
        places = common(row, other)
        if len(places) >= LEAST_BLOCKS:
            own, theirs = level(row, places), level(other, places)
            if own is not None and theirs is not None:
                pairs.append((math.log(max(own, floor) / max(theirs, floor)), own, theirs))
    if not pairs:
        return None
    logs, owns, levels = zip(*pairs, strict=True)
    return median(logs), median(owns), median(levels)


def _noise(rows: Rows, floor: float) -> float:
    """Return the variance that noise over time gives to such a logarithm: of the mean of blocks, whose neighbours may
    resemble each other."""
    found = []
    for one, other in islice(combinations(rows.values(), 2), _MOST_PAIRS):
        places = common(one, other)
        levels = level(one, places), level(other, places)
        if levels[0] is None or levels[1] is None:
            continue
        apart = [
            _relative(one[place], max(levels[0], floor)) - _relative(other[place], max(levels[1], floor))
            for place in places
        ]
        found.append(_variance_of_mean(apart))
    return fmean(found) * _against_median(len(rows)) if found else 0.0


def _relative(part: Part | None, level: float) -> float:
    return part.amount / part.over / level if part and part.over > 0 else 0.0


def _variance_of_mean(values: Sequence[float]) -> float:
    count = len(values)
    if count < 2:
        return 0.0
    middle = fmean(values)
    variance = sum((value - middle) ** 2 for value in values) / (count - 1)
    return variance / count * inflation(lag_one(values, 1), count)


def _against_median(count: int) -> float:
    """Return the share of the variance of a pair that is left against the median of so many."""
    return (1 + math.pi / 2 / count) / 2


def _chance(rows: Rows, floor: float) -> float:
    """Return the variance that chance gives to it where events come at random moments (Poisson): also where by
    chance no neighbour had one, so that they are all alike."""
    seen = [
        max(found, floor) * sum(part.over for part in row if part)
        for row in rows.values()
        if (found := level(row, range(len(row)))) is not None
    ]
    return 2 * _against_median(len(rows)) / median(seen) if seen else 0.0
