"""Faults drawn from a seed: the same seed gives the same faults, each with a seed of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

MOST = 10_000
"""Steps that are drawn at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One fault that may be drawn; ranges in SI, both ends equal where there is no choice."""

    place: int
    """Its place in the list of the file."""
    for_s: tuple[float, float]
    ranges: tuple[tuple[str, float, float], ...]
    """Name, least and most of each parameter that is a range."""
    weight: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """One fault that was drawn."""

    place: int
    begin_s: float
    for_s: float
    values: tuple[tuple[str, float], ...]
    seed: int
    """Decides whatever else of it is left to chance."""


def draw(choices: Sequence[Choice], begin_s: float, until_s: float, every_s: float, seed: int) -> list[Drawn]:
    """Return faults with exponential pauses between their beginnings, all over by `until_s`.

    Each takes its own random numbers from (seed, number), so that one more or less changes no other.
    """
    found: list[Drawn] = []
    at = begin_s
    for number in range(MOST):
        own = own_seed(seed, f"random-{number}")
        chance = random.Random(own)  # noqa: S311  # reproducible on purpose
        at += chance.expovariate(1 / every_s)
        if at >= until_s:
            break
        one = chance.choices(choices, [choice.weight for choice in choices])[0]
        for_s = min(chance.uniform(*one.for_s), until_s - at)
        values = tuple((name, chance.uniform(least, most)) for name, least, most in one.ranges)
        found.append(Drawn(one.place, round(at, 3), max(round(for_s, 3), 0.001), values, own))
    return found


def own_seed(seed: int, name: str) -> int:
    """Return the seed of one element, which no other element changes."""
    return int.from_bytes(sha256(f"{seed}:{name}".encode()).digest()[:7])
