"""Records of nodes that come to a height, or gain so many blocks, or do not: for `height`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from benchmarks.truth_heights import Chain, Node, some_chain
from benchmarks.truth_records import Case, cases, some_net
from stressnet.making import END, OBSERVE, Making

REACHES, GAINS = 100, 20
_FROM = -20.0
"""When the chain begins."""


def _reaching(random: Random, soonest: float = 30.0, latest: float = 95.0) -> Chain:
    """A chain whose block 100 comes at a time of these."""
    made = some_net(random)
    due = random.uniform(soonest, latest)
    gaps = [random.expovariate(1.0) for _ in range(5 * REACHES)]
    scale = (due - _FROM) / sum(gaps[:REACHES])
    blocks = [_FROM + scale * passed for passed in accumulate(gaps)]
    return Chain(random, made, blocks, {name: Node(random.uniform(0.0, 0.5)) for name in made.looks})


def _gaining(random: Random, soonest: float = 65.0, latest: float = 95.0) -> Chain:
    """A chain of which block 20 after the heal comes at a time of these."""
    chain = some_chain(random, (1, 4, 8))
    due = random.uniform(soonest, latest)
    gaps = [random.expovariate(1.0) for _ in range(10 * GAINS)]
    scale = (due - OBSERVE) / sum(gaps[:GAINS])
    later = [OBSERVE + scale * passed for passed in accumulate(gaps)]
    chain.blocks = [at for at in chain.blocks if at < OBSERVE] + later
    return chain


def _reached(chain: Chain) -> float:
    """Return when block 100 comes."""
    return chain.blocks[REACHES - 1]


def _all_reach(random: Random) -> Making:
    return _reaching(random).made()


def _late(random: Random) -> Making:
    """One is started late, and is still catching up long after the others are there."""
    chain = _reaching(random, latest=50)
    node = chain.nodes[chain.one]
    node.begins_s = random.uniform(1, 60)
    node.rate = REACHES / random.uniform(3, END - 5 - max(node.begins_s, _reached(chain)))
    return chain.made()


def _not_asked_at_last(random: Random) -> Making:
    """It cannot be asked any more when it has come to the height, or is being started anew."""
    chain = _reaching(random, latest=85)
    begun = random.uniform(max(OBSERVE, _reached(chain)) + 4, END - 2)
    node = chain.nodes[chain.one]
    if random.random() < 0.5:
        node.silent = (begun, math.inf)
    else:
        node.down = (begun, begun + random.uniform(0.5, 30))
    return chain.made()


def _gone_for_a_while(random: Random) -> Making:
    """One stands still, is restarted or cannot be asked, before and after the heal, and is there in time."""
    chain = _gaining(random, latest=85)
    node, begun = chain.nodes[chain.one], random.uniform(40, 75)
    while_s = (begun, begun + random.uniform(2, 16))
    which = random.choice(("stalls", "down", "silent"))
    if which == "stalls":
        chain.making.cut(chain.one, begun, min(while_s[1], OBSERVE))
        node.stalls.append(while_s)
    else:
        setattr(node, which, while_s)
    return chain.made()


def _all_gain(random: Random) -> Making:
    return _gaining(random).made()


def _stands_below(random: Random) -> Making:
    """It stops some blocks before the height, whatever the others do."""
    chain = _reaching(random)
    short = chain.blocks[REACHES - 1 - random.randint(3, 60)]
    chain.nodes[chain.one].stalls.append((short, math.inf))
    return chain.made()


def _too_slow(random: Random) -> Making:
    """One gains, but is not there at the end."""
    chain = _reaching(random, latest=50)
    node = chain.nodes[chain.one]
    node.begins_s = random.uniform(1, 40)
    node.rate = REACHES * random.uniform(0.1, 0.95) / (END - node.begins_s)
    return chain.made()


def _ended_below(random: Random) -> Making:
    """It ends before it has come there, also after the heal, and is not started any more."""
    chain = _reaching(random, soonest=70)
    short = chain.blocks[REACHES - 1 - random.randint(3, 20)]
    chain.nodes[chain.one].down = (random.uniform(21, max(short, 22)), math.inf)
    return chain.made()


def _chain_too_slow(random: Random) -> Making:
    return _reaching(random, END + 6, 2 * END).made()


def _gains_nothing(random: Random) -> Making:
    """It stands still from before the heal on, or from soon after it; the others go on."""
    chain = _gaining(random)
    few = chain.blocks.index(next(at for at in chain.blocks if at >= OBSERVE)) + random.randint(0, GAINS - 4)
    begun = random.choice((random.uniform(20, OBSERVE), chain.blocks[few]))
    chain.nodes[chain.one].stalls.append((begun, math.inf))
    return chain.made()


def _all_gain_little(random: Random) -> Making:
    return _gaining(random, END + 10, 2 * END).made()


def _cases() -> Iterator[Case]:
    reaches, gains = {"reaches": REACHES}, {"gains": GAINS}
    yield from cases(
        "height",
        "pass",
        {
            "reached": _all_reach,
            "one comes late": _late,
            "not asked or restarted at last": _not_asked_at_last,
        },
        reaches,
    )
    yield from cases(
        "height", "pass", {"gained": _all_gain, "gone for a while, gained": _gone_for_a_while}, gains
    )
    yield from cases(
        "height",
        "fail",
        {
            "one stands still below": _stands_below,
            "one too slow": _too_slow,
            "one ended below": _ended_below,
            "chain too slow": _chain_too_slow,
        },
        reaches,
    )
    yield from cases(
        "height", "fail", {"one gains little": _gains_nothing, "all gain little": _all_gain_little}, gains
    )


CASES = tuple(_cases())
