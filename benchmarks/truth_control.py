"""Records of links of which it is known whether they were under control all the time: for `no_bypass`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import permutations
from random import Random

from benchmarks.truth_records import Case, cases, some_net
from stressnet.making import BEGUN, END, Making
from stressnet.record.rows import LinkSample

_SIZES = (2, 4, 8)
_EVERY_S = 5.0
Link = tuple[str, str]
Packets = Mapping[Link, tuple[float, int]]
"""By link: from when on so many packets are counted that tried to get around control."""


def _linked(random: Random, *, faults: bool = True, problem: str = "") -> Making:
    """Links that carry packets, of which faults drop some."""
    made = some_net(random, _SIZES)
    made.event(0, "control", problem=problem, streams="", relays=2, bypassed={})
    for _ in range(random.randint(1, 3) if faults else 0):
        begun = random.uniform(21, 50)
        kind = random.choice(("drop", "latency", "partition"))
        made.fault(kind, begun, begun + random.uniform(0.5, 9), links=[_some_link(random, made)])
    return made


def _some_link(random: Random, made: Making) -> Link:
    one, other = random.sample(list(made.looks), 2)
    return one, other


def _counted(random: Random, made: Making, before: Packets, around: Packets) -> Making:
    """Tell of each link when it had carried something new; some begin late, and some are quiet for long."""
    for link in permutations(made.looks, 2):
        begins, rate = random.uniform(-60, 60), math.exp(random.uniform(-4, 3))
        had, carried, dropped, at = before.get(link, (0.0, 0))[1], 0, 0, random.uniform(0, _EVERY_S)
        told: tuple[int, int] | None = None
        while at < END + _EVERY_S:
            since, more = around.get(link, (math.inf, 0))
            seen = had + (more if at >= since else 0)
            carried = max(carried, int(rate * (at - begins)), seen)
            dropped += random.random() < 0.1
            if carried and told != (carried, seen):
                told = (carried, seen)
                row = LinkSample(BEGUN + at, *link, carried, 200 * carried, 1, min(dropped, carried), seen)
                made.links.append(row)
            at += _EVERY_S
    made.links.sort(key=lambda row: row.at)
    return made


def _before(random: Random, made: Making) -> Packets:
    """Let packets have tried it before the run, on a net that was up."""
    links = random.sample(list(permutations(made.looks, 2)), random.randint(1, 2))
    found = {link: (0.0, random.randint(1, 500)) for link in links}
    made.events = [event for event in made.events if event["event"] != "control"]
    said = {f"{source} > {target}": count for (source, target), (_, count) in found.items()}
    made.event(0, "control", problem="", streams="", relays=2, bypassed=said)
    return found


def _plain(random: Random) -> Making:
    return _counted(random, _linked(random, faults=random.random() < 0.7), {}, {})


def _before_the_run(random: Random) -> Making:
    made = _linked(random)
    return _counted(random, made, _before(random, made), {})


def _no_control_wanted(random: Random) -> Making:
    """Links are not under control, and no fault is put on."""
    return _counted(random, _linked(random, faults=False, problem="there is no nft"), {}, {})


def _around(random: Random) -> Making:
    made = _linked(random, faults=random.random() < 0.7)
    around = {_some_link(random, made): (random.uniform(0, END), random.choice((1, 2, 3, 100)))}
    return _counted(random, made, {}, around)


def _more_than_before(random: Random) -> Making:
    """Links that had some before the run, and others, count more in it."""
    made = _linked(random)
    before = _before(random, made)
    link = random.choice((*before, _some_link(random, made)))
    around = {link: (random.uniform(0, END), random.choice((1, 2, 3, 100)))}
    return _counted(random, made, before, around)


def _no_control(random: Random) -> Making:
    return _counted(random, _linked(random, problem="there is no nft"), {}, {})


def _changed(random: Random) -> Making:
    """Somebody else changes rules or queues at any moment, with a fault on or not, and puts them back."""
    made = _linked(random, faults=random.random() < 0.7)
    what = random.choice(("rules", "queues"))
    made.event(random.uniform(0, END), "control changed", what=what, times=random.randint(1, 4))
    return _counted(random, made, {}, {})


def _cases() -> Iterator[Case]:
    yield from cases(
        "no_bypass",
        "pass",
        {
            "under control": _plain,
            "packets before the run": _before_the_run,
            "no control, no faults": _no_control_wanted,
        },
    )
    yield from cases(
        "no_bypass",
        "not pass",
        {
            "packets around": _around,
            "more than before the run": _more_than_before,
            "no control, but faults": _no_control,
            "changed by somebody else": _changed,
        },
    )


CASES = tuple(_cases())
