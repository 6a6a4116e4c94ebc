"""Graphs over n nodes, as sets of undirected edges between positions."""

from __future__ import annotations

import random
from collections.abc import Iterable

Edges = set[tuple[int, int]]

_SWAPS_PER_EDGE = 10
_MOST_SWAPS = 300_000


def edge(a: int, b: int) -> tuple[int, int]:
    """Return the one spelling of the edge between a and b."""
    return (a, b) if a < b else (b, a)


def full(n: int) -> Edges:
    """Join everyone with everyone."""
    return {(a, b) for a in range(n) for b in range(a + 1, n)}


def line(n: int) -> Edges:
    """Join each with the next."""
    return {(a, a + 1) for a in range(n - 1)}


def ring(n: int) -> Edges:
    """Join each with the next, and the last with the first."""
    return line(n) | ({(0, n - 1)} if n > 2 else set())


def star(n: int, centers: Iterable[int]) -> Edges:
    """Join everyone with every centre."""
    return {edge(a, b) for a in centers for b in range(n) if a != b}


def tree(n: int, fanout: int) -> Edges:
    """Join each with its parent, breadth first."""
    return {((child - 1) // fanout, child) for child in range(1, n)}


def random_regular(n: int, degree: int, dice: random.Random) -> Edges:
    """Join at random so that each has `degree` neighbours and all are connected.

    Starts from a circulant graph, which has both properties, and swaps pairs of edges, which keeps the
    first (the switch chain: Cooper, Dyer, Greenhill 2007); swaps on until the second holds again.
    Needs degree < n, n * degree even, and degree >= 2 for n > 2.
    """
    edges = sorted(circulant(n, degree))
    present = set(edges)
    while True:
        _swap(edges, present, min(_SWAPS_PER_EDGE * len(edges), _MOST_SWAPS), dice)
        if connected(n, edges):
            return present


def circulant(n: int, degree: int) -> Edges:
    """Join each with its nearest on a circle (and the opposite one if the degree is odd)."""
    steps = list(range(1, degree // 2 + 1)) + ([n // 2] if degree % 2 else [])
    return {edge(a, (a + step) % n) for a in range(n) for step in steps}


def _swap(edges: list[tuple[int, int]], present: Edges, times: int, dice: random.Random) -> None:
    """Replace edges a-b and c-d by a-d and c-b, where both are new."""
    count, toss = len(edges), dice.random
    for _ in range(times):
        i, j = int(toss() * count), int(toss() * count)
        (a, b), (c, d) = edges[i], edges[j]
        if toss() < 0.5:
            c, d = d, c
        if a in (c, d) or b in (c, d):
            continue
        one, two = edge(a, d), edge(c, b)
        if one in present or two in present:
            continue
        present -= {edges[i], edges[j]}
        present |= {one, two}
        edges[i], edges[j] = one, two


def connected(n: int, edges: Iterable[tuple[int, int]]) -> bool:
    """Tell whether everyone can reach everyone."""
    neighbours: list[list[int]] = [[] for _ in range(n)]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    seen, todo = {0}, [0]
    while todo:
        for other in neighbours[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return len(seen) == n
