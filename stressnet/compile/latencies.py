"""The matrix of latencies between regions."""

from __future__ import annotations

from stressnet.errors import Problem
from stressnet.plan import Latency
from stressnet.spec.load import Loaded
from stressnet.spec.words import listing, nearest


def latencies_of(loaded: Loaded, problems: list[Problem]) -> tuple[Latency, ...]:
    """Return both directions of every pair that is given; one that is not given is like the other."""
    regions = loaded.topology.regions
    matrix: dict[tuple[str, str], tuple[float, float]] = {}
    for source, targets in regions.items():
        for target, latency in targets.items():
            path = ("regions", source, target)
            if target == source:
                problems.append(
                    loaded.source.problem(path, "a latency to itself", "another region", key=True)
                )
            elif target not in regions:
                found, near = f"unknown region {target!r}", nearest(target, regions)
                problems.append(loaded.source.problem(path, found, listing(regions), near, key=True))
            else:
                matrix[source, target] = latency
    for (source, target), latency in list(matrix.items()):
        matrix.setdefault((target, source), latency)
    return tuple(Latency(*pair, *matrix[pair]) for pair in sorted(matrix))
