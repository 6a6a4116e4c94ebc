"""Heights over time: when a node made progress, and how far it was behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from stressnet.record.record import Record
from stressnet.record.rows import NodeSample

IN_STEP = 2
"""Blocks that a node may be behind the highest and count as in step: a block takes its time to travel."""


@dataclass(frozen=True)
class Heights:
    """The heights of all nodes at the moments of common looks; None where a node does not run or has not said."""

    times: Sequence[float]
    nodes: dict[str, list[int | None]]

    @cached_property
    def _tops(self) -> Sequence[int | None]:
        columns = zip(*self.nodes.values(), strict=True)
        return [max((height for height in column if height is not None), default=None) for column in columns]

    def highest(self, place: int) -> int | None:
        """Return the greatest height at a moment."""
        return self._tops[place]

    def ahead(self, name: str, place: int, by: int = IN_STEP) -> list[str]:
        """Return who is more than so many blocks ahead of a node at a moment."""
        own = self.nodes[name][place]
        if own is None:
            return []
        return [
            other
            for other, row in self.nodes.items()
            if (height := row[place]) is not None and height > own + by
        ]

    def lag(self, name: str, place: int) -> int | None:
        """Return how far a node is behind the highest."""
        own, most = self.nodes[name][place], self.highest(place)
        return None if own is None or most is None else most - own


def heights(record: Record, step_s: float = 0.5) -> Heights:
    """Return the heights of nodes that run, at steps of this length; each holds until the next that is known."""
    seen = [row.at for rows in record.nodes.values() for row in rows]
    if not seen:
        return Heights((), {name: [] for name in record.nodes})
    begun = min(seen)
    times = [begun + step_s * number for number in range(int((max(seen) - begun) / step_s) + 1)]
    return Heights(times, {name: _held(rows, times) for name, rows in record.nodes.items()})


def _held(rows: Sequence[NodeSample], times: Sequence[float]) -> list[int | None]:
    found: list[int | None] = []
    last: int | None = None
    place = 0
    for at in times:
        while place < len(rows) and rows[place].at <= at:
            row = rows[place]
            if row.state not in ("ready", "starting"):
                last = None
            elif row.height is not None:
                last = row.height
            place += 1
        found.append(last)
    return found
