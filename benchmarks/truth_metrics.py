"""Records of nodes that tell series, of which it is known whether they keep to a bound: for `metric`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from benchmarks.truth_records import Case, Filed, poisson, some_net
from stressnet.making import BEGUN, END, OBSERVE, Making, healthy

GAUGE, COUNTER = "syncnode_tasks", "syncnode_requests_total"
EVERY_S = 2.0
"""Between two looks at a node's series, at moments of its own."""
FOR_S = 6.0
MOST, RATE, RISE = 50, 5, 40
_LOST = 0.02

Value = Callable[[float], float | None]
Times = list[tuple[float, float]]


@dataclass(slots=True)
class Life:
    """When a node does not run: it is started anew after it, and its counters with it."""

    ended: float = math.inf
    begun: float = math.inf

    def runs(self, at: float) -> bool:
        return not self.ended <= at < self.begun


def _net(random: Random) -> Filed:
    """A net whose series are looked at every 2 s."""
    made = some_net(random)
    made.plan = replace(made.plan, sampling=replace(made.plan.sampling, every_s=0.5, closely_s=EVERY_S))
    return made


def tell(
    random: Random,
    made: Making,
    name: str,
    series: str,
    value: Value,
    every: float = EVERY_S,
    lost: float = _LOST,
) -> None:
    """Let a node tell a series at moments of its own, one in 50 left out; of some it has two labels."""
    labels = ('{way="in"}', '{way="out"}') if random.random() < 0.3 else ("",)
    at = random.uniform(0, every)
    while at <= END:
        found = value(at)
        if found is not None and random.random() >= lost:
            for number, label in enumerate(labels):
                part = found // 2 if number else found - found // 2 * (len(labels) - 1)
                made.metrics.append((BEGUN + at, name, f"{series}{label}", part))
        at += every + random.uniform(-0.05, 0.05)


def _looks(made: Making, name: str, life: Life) -> None:
    def look(at: float) -> dict[str, object]:
        if not life.runs(at):
            return {"state": "absent", "pid": 0, "starts": 1}
        again = at >= life.begun
        return {**(healthy(at) or {}), "starts": 1 + again, "pid": 100 + again}

    made.looks[name] = look


def some_life(random: Random, soonest: float = 22.0, latest: float = 90.0) -> Life:
    ended = random.uniform(soonest, latest)
    return Life(ended, ended + random.choice((random.uniform(0.2, 1), random.uniform(1, 6))))


def counter(random: Random, rates: Callable[[float], float], life: Life, late: bool) -> Value:
    """Events at random moments; `late`: it is not there before it counts."""
    step, at, events = 0.1, -60.0, list[float]()
    while at < END:
        if life.runs(at):
            events += [at] * poisson(random, rates(at) * step)
        at += step

    def value(at: float) -> float | None:
        if not life.runs(at):
            return None
        since = life.begun if at >= life.begun else -math.inf
        count = bisect_right(events, at) - bisect_right(events, since)
        return None if late and not count else float(count)

    return value


# Gauges.


def _gauges(random: Random, beyond: Times, lost: float = _LOST, least: bool = False) -> Making:
    """Tasks of nodes at work; one has too many, or too few, in these times."""
    made = _net(random)
    one = random.choice(list(made.looks))
    for name in made.looks:
        usual, life = random.uniform(8, 25), Life()
        if random.random() < 0.2:
            life = some_life(random)
        if name == one:
            life = Life()
        _looks(made, name, life)
        amount = random.uniform(0, 2) if least else random.uniform(1.05, 10) * MOST

        def value(
            at: float, name: str = name, usual: float = usual, life: Life = life, amount: float = amount
        ) -> float | None:
            if not life.runs(at):
                return None
            if name == one and any(begun <= at < ended for begun, ended in beyond):
                return round(amount)
            return round(usual + random.uniform(-4, 15))

        tell(random, made, name, GAUGE, value, lost=lost if name == one else _LOST)
    return made


def _peaks(random: Random) -> Times:
    """Each shorter than `for`, and far enough from the next."""
    found, at = [], random.uniform(40, 62)
    while at < END:
        ended = at + random.uniform(0.5, FOR_S - 0.5)
        found.append((at, ended))
        at = ended + random.uniform(4 * EVERY_S, 20)
    return found


def _long(random: Random) -> Times:
    begun = random.uniform(OBSERVE - 5, 82)
    return [(begun, max(begun, OBSERVE) + random.uniform(FOR_S + 4 * EVERY_S, 30))]


def _short_peaks(random: Random) -> Making:
    return _gauges(random, _peaks(random))


def _other_phases(random: Random) -> Making:
    begun = random.uniform(0, 45)
    return _gauges(random, [(begun, random.uniform(begun + 5, OBSERVE + FOR_S - 1))])


