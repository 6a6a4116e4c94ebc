"""Exact counters of nodes at rest: after everything is healed against before anything was done.

What is still open when the same work is done as before was not let go: a leak, and no statistics are needed. After the
quiescence check of Blink's leak detector, with a tolerance for what comes and goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stressnet.checks.figures import FIGURES, Figure, Life, counted, known, lives, peers
from stressnet.record.record import Phase, Record

AT_REST: Mapping[str, float] = {
    "fds": 5.0,
    "threads": 2.0,
    "sockets": 5.0,
    "streams": 2.0,
    "tasks": 5.0,
    "pending_requests": 5.0,
}
"""How many more are tolerated: nodes do small things at rest, too."""
REST = 0.5
"""Share of the phase after the faults in which nodes may still come to rest."""


@dataclass(frozen=True, slots=True)
class Rest:
    """One counter of one node, at rest twice."""

    node: str
    figure: Figure
    before: float
    """The most that it was in the baseline."""
    after: float
    """The least that it was at rest after everything."""
    allowed: float
    """What it was, times as many as there are more peers now."""
    tolerance: float

    @property
    def more(self) -> float:
        """By how much it is above what it may be."""
        return self.after - self.allowed

    @property
    def leaked(self) -> bool:
        """Tell whether that is more than is tolerated."""
        return self.more > self.tolerance


def at_rest(record: Record, names: Sequence[str], tolerances: Mapping[str, float]) -> list[Rest]:
    """Return what can be compared, in a record that is complete; nothing in any other."""
    baseline, observe = record.phases.get("baseline"), record.phases.get("observe")
    if baseline is None or observe is None or not record.over:
        return []
    rest = Phase("rest", observe.begun + REST * (observe.ended - observe.begun), observe.ended)
    return [one for name in names for one in _compared(record, name, baseline, rest, tolerances)]


def _compared(
    record: Record, name: str, baseline: Phase, rest: Phase, tolerances: Mapping[str, float]
) -> Iterator[Rest]:
    earlier = lives(record, name, baseline.begun, baseline.ended)[-1:]
    later = lives(record, name, rest.begun, rest.ended)[-1:]
    for before in earlier:
        for after in later:
            for word, tolerance in tolerances.items():
                if known(record, name, FIGURES[word]):
                    yield from _pair(record, before, after, FIGURES[word], tolerance)


def _pair(record: Record, before: Life, after: Life, figure: Figure, tolerance: float) -> Iterator[Rest]:
    then = [value for _, value in counted(record, before, figure)]
    now = [value for _, value in counted(record, after, figure)]
    if then and now:
        most = max(then)
        yield Rest(before.node, figure, most, min(now), most * _work(before, after), tolerance)


def _work(before: Life, after: Life) -> float:
    """Return how many times as many peers a node has as before, at least 1."""
    then, now = peers(before.looks), peers(after.looks)
    if then is None or now is None or now <= then:
        return 1.0
    return now / then if then else float("inf")
