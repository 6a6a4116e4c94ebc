"""Heights over time: when a node made progress, how far it was behind, and whether it could know better."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from stressnet.record.record import Record, Span
from stressnet.record.rows import NodeSample

STEP_S = 0.5
"""Between two moments at which heights are compared."""
IN_STEP = 2
"""Blocks that a node may be behind the highest and count as in step: a block takes its time to travel."""


@dataclass(frozen=True)
class Heights:
    """The heights of all nodes at the moments of common looks; None where a node does not run or has not said."""

    times: Sequence[float]
    nodes: dict[str, list[int | None]]
    _ranked: list[list[int]] = field(init=False, repr=False)
    """At each moment, the greatest first: who is ahead of whom is asked of all nodes at all moments."""

    def __post_init__(self) -> None:
        ranked = [
            sorted((row[place] for row in self.nodes.values() if row[place] is not None), reverse=True)  # type: ignore[type-var]
            for place in range(len(self.times))
        ]
        object.__setattr__(self, "_ranked", ranked)

    def highest(self, place: int) -> int | None:
        """Return the greatest height at a moment."""
        return next(iter(self._ranked[place]), None)

    def are_ahead(self, name: str, place: int, count: int) -> bool:
        """Tell whether so many nodes are out of step ahead of a node at a moment."""
        own, ranked = self.nodes[name][place], self._ranked[place]
        return own is not None and len(ranked) >= count and ranked[count - 1] > own + IN_STEP

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

    def ahead_from(self, name: str, other: str, first: int, by: int = IN_STEP) -> int:
        """Return the first place from this one on at which another node is more than so many blocks ahead of a node."""
        own, row = self.nodes[name], self.nodes[other]
        return next(
            place
            for place in range(first, len(row))
            if (mine := own[place]) is not None and (height := row[place]) is not None and height > mine + by
        )

    def lag(self, name: str, place: int) -> int | None:
        """Return how far a node is behind the highest."""
        own, most = self.nodes[name][place], self.highest(place)
        return None if own is None or most is None else most - own

    def place(self, at: float) -> int | None:
        """Return the place of the moment at or before a time; None where there is none."""
        found = bisect_right(self.times, at) - 1
        return found if found >= 0 else None


def heights(record: Record, step_s: float = STEP_S) -> Heights:
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


def between(span: Span, one: str, other: str) -> bool:
    """Tell whether a fault is on either of two nodes itself, or on a link between them."""
    return bool({one, other} & set(span.fault.nodes)) or any(
        {one, other} == set(link) for link in span.fault.links
    )


def in_reach(record: Record, seen: Heights, name: str, place: int, by: int) -> list[str]:
    """Return who is more than so many blocks ahead of a node, with no fault on either or between them."""
    on = [span for span in record.faults if span.on_at(seen.times[place])]
    return [
        other for other in seen.ahead(name, place, by) if not any(between(span, name, other) for span in on)
    ]


def ended(record: Record) -> list[str]:
    """Return the nodes that had ended when they were last looked at."""
    return [name for name, rows in record.nodes.items() if rows and rows[-1].state == "exited"]


def unasked(record: Record) -> list[str]:
    """Return the nodes of which there is no height to be had: their kind has no probe for it, or they were not
    started yet."""
    return [
        name
        for name, rows in record.nodes.items()
        if record.plan.node(name).height is None
        or (rows and all(row.state in ("held", "waiting", "absent") for row in rows))
    ]