def _peaks_around_silence(random: Random) -> Making:
    """Nobody knows what was between two short times."""
    begun = random.uniform(63, 75)
    silent = (begun + random.uniform(1, 4), begun + random.uniform(14, 20))
    made = _gauges(random, [(begun, silent[0]), (silent[1], silent[1] + random.uniform(1, 4))], lost=0.0)
    made.metrics = [one for one in made.metrics if not silent[0] <= one[0] - BEGUN < silent[1]]
    return made


def _few_for_a_moment(random: Random) -> Making:
    return _gauges(random, _peaks(random), least=True)


def _too_many(random: Random) -> Making:
    return _gauges(random, _long(random))


def _too_many_with_holes(random: Random) -> Making:
    """One look in ten has no answer."""
    begun = random.uniform(OBSERVE, 70)
    return _gauges(random, [(begun, math.inf)], lost=0.1)


def _too_few(random: Random) -> Making:
    return _gauges(random, _long(random), least=True)


# Counters.


def _counters(
    random: Random,
    usual: tuple[float, float],
    burst: tuple[float, float, float] = (0.0, 0.0, 0.0),
    anew: tuple[float, float] | None = None,
    only: bool = False,
) -> Making:
    """Nodes that count; one does so many a second in a burst (begun, ended, rate), and of some nothing is counted
    before. `anew`: when the one is started anew. `only`: of the one nothing is counted but the burst."""
    made = _net(random)
    one = random.choice(list(made.looks))
    for name in made.looks:
        rate = random.uniform(*usual)
        life = some_life(random, 62, 92) if random.random() < 0.5 else Life()
        if name == one and burst[2]:
            life = some_life(random, *anew) if anew else random.choice((Life(), some_life(random, 22, 55)))
        begins = random.uniform(15, 80) if not only and rate < 1 and random.random() < 0.3 else -math.inf
        if only and name == one:
            begins = math.inf
        _looks(made, name, life)

        def rates(at: float, name: str = name, rate: float = rate, begins: float = begins) -> float:
            if name == one and burst[0] <= at < burst[1]:
                return burst[2]
            return rate if at >= begins else 0.0

        late = only or random.random() < 0.5
        tell(random, made, name, COUNTER, counter(random, rates, life, late))
        tell(random, made, name, GAUGE, lambda at, life=life: 9.0 if life.runs(at) else None)
    return made


def _quiet(random: Random) -> Making:
    return _counters(random, (0.05, 0.5))


def _busy_before(random: Random) -> Making:
    """Much is counted before the phase, and little in it."""
    begun = random.uniform(15, 35)
    return _counters(random, (0.05, 0.5), (begun, begun + random.uniform(5, 20), 9.0))


def _burst(random: Random) -> Making:
    begun = random.uniform(OBSERVE, 85)
    return _counters(random, (0.05, 0.5), (begun, begun + random.uniform(8, 15), random.uniform(9, 30)))


def _busy(random: Random) -> Making:
    return _counters(random, (2.5, 4))


def _restarted(random: Random) -> Making:
    """One is busy all the time, and started anew in the phase."""
    return _counters(random, (0.05, 0.5), (-60, END, random.uniform(2.5, 4)), anew=(62, 92))


def _first_burst(random: Random) -> Making:
    """The first that it ever counts are more than it may."""
    begun, rate = random.uniform(OBSERVE + 3, 85), random.uniform(18, 25)
    return _counters(random, (0.05, 0.3), (begun, begun + random.uniform(4, 8), rate), only=True)


def _cases() -> Iterator[Case]:
    most = {"name": GAUGE, "at_most": MOST, "for": f"{FOR_S:g}s"}
    least = {"name": GAUGE, "at_least": 3, "for": f"{FOR_S:g}s"}
    rate = {"name": COUNTER, "take": "rate", "at_most": RATE}
    rise = {"name": COUNTER, "take": "rise", "at_most": RISE}
    enough = {"name": COUNTER, "take": "rise", "at_least": RISE}
    yield Case("metric", "short peaks", "pass", _short_peaks, most)
    yield Case("metric", "peaks in other phases", "pass", _other_phases, most)
    yield Case("metric", "short peaks around silence", "pass", _peaks_around_silence, most)
    yield Case("metric", "too few for a moment", "pass", _few_for_a_moment, least)
    yield Case("metric", "rate, restarts", "pass", _quiet, rate)
    yield Case("metric", "rise, much before the phase", "pass", _busy_before, rise)
    yield Case("metric", "rise, enough", "pass", _busy, enough)
    yield Case("metric", "too many", "fail", _too_many, most)
    yield Case("metric", "too many, one look in ten lost", "fail", _too_many_with_holes, most)
    yield Case("metric", "too few", "fail", _too_few, least)
    yield Case("metric", "rate, burst", "fail", _burst, rate)
    yield Case("metric", "rise, burst", "fail", _burst, rise)
    yield Case("metric", "rise, restarted in the phase", "fail", _restarted, rise)
    yield Case("metric", "rise, too little", "fail", _quiet, enough)
    yield Case("metric", "rise, a first burst", "fail", _first_burst, rise)


CASES = tuple(_cases())
