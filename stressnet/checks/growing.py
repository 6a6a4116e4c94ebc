"""Whether figures of nodes go on growing within a phase: by their trends, held together over all nodes.

Each life of a node's process is looked at by itself. Many series are: one that grows alone must be surer than several
nodes of which each would be sure enough by itself. How often that is wrong is measured by `benchmarks/truth_series.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb
from statistics import median
from typing import Literal, get_args

from stressnet.checks import trend as trends
from stressnet.checks.figures import FIGURES, Figure, Life, followed, known, lives, peers, per_block
from stressnet.checks.kendall import Points
from stressnet.checks.shape import Shape, shape
from stressnet.checks.trend import LEAST_SAMPLES, WARM_UP, Trend, settled
from stressnet.record.record import Phase, Record

Part = Literal["timeline", "observe", "joined"]
PARTS: tuple[Part, ...] = get_args(Part)
CONFIDENCE = 0.99
_VOTE = 0.95
_WRONG = 0.05
"""How often the vote of a node is wrong, at worst: a saw-tooth as slow as a block of the trend."""
_ALARMS = 0.01
_LEAST_CORES = 0.25
"""Of less CPU than that, shares are taken of that: in steps of 10 ms, a percentage of next to nothing is noise."""

Said = Literal["growth", "none", "undecided", "too short"]


@dataclass(frozen=True)
class Series:
    """One figure in one life of a node in one phase, and what its trend says by itself."""

    figure: Figure
    life: Life
    part: Part
    points: Points
    threshold: float
    """A second."""
    usual: float
    """Of CPU, how much it was at the beginning, of which the threshold is a share; 1 for others."""
    by_block: bool
    """Of CPU: what a block took, not what a second did."""
    trend: Trend | None
    """None: there are too few samples."""

    def grows(self, confidence: float) -> bool:
        """Tell whether it goes on growing by more than the threshold."""
        if self.trend is None or self.trend.slope <= self.threshold:
            return False
        found = trends.trend(self.points, confidence=confidence)
        return found is not None and trends.growth(found, self.threshold) == "growth"

    @property
    def stays(self) -> bool:
        """Tell whether it grows by less, or has but changed its level and is flat since."""
        if self.trend is None or self.trend.high <= self.threshold:
            return self.trend is not None
        found = trends.trend(self.points, confidence=_VOTE)
        return found is not None and (found.high <= self.threshold or self._flat_since_a_step(found.late))

    def _flat_since_a_step(self, late: float) -> bool:
        if self.step is None:
            return False
        since = self.step.end or self.step.begin or 0.0
        return late <= self.threshold or (
            trends.highest_slope_since(self.points, since, _VOTE) <= self.threshold
        )

    @cached_property
    def step(self) -> Shape | None:
        """Its change after the warm-up, where that is a step or a spike."""
        found = shape(settled(self.points))
        return found if found is not None and found.form in ("step", "spike") else None

    @property
    def works_more(self) -> bool:
        """Tell whether the node got more peers meanwhile, of which each costs something."""
        third = max(1, len(self.life.looks) // 3)
        first, last = peers(self.life.looks[:third]), peers(self.life.looks[-third:])
        return first is not None and last is not None and last > first


def phase_of(record: Record, part: Part) -> Phase | None:
    """Return a phase that is over; None before: who looks at a trend again and again sees one where there is none."""
    timeline, observe = record.phases.get("timeline"), record.phases.get("observe")
    if timeline is None or not (observe or record.over):
        return None
    if part == "timeline":
        return timeline
    if not record.over or (part == "observe" and observe is None):
        return None  # of a night as a whole there is the timeline alone
    return observe if part == "observe" else Phase(part, timeline.begun, (observe or timeline).ended)


def all_series(
    record: Record, names: Sequence[str], part: Part, thresholds: Mapping[str, float]
) -> Iterator[Series]:
    """Yield the series of all figures that are known, with thresholds a second (of CPU, shares of what it was)."""
    phase = phase_of(record, part)
    if phase is None:
        return
    for word, threshold in thresholds.items():
        for name in names:
            if known(record, name, FIGURES[word]):
                for life in _watched(record, name, phase):
                    yield _series(record, life, FIGURES[word], part, threshold)


def _watched(record: Record, name: str, phase: Phase) -> list[Life]:
    """Return the lives that are long enough for a trend, or the longest: one that was cut short tells nothing."""
    found = lives(record, name, phase.begun, phase.ended)
    least = LEAST_SAMPLES / (1 - WARM_UP)
    enough = [life for life in found if len(life.looks) >= least]
    return enough or sorted(found, key=lambda life: len(life.looks))[-1:]


def _series(record: Record, life: Life, figure: Figure, part: Part, threshold: float) -> Series:
    points, usual, by_block = followed(record, life, figure), 1.0, False
    if figure.unit == "cores":
        blocks = per_block(life)
        points, by_block = blocks or points, bool(blocks)
        usual = _usual(points, _LEAST_CORES * (_block_s(life) if by_block else 1.0))
    found = trends.trend(points, confidence=CONFIDENCE)
    return Series(figure, life, part, points, threshold * usual, usual, by_block, found)


def _usual(points: Points, least: float) -> float:
    warm_up = [value for _, value in points[: max(1, round(WARM_UP * len(points)))]]
    return max(median(warm_up), least) if warm_up else least


def _block_s(life: Life) -> float:
    heights = [row.height for row in life.looks if row.height is not None]
    return (life.ended - life.begun) / max(1, heights[-1] - heights[0])


def said(series: Sequence[Series]) -> list[Said]:
    """Say of each series whether it grows.

    It does where it is sure of it although so many were looked at (Bonferroni), or where so many nodes are, each at
    95 %, that chance would hardly agree. A node that got more peers meanwhile is not said to grow.
    """
    watched: dict[tuple[str, str], set[str]] = {}
    votes: dict[tuple[str, str], set[str]] = {}
    for one in series:
        watched.setdefault(_kin(one), set()).add(one.life.node)
        if one.grows(_VOTE) and not one.works_more:
            votes.setdefault(_kin(one), set()).add(one.life.node)
    alone = 1 - (1 - CONFIDENCE) / max(1, len(series))
    elected = {kin for kin, nodes in votes.items() if len(nodes) >= enough_votes(len(watched[kin]))}
    return [_word(one, _VOTE if _kin(one) in elected else alone) for one in series]


def _kin(one: Series) -> tuple[str, str]:
    return one.figure.name, one.part


def _word(one: Series, confidence: float) -> Said:
    if one.trend is None:
        return "too short"
    if one.grows(confidence):
        return "undecided" if one.works_more else "growth"
    return "none" if one.stays else "undecided"


def enough_votes(nodes: int) -> int:
    """Return how many of the nodes must say the same, two at least, for chance to do so in fewer than 1 % of cases."""

    def by_chance(votes: int) -> float:
        return sum(comb(nodes, k) * _WRONG**k * (1 - _WRONG) ** (nodes - k) for k in range(votes, nodes + 1))

    return next(votes for votes in range(2, nodes + 3) if by_chance(votes) <= _ALARMS)
