"""Figures of nodes over the same moments, in blocks of time, so that each can be held beside those of others."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import fmean

from stressnet.checks.figures import FIGURES, WINDOW_S, Figure, Life, counted, known, lives
from stressnet.checks.kendall import Points
from stressnet.checks.progress import Heights, heights
from stressnet.record.record import Record

BLOCK_S = 5.0
"""At least: metrics are looked at every 2 s, and what happens once in a while is to be in each block."""
MOST_BLOCKS = 24
LEAST_BLOCKS = 6
"""That two nodes must have in common: of fewer nobody can say whether their noise lingers."""
_SETTLED_S = 2 * WINDOW_S
"""What a process that is started meanwhile takes to find its peers."""

Block = tuple[float, float]
"""(begun, ended), Unix times."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one figure of a node came to in one block: so much over so many seconds, or blocks gained."""

    amount: float
    over: float


Row = Sequence[Part | None]
"""A part for each block; None where the node was not seen in it from its beginning to its end."""


def blocks(record: Record, during: Sequence[str]) -> list[Block]:
    """Return blocks of about one length that fill the phases, none in two of them."""
    phases = [record.phases[word] for word in during if word in record.phases]
    length = max(BLOCK_S, sum(phase.ended - phase.begun for phase in phases) / MOST_BLOCKS)
    found = []
    for phase in phases:
        count = int((phase.ended - phase.begun) / length + 0.1)
        size = (phase.ended - phase.begun) / max(1, count)
        found += [(phase.begun + size * number, phase.begun + size * (number + 1)) for number in range(count)]
    return found


class Beside:
    """The figures of nodes of a record in blocks of time."""

    def __init__(self, record: Record, blocks: Sequence[Block]) -> None:
        """`blocks` are in the order of time, and one at least."""
        self._record = record
        self._blocks = blocks
        self._heights: Heights | None = None
        self._rows: dict[tuple[str, str], Row] = {}

    def row(self, figure: Figure, name: str) -> Row:
        """Return a figure of a node, block by block."""
        key = figure.name, name
        if key not in self._rows:
            self._rows[key] = self._read(figure, name)
        return self._rows[key]

    def _read(self, figure: Figure, name: str) -> Row:
        if figure.name == "cpu_per_block":
            spent, gained = self.row(FIGURES["cpu"], name), self.row(FIGURES["blocks"], name)
            return [
                Part(cpu.amount, made.amount) if cpu and made else None
                for cpu, made in zip(spent, gained, strict=True)
            ]
        if figure.name == "lag":
            return _levels(self._lag(name), self._blocks)
        found: list[Part | None] = [None] * len(self._blocks)
        for life in self._lives(name) if known(self._record, name, figure) else ():
            points = counted(self._record, life, figure)
            within = [self._within(life, block) for block in self._blocks]
            row = (_risen if figure.counter else _levels)(points, self._blocks)
            found = [
                part if inside and part else before
                for inside, part, before in zip(within, row, found, strict=True)
            ]
        return found

    def _lives(self, name: str) -> list[Life]:
        return lives(self._record, name, -inf, inf)

    def _within(self, life: Life, block: Block) -> bool:
        """Tell whether a process lived all through a block, and was not just started; looks come before and after."""
        first = self._blocks[0][0]
        since = life.begun + (_SETTLED_S if life.begun > first else 0.0)
        slack = (block[1] - block[0]) / 4
        return since <= block[0] + slack and life.ended >= block[1] - slack

    def _lag(self, name: str) -> Points:
        if self._heights is None:
            self._heights = heights(self._record)
        seen = self._heights
        lags = ((at, seen.lag(name, place)) for place, at in enumerate(seen.times))
        return [(at, float(lag)) for at, lag in lags if lag is not None]


def _levels(points: Points, blocks: Sequence[Block]) -> list[Part | None]:
    """Return the means of a level."""
    found: list[Part | None] = []
    for (begun, ended), inside in zip(blocks, _inside(points, blocks), strict=True):
        span = ended - begun
        found.append(Part(fmean(value for _, value in inside) * span, span) if inside else None)
    return found


def _inside(points: Points, blocks: Sequence[Block]) -> Iterator[Points]:
    times = [at for at, _ in points]
    for begun, ended in blocks:
        yield points[bisect_left(times, begun) : bisect_left(times, ended)]


def _risen(points: Points, blocks: Sequence[Block]) -> list[Part | None]:
    """Return how much a counter rose between the edges of blocks, so that nothing is lost between two of them."""
    times = [at for at, _ in points]
    found: list[Part | None] = []
    for begun, ended in blocks:
        known = (max(begun, times[0]), min(ended, times[-1])) if times else (begun, begun)
        if known[1] - known[0] < (ended - begun) / 2:
            found.append(None)
            continue
        rise = _at(points, times, known[1]) - _at(points, times, known[0])
        found.append(Part(max(0.0, rise), known[1] - known[0]))
    return found


def _at(points: Points, times: Sequence[float], at: float) -> float:
    """Return a counter at a time, as if it rose evenly between two looks."""
    place = bisect_right(times, at)
    if place == len(times):
        return points[-1][1]
    (begun, less), (ended, more) = points[max(place, 1) - 1], points[max(place, 1)]
    return less + (more - less) * (at - begun) / (ended - begun)


def level(row: Row, places: Sequence[int]) -> float | None:
    """Return what a figure was over these blocks, a second or a block gained; None where it has nothing to be over."""
    parts = [part for place in places if (part := row[place])]
    over = sum(part.over for part in parts)
    return sum(part.amount for part in parts) / over if over > 0 else None


def common(one: Row, other: Row) -> list[int]:
    """Return the places of the blocks in which both were seen."""
    return [place for place, pair in enumerate(zip(one, other, strict=True)) if pair[0] and pair[1]]


Rows = Mapping[str, Row]
"""By node."""
