"""What is said of each figure of nodes beside those of their neighbours: that it differs, does not, or may."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from stressnet.checks.beside import Beside, Block
from stressnet.checks.effect import Effect, effect, usual
from stressnet.checks.figures import FIGURES, Figure
from stressnet.checks.proportion import holm
from stressnet.record.record import Record

FLOORS: Mapping[str, float] = {
    "blocks": 0.02,
    "lag": 5.0,
    "cpu": 0.02,
    "cpu_per_block": 0.005,
    "memory": float(16 << 20),
    "fds": 10.0,
    "threads": 4.0,
    "sockets": 5.0,
    "streams": 4.0,
    "tasks": 10.0,
    "pending_requests": 5.0,
    "opens": 0.05,
    "discoveries": 0.02,
}
"""Of less than these, multiples are taken of these."""
Sort = Literal["worse", "better"]
SORTS: tuple[Sort, ...] = get_args(Sort)
Said = Literal["differs", "same", "unsure", "only reported"]
_WORSE: Mapping[str, frozenset[int]] = {"blocks": frozenset({-1}), "streams": frozenset({-1, 1})}
"""In which direction a figure is worse, where that is not up alone."""
_EVENTS = ("opens", "discoveries")
"""They come at random moments, and more often where `time_scale` makes the pauses of a protocol shorter."""
_LEAST_EVENTS = 20
"""In all the time: of fewer, chance makes twice as many."""
_WRONG = 0.01
"""How often a figure of any node may be called different by chance."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom to compare, over which blocks of time, and what matters."""

    record: Record
    canaries: Sequence[str]
    neighbours: Sequence[str]
    blocks: Sequence[Block]
    times: Mapping[str, float]
    """By figure that counts: so many times as much matters."""
    floors: Mapping[str, float]
    """Where they are not FLOORS."""
    sorts: Collection[Sort]

    @property
    def seconds(self) -> float:
        """How long they are compared."""
        return sum(ended - begun for begun, ended in self.blocks)

    def floor(self, figure: Figure) -> float:
        """Return the amount of which multiples are taken, where there is less."""
        if figure.name in self.floors:
            return self.floors[figure.name]
        if figure.name not in _EVENTS:
            return FLOORS[figure.name]
        scale = self.record.run.get("time_scale") or 1.0
        return max(FLOORS[figure.name] * scale, _LEAST_EVENTS / self.seconds)

    def counts(self, figure: Figure, log: float) -> bool:
        """Tell whether a figure that goes in this direction fails."""
        worse = (1 if log > 0 else -1) in _WORSE.get(figure.name, frozenset({1}))
        return ("worse" if worse else "better") in self.sorts


@dataclass(frozen=True, slots=True)
class Answer:
    """One figure of one node, and what is said of it."""

    figure: Figure
    effect: Effect
    floor: float
    times: float | None
    """So many times as much matters; None: it is only reported."""
    said: Said

    @property
    def small(self) -> bool:
        """Whether there is so little of it that multiples are taken of the floor."""
        return min(self.effect.own, self.effect.others) < self.floor


def answers(asked: Asked) -> list[Answer]:
    """Return an answer for each figure of each node that can be compared, in the order of FLOORS, then of nodes."""
    beside = Beside(asked.record, asked.blocks)
    found = [(FIGURES[word], one) for word in FLOORS for one in _effects(asked, beside, FIGURES[word])]
    tested = [place for place, (figure, _) in enumerate(found) if figure.name in asked.times]
    sure = holm([found[place][1].p for place in tested], _WRONG)
    rejected = {place for place, is_sure in zip(tested, sure, strict=True) if is_sure}
    return [
        Answer(
            figure,
            one,
            asked.floor(figure),
            asked.times.get(figure.name),
            _said(asked, figure, one, place in rejected),
        )
        for place, (figure, one) in enumerate(found)
    ]


def _effects(asked: Asked, beside: Beside, figure: Figure) -> Iterator[Effect]:
    rows = {name: row for name in asked.neighbours if any(row := beside.row(figure, name))}
    floor = asked.floor(figure)
    known = usual(rows, floor, figure.name in _EVENTS)
    for name in asked.canaries:
        found = effect(name, beside.row(figure, name), rows, floor, known)
        if found is not None:
            yield found


def _said(asked: Asked, figure: Figure, one: Effect, sure: bool) -> Said:
    """Say that it differs where it is sure that it does and it is by so much that it matters, and that it does not
    where it cannot be by so much."""
    if figure.name not in asked.times:
        return "only reported"
    bound = math.log(asked.times[figure.name])
    if sure and abs(one.log) >= bound and asked.counts(figure, one.log):
        return "differs"
    furthest = (one.log + one.reach, one.log - one.reach)
    may = any(abs(log) >= bound and asked.counts(figure, log) for log in furthest)
    return "unsure" if may else "same"
