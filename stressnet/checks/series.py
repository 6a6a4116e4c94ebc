"""Figures of one node over time that only rise while its process lives, and begin anew with the next."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from stressnet.record.record import Record
from stressnet.record.rows import NodeSample

Points = Sequence[tuple[float, float]]
"""(Unix time, value), in the order of time."""
Step = tuple[float, float, float]
"""(begun, ended, rise)."""
Steps = list[tuple[float, float]]
"""(monotonic end, figure) of steps between looks."""


def of_one_life(looks: Sequence[NodeSample]) -> Iterator[tuple[NodeSample, NodeSample]]:
    """Yield looks that follow each other while the same process of a node lives."""
    return (pair for pair in pairwise(looks) if pair[0].pid == pair[1].pid)


def in_lives(record: Record) -> Iterator[tuple[NodeSample, NodeSample]]:
    """Yield looks at all nodes that follow each other in one life of a node."""
    for looks in record.nodes.values():
        yield from of_one_life(looks)


def cpu_steps(record: Record) -> Steps:
    """Return the CPU seconds that nodes used from look to look, in order of time."""
    return sorted(
        (after.monotonic, max(0.0, after.cpu_s - before.cpu_s))
        for before, after in in_lives(record)
        if before.cpu_s is not None and after.cpu_s is not None
    )


def steps(points: Points, looks: Sequence[NodeSample]) -> Iterator[Step]:
    """Yield how much a figure rose between two looks; where the node was started in between, it counts from 0."""
    times = [look.at for look in looks]
    starts = [look.starts for look in looks]

    def before(at: float) -> int:
        place = bisect_right(times, at) - 1
        return starts[place] if place >= 0 else -1

    def after(at: float) -> int:
        """The figure of a node that has just been started may be read before the node itself is looked at."""
        return starts[min(bisect_left(times, at), len(times) - 1)] if times else -1

    for (begun, less), (ended, more) in pairwise(points):
        if ended > begun:
            anew = more < less and before(begun) != after(ended)
            yield begun, ended, more if anew else more - less


def risen(points: Points, looks: Sequence[NodeSample], since: float, until: float) -> float | None:
    """Return how much a figure rose in a time, from the last look before it; None where it was not seen twice."""
    inside = [rise for _, ended, rise in steps(points, looks) if since < ended <= until]
    return sum(inside) if inside else None


def windows(
    points: Points, looks: Sequence[NodeSample], seconds: float, since: float, until: float
) -> Iterator[tuple[float, float, float]]:
    """Yield (begun, ended, rise a second) of the windows of a length within a time, one ending at each look.

    A window lies within one life of the node, and begins a window after that life did: who starts has to find
    its peers.
    """
    for life in _lives(points, looks):
        first = 0
        settled = max(since, life[0][0] + seconds)
        for place, (ended, more) in enumerate(life):
            if ended > until:
                break
            while first + 1 <= place and life[first + 1][0] <= ended - seconds:
                first += 1
            begun, less = life[first]
            if begun >= settled and ended - begun >= seconds and more >= less:
                yield begun, ended, (more - less) / (ended - begun)


def _lives(points: Points, looks: Sequence[NodeSample]) -> list[list[tuple[float, float]]]:
    """Return the points of each life of a node's process."""
    times = [look.at for look in looks]
    found: list[list[tuple[float, float]]] = []
    last: int | None = None
    for at, value in points:
        place = bisect_right(times, at) - 1
        starts = looks[max(place, 0)].starts if looks else 0
        if starts != last:
            found.append([])
            last = starts
        found[-1].append((at, value))
    return found
