"""Records of nets that follow a chain, of which it is known whether a node is stuck: for `stuck` and `recovery`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from benchmarks.truth_records import Case, Filed, cases, some_net
from stressnet.making import STEP_S, Making, Sampled

WINDOW_S, WITHIN_S = 15.0, 20.0


@dataclass(slots=True)
class Node:
    """How one node follows the chain."""

    delay_s: float
    rate: float = 50.0
    """Blocks a second that it catches up by."""
    stalls: list[tuple[float, float]] = field(default_factory=list)
    begins_s: float = 0.0
    down: tuple[float, float] = (math.inf, math.inf)
    silent: tuple[float, float] = (math.inf, math.inf)
    """When nobody can ask it."""
    peers: int = 3
    lost: tuple[float, float] = (math.inf, math.inf)
    """When it has no peers."""


@dataclass(slots=True)
class Chain:
    """A net that follows a chain whose blocks come at random moments."""

    random: Random
    making: Filed
    blocks: list[float]
    nodes: dict[str, Node]
    followed: dict[str, Followed] = field(default_factory=dict)
    """How they have followed, once it is made."""

    @property
    def one(self) -> str:
        """The node to which something happens."""
        return list(self.nodes)[-1]

    def made(self) -> Filed:
        """Let the nodes follow."""
        for name, node in self.nodes.items():
            self.followed[name] = Followed(self, node)
            self.making.looks[name] = self.followed[name].look
        return self.making


def some_chain(random: Random, sizes: tuple[int, ...] = (4, 8), halts: float = math.inf) -> Chain:
    """A net of a mean block time of 0.3 to 1 s, and a timeline from 20 to 60 s."""
    made = some_net(random, sizes)
    mean, at, blocks = random.uniform(0.3, 1.0), -20.0, []
    while at < 100:
        at += random.expovariate(1 / mean)
        if at < halts:
            blocks.append(at)
    nodes = {name: Node(random.uniform(0.0, 0.5)) for name in made.looks}
    return Chain(random, made, blocks, nodes)


class Followed:
    """The heights of one node, as it is asked every second or so."""

    def __init__(self, chain: Chain, node: Node) -> None:
        self._node = node
        step, height = 0.1, 0.0
        heights = []
        for number in range(int(100 / step) + 2):
            at = number * step
            target = bisect_right(chain.blocks, at - node.delay_s)
            stands = at < node.begins_s or any(begun <= at < ended for begun, ended in node.stalls)
            if node.down[0] <= at < node.down[1]:
                stands = True
            if not stands:
                height = min(float(target), height + node.rate * step) if number else float(target)
            if number == 0 and not node.begins_s and not stands:
                height = float(target)
            heights.append(int(height))
        self._heights = heights
        self._every = chain.random.choice((STEP_S, 2 * STEP_S))
        self._random = Random(chain.random.random())

    def height(self, at: float) -> int:
        """Return the height that it has."""
        return self._heights[min(max(0, int(at * 10)), len(self._heights) - 1)]

    def look(self, at: float) -> Sampled:
        """Return what is seen of it."""
        node = self._node
        if at < node.begins_s:
            return {"state": "held", "starts": 0, "pid": 0}
        if node.down[0] <= at < node.down[1]:
            return {"state": "absent", "pid": 0}
        if at % self._every or node.silent[0] <= at < node.silent[1] or self._random.random() < 0.02:
            return {"height": None}
        behind = self._random.uniform(0, 0.4)  # each is asked at a moment of its own
        place = max(0, int((at - behind) * 10))
        starts = 1 + (at >= node.down[1])
        peers = 0 if node.lost[0] <= at < node.lost[1] else node.peers
        return {"height": self._heights[place], "starts": starts, "pid": 99 + starts, "peers": peers}


def _plain(random: Random) -> Making:
    return some_chain(random, (1, 4, 8)).made()


def _short_stalls(random: Random) -> Making:
    chain = some_chain(random)
    for node in chain.nodes.values():
        if random.random() < 0.5:
            begun = random.uniform(12, 80)
            node.stalls.append((begun, begun + random.uniform(1, WINDOW_S - 3)))
    return chain.made()


def _slow_gainer(random: Random) -> Making:
    """It came late and is far behind, but gains all the time."""
    chain = some_chain(random)
    node = chain.nodes[chain.one]
    node.begins_s, node.rate = random.uniform(1, 30), random.uniform(2, 10)
    return chain.made()


def _cut_off(random: Random) -> Making:
    """A fault is on one node for longer than the window; then it catches up."""
    chain = some_chain(random)
    begun = random.uniform(21, 35)
    ended = begun + random.uniform(WINDOW_S, 60 - begun)
    chain.nodes[chain.one].stalls.append((begun, ended + random.uniform(0, 5)))
    chain.making.cut(chain.one, begun, ended)
    return chain.made()


def _paused(random: Random) -> Making:
    chain = some_chain(random)
    begun = random.uniform(21, 35)
    ended = begun + random.uniform(5, 24)
    node = chain.nodes[chain.one]
    node.stalls.append((begun, ended))
    node.silent = (begun, ended)
    chain.making.fault("pause", begun, ended, nodes=[chain.one], layer="node")
    return chain.made()


def _restarted(random: Random) -> Making:
    chain = some_chain(random)
    begun = random.uniform(21, 50)
    chain.nodes[chain.one].down = (begun, begun + random.uniform(0.5, 8))
    chain.making.fault("restart", begun, begun, nodes=[chain.one], layer="node", by="itself")
    return chain.made()


def _not_asked(random: Random) -> Making:
    """For a while nobody can ask a node, which goes on."""
    chain = some_chain(random)
    begun = random.uniform(12, 70)
    chain.nodes[chain.one].silent = (begun, begun + random.uniform(3, WINDOW_S - 3))
    return chain.made()


def _long_not_asked(random: Random) -> Making:
    """The same for longer than the window: it is not known whether it goes on, and it does."""
    chain = some_chain(random)
    begun = random.uniform(12, 55)
    chain.nodes[chain.one].silent = (begun, begun + random.uniform(WINDOW_S + 2, WINDOW_S + 12))
    return chain.made()


def after_a_cut(random: Random, **changes: Any) -> Chain:
    """A node is cut off, and does not go on when the cut is healed."""
    chain = some_chain(random)
    begun = random.uniform(21, 45)
    ended = random.uniform(begun + 2, 55)
    chain.making.cut(chain.one, begun, ended)
    chain.nodes[chain.one].stalls.append((begun, changes.get("until", math.inf)))
    return chain


def _sticky(random: Random) -> Making:
    return after_a_cut(random).made()


def _starved(random: Random) -> Making:
    chain = after_a_cut(random)
    chain.nodes[chain.one].lost = (20, math.inf)
    return chain.made()


def _sticky_beside_faults(random: Random) -> Making:
    """Faults go on and off on other nodes meanwhile."""
    chain = after_a_cut(random)
    others = [name for name in chain.nodes if name != chain.one]
    for _ in range(5):
        begun = random.uniform(21, 55)
        who = random.sample(others, 2)
        chain.making.fault(
            "latency", begun, begun + random.uniform(1, 4), links=[(who[0], who[1]), (who[1], who[0])]
        )
    return chain.made()


def _sticky_now_and_then_silent(random: Random) -> Making:
    chain = after_a_cut(random)
    begun = random.uniform(60, 85)
    chain.nodes[chain.one].silent = (begun, begun + random.uniform(2, 10))
    return chain.made()


def _sticky_again(random: Random) -> Making:
    """It goes on for a moment after the cut, and then stands still for good."""
    chain = after_a_cut(random, until=58.0)
    chain.nodes[chain.one].stalls.append((random.uniform(60, 75), math.inf))
    return chain.made()


def _halted(random: Random) -> Making:
    return some_chain(random, halts=random.uniform(25, 75)).made()


def _by_itself(random: Random) -> Making:
    """Nothing is done to the net, and a node stands still."""
    chain = some_chain(random)
    chain.nodes[chain.one].stalls.append((random.uniform(15, 80), math.inf))
    return chain.made()


def _late_recovery(random: Random) -> Making:
    """It is in step again, but later than it may take."""
    chain = some_chain(random)
    chain.making.cut(chain.one, 40, 60)
    chain.nodes[chain.one].stalls.append((40, 60 + random.uniform(WITHIN_S + 1, 38)))
    return chain.made()


def _in_time(random: Random) -> Making:
    chain = some_chain(random)
    chain.making.cut(chain.one, 40, 60)
    chain.nodes[chain.one].stalls.append((40, 60 + random.uniform(0, WITHIN_S - 4)))
    return chain.made()


def _too_slow(random: Random) -> Making:
    """It gains, but so little that it stays behind."""
    chain = some_chain(random)
    chain.nodes[chain.one].stalls.append((21, 60))
    chain.making.cut(chain.one, 21, 60)
    chain.nodes[chain.one].rate = 0.4 * len(chain.blocks) / 120
    return chain.made()


def _cases() -> Iterator[Case]:
    stuck = {"window": "15s"}
    yield from cases(
        "stuck",
        "pass",
        {
            "jittery blocks": _plain,
            "short stalls": _short_stalls,
            "late and slow, but gains": _slow_gainer,
            "cut off, then goes on": _cut_off,
            "paused": _paused,
            "restarted": _restarted,
            "not asked for less than the window": _not_asked,
            "not asked for longer": _long_not_asked,
        },
        stuck,
    )
    yield from cases(
        "stuck",
        "fail",
        {
            "sticky after a cut": _sticky,
            "sticky, faults elsewhere": _sticky_beside_faults,
            "sticky, not asked for a while": _sticky_now_and_then_silent,
            "sticky after a short recovery": _sticky_again,
            "sticky by itself": _by_itself,
            "starved": _starved,
            "halted": _halted,
        },
        stuck,
    )
    recovery = {"within": "20s", "lag": 5}
    yield from cases(
        "recovery",
        "pass",
        {
            "jittery blocks": _plain,
            "in step in time": _in_time,
            "restarted": _restarted,
            "not asked for less than the window": _not_asked,
        },
        recovery,
    )
    yield from cases(
        "recovery",
        "fail",
        {
            "never in step": _sticky,
            "too late": _late_recovery,
            "gains too slowly": _too_slow,
            "in step, then stuck": _sticky_again,
        },
        recovery,
    )


CASES = tuple(_cases())
