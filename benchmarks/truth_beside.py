"""Records of canaries beside their neighbours, of which it is known whether they differ: made by chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.truth_records import MIB, Case, poisson, some_net
from stressnet.making import END, STEP_S, Making, Sampled

SIZES = (5, 6, 8)
"""Nodes of a net: two canaries, and three, four or six neighbours."""
CANARIES = ("n-1", "n-2")
STREAMS, DISCOVERIES = "syncnode_open_streams", "hmy_stream_discover"
FIGURES = ("cpu", "memory", "fds", "streams", "opens", "discoveries")
"""In which a canary may differ."""
COUNT = int(END / STEP_S) + 1
_SETTLED = int(20 / STEP_S)


@dataclass(frozen=True, slots=True)
class Story:
    """What happens in a record, beside chance."""

    times: float = 1.0
    """So many times as much of one figure has a canary, or both."""
    apart: tuple[float, float] = (0.01, 0.15)
    """How far apart nodes are that run the same: standard deviation of the logarithm, drawn for each figure."""
    lingers: float = 0.0
    """Correlation of noise with that of the look before (AR(1)); its standard deviation is 0.4."""
    busier: bool = False
    """All nodes together do twice to five times as much for a while."""
    odd: bool = False
    """A neighbour has 2.5 times as much of all."""
    warm: bool = False
    """All begin with little, and come to their levels after times of their own."""
    rare: bool = False
    """Connection attempts and discoveries come once in 10 to 100 s."""
    stuck: bool = False
    """A canary stands still from some moment of the timeline on."""
    restart: bool = False
    """A canary is started anew."""


def make(random: Random, story: Story) -> Making:
    """Make a record of a story."""
    made = some_net(random, SIZES)
    levels = _levels(random, story)
    apart = {figure: random.uniform(*story.apart) for figure in FIGURES}
    who = random.choice((CANARIES, CANARIES[:1], CANARIES[1:]))
    figure, odd = random.choice(FIGURES), random.choice([name for name in made.looks if name not in CANARIES])
    load, chain = _load(random, story), _chain(random)
    stops = {random.choice(who): random.randint(_SETTLED, _SETTLED + 60)} if story.stuck else {}
    restarts = {random.choice(who): random.uniform(25, 60)} if story.restart else {}
    for name in made.looks:
        own = {word: level * math.exp(random.gauss(0, apart[word])) for word, level in levels.items()}
        if name in who:
            own[figure] *= story.times
        if story.odd and name == odd:
            own = {word: 2.5 * level for word, level in own.items()}
        node = _Node(random, story, own, load)
        made.looks[name] = node.look(chain, stops.get(name, COUNT), restarts.get(name, math.inf))
        made.series(name, STREAMS, node.streams)
        made.series(name, DISCOVERIES, node.discoveries)
    return made


def _levels(random: Random, story: Story) -> dict[str, float]:
    """Well above the amounts of which multiples are taken, but where events are rare."""
    events = (0.01, 0.1) if story.rare else (0.4, 3.0)
    return {
        "cpu": random.uniform(0.05, 0.3),
        "memory": random.uniform(40, 150),
        "fds": random.uniform(25, 150),
        "streams": random.uniform(8, 40),
        "opens": random.uniform(*events),
        "discoveries": random.uniform(*events),
    }


def _load(random: Random, story: Story) -> list[float]:
    """Return how much more than usual the net does, look by look."""
    if not story.busier:
        return [1.0] * COUNT
    begun, lasts, times = random.uniform(20, 80), random.uniform(5, 50), random.uniform(2, 5)
    return [times if begun <= number * STEP_S < begun + lasts else 1.0 for number in range(COUNT)]


def _chain(random: Random) -> list[int]:
    mean = random.uniform(0.3, 1.0)
    heights, height, due = [], 0, random.expovariate(1 / mean)
    for number in range(COUNT):
        while due <= number * STEP_S:
            height, due = height + 1, due + random.expovariate(1 / mean)
        heights.append(height)
    return heights


class _Node:
    """One node over time."""

    def __init__(self, random: Random, story: Story, own: dict[str, float], load: list[float]) -> None:
        self._random = random
        self._noise = {word: _noise(random, story) for word in ("cpu", "memory", "fds", "streams")}
        self._own, self._load = own, load
        self._warm = random.uniform(5, 25) if story.warm else 0.0
        self._discovered = self._events("discoveries")

    def look(self, chain: list[int], stops: int, restart: float) -> Callable[[float], Sampled]:
        """Return how the agent sees it."""
        behind, random = self._random.randint(0, 2), self._random
        opens, cpu, used = self._events("opens"), 0.0, 0
        seen: list[dict[str, Any]] = []
        for number in range(COUNT):
            anew = restart <= number * STEP_S < restart + 3
            if anew and number * STEP_S < restart + STEP_S:
                cpu, used = 0.0, opens[number]
            cpu += STEP_S * (0.9 if anew else self._level("cpu", number) * random.gammavariate(4, 0.25))
            seen.append(
                {
                    "height": max(0, chain[min(max(0, number - behind), stops)]),
                    "cpu_s": round(cpu, 2),
                    "rss_bytes": int(self._level("memory", number) * MIB),
                    "fds": round(self._level("fds", number)),
                    "sockets": round(self._level("fds", number) / 2),
                    "threads": 5,
                    "opens": opens[number] - used,
                    "starts": 1 + (number * STEP_S >= restart),
                    "pid": 100 + (number * STEP_S >= restart),
                }
            )
        return lambda at: seen[int(at / STEP_S)]

    def streams(self, at: float) -> float:
        """Return what its metric says."""
        return round(self._level("streams", int(at / STEP_S)))

    def discoveries(self, at: float) -> float:
        """Return what its metric says."""
        return self._discovered[int(at / STEP_S)]

    def _level(self, word: str, number: int) -> float:
        warm = 1 - 0.8 * math.exp(-number * STEP_S / self._warm) if self._warm else 1.0
        work = self._load[number] if word in ("cpu", "streams") else 1.0
        return self._own[word] * warm * work * self._noise[word][number]

    def _events(self, word: str) -> list[int]:
        count, counts = 0, []
        for number in range(COUNT):
            count += poisson(self._random, STEP_S * self._own[word] * self._load[number])
            counts.append(count)
        return counts


def _noise(random: Random, story: Story) -> list[float]:
    """Return factors around 1, look by look."""
    if not story.lingers:
        return [math.exp(random.gauss(0, 0.1)) for _ in range(COUNT)]
    value, fresh, found = random.gauss(0, 1), math.sqrt(1 - story.lingers**2), []
    for _ in range(COUNT):
        value = story.lingers * value + fresh * random.gauss(0, 1)
        found.append(math.exp(0.4 * value))
    return found


_ALIKE = {
    "no difference": Story(),
    "the whole net busier": Story(busier=True),
    "one neighbour busier": Story(odd=True),
    "AR(1) 0.9": Story(lingers=0.9),
    "AR(1) 0.97": Story(lingers=0.97),
    "warm-up": Story(warm=True),
    "rare events": Story(rare=True),
    "far apart": Story(apart=(0.3, 0.3)),
    "canary restarted": Story(restart=True),
    "1.3 times": Story(times=1.3),
}
_UNLIKE = {
    "2.5 times": Story(times=2.5),
    "2.5 times, the whole net busier": Story(times=2.5, busier=True),
    "4 times": Story(times=4),
    "10 times": Story(times=10),
    "10 times, one neighbour busier": Story(times=10, odd=True),
    "10 times, AR(1) 0.97": Story(times=10, lingers=0.97),
    "canary stands still": Story(stuck=True),
}


def _cases() -> Iterator[Case]:
    asked = {"of": ", ".join(CANARIES)}
    for name, story in _ALIKE.items():
        yield Case("differs", name, "pass", lambda random, story=story: make(random, story), asked)
    for name, story in _UNLIKE.items():
        yield Case("differs", name, "fail", lambda random, story=story: make(random, story), asked)


CASES = tuple(_cases())
