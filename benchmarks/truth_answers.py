"""Records of nodes that are asked whether they are in sync, of which it is known whether they say so truly, and what it
costs others: for `in_sync_honesty`."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from benchmarks.truth_heights import Chain, after_a_cut, some_chain
from benchmarks.truth_metrics import Life, counter, some_life, tell
from benchmarks.truth_records import Case, cases
from stressnet.making import BEGUN, END, Making
from stressnet.record import runs

_SIZES = (4, 8)
_EVERY_S = 2.0
_LOST = 0.02
QUERIES = "syncnode_peer_requests_total"

Says = Callable[[float], bool | None]


def _honest(chain: Chain, name: str) -> Says:
    """It says so while it is a few blocks behind what it knows, and that may be 2 s old."""
    random = chain.random
    tolerance, stale = random.randint(2, 8), random.uniform(0, 2)

    def says(at: float) -> bool:
        known = bisect_right(chain.blocks, at - stale)
        return known - chain.followed[name].height(at - stale) <= tolerance

    return says


def _answered(chain: Chain, says: Says | None = None, lost: float = _LOST) -> Making:
    """Every node is asked every 2 s, and says what is so, but for one; who does not run does not answer."""
    made, random = chain.made(), chain.random
    answers = {name: _honest(chain, name) for name in chain.nodes}
    if says is not None:
        answers[chain.one] = says
    lines, at = [], random.uniform(0, _EVERY_S)
    while at < END:
        for name, node in chain.nodes.items():
            running = at >= node.begins_s and not node.down[0] <= at < node.down[1]
            answer = answers[name](at) if running else None
            if answer is not None and random.random() >= (lost if name == chain.one else _LOST):
                lines.append(json.dumps({"time": BEGUN + at, "node": name, "in_sync": answer}))
        at += _EVERY_S + random.choice((0.0, 0.01, 0.3))
    made.files[runs.ANSWERS] = "".join(f"{line}\n" for line in lines).encode()
    return made


def _in_turn(random: Random, yes: tuple[float, float], no: tuple[float, float]) -> Says:
    """It says yes for a while, and no for a while."""
    turns, at = [0.0], random.uniform(0, 5)
    while at < END:
        turns.append(at)
        at += random.uniform(*(yes if len(turns) % 2 else no))
    return lambda at: bool(bisect_right(turns, at) % 2)


def _stands(random: Random) -> Chain:
    """A node stands still from some moment on."""
    chain = some_chain(random, _SIZES)
    chain.nodes[chain.one].stalls.append((random.uniform(15, 60), math.inf))
    return chain


def _plain(random: Random) -> Making:
    return _answered(some_chain(random, (1, 4, 8)))


def _lags_and_says_so(random: Random) -> Making:
    """For a while or for good, after a restart, or because it comes late."""
    chain = some_chain(random, _SIZES)
    node, begun = chain.nodes[chain.one], random.uniform(12, 60)
    what = random.choice(("stands", "restarts", "late"))
    if what == "stands":
        node.stalls.append((begun, random.choice((math.inf, begun + random.uniform(5, 30)))))
    elif what == "restarts":
        node.down, node.rate = (begun, begun + random.uniform(0.5, 20)), random.uniform(4, 20)
    else:
        node.begins_s, node.rate = begun, random.uniform(4, 20)
    return _answered(chain)


def _cut_off(random: Random) -> Making:
    """It cannot know better while it is cut off, and learns it within 3 s after that."""
    chain = some_chain(random, _SIZES)
    begun = random.uniform(21, 40)
    ended = random.uniform(begun + 5, 60)
    chain.making.cut(chain.one, begun, ended)
    chain.nodes[chain.one].stalls.append((begun, ended + random.uniform(0, 20)))
    learns, honest = ended + random.uniform(0, 3), _honest(chain, chain.one)
    return _answered(chain, lambda at: begun <= at < learns or honest(at))


def _wrong_for_a_moment(random: Random) -> Making:
    return _answered(_stands(random), _in_turn(random, (1, 4.5), (7, 20)))


def _denies(random: Random) -> Making:
    """It is in step, and says at times that it is not."""
    return _answered(some_chain(random, _SIZES), _in_turn(random, (1, 20), (1, 20)))


def _height_not_told(random: Random) -> Making:
    """It is in step and says so, and its height has no answer for a while."""
    chain = some_chain(random, _SIZES)
    begun = random.uniform(12, 75)
    chain.nodes[chain.one].silent = (begun, begun + random.uniform(8, 25))
    return _answered(chain)


def _nobody_asked(random: Random) -> Making:
    """It is wrong for moments between which it has no answer for longer than 10 s."""
    chain = _stands(random)
    period, offset = random.uniform(17, 25), random.uniform(0, 20)
    return _answered(chain, lambda at: True if (at + offset) % period < 4.5 else None)


def _lies(random: Random) -> Making:
    return _answered(_stands(random), lambda _: True)


def _lies_after_a_cut(random: Random) -> Making:
    return _answered(after_a_cut(random), lambda _: True)


def _lies_while_it_catches_up(random: Random) -> Making:
    """It comes late, gains on the others, and says that it is in sync long before that is so."""
    chain = some_chain(random, _SIZES)
    node = chain.nodes[chain.one]
    node.begins_s, node.rate = random.uniform(15, 50), random.uniform(1.1, 1.5) * len(chain.blocks) / 120
    return _answered(chain, lambda _: True)


def _lies_with_holes(random: Random) -> Making:
    """One answer in four is lost."""
    return _answered(_stands(random), lambda _: True, lost=0.25)


def _lies_cut_off_from_one(random: Random) -> Making:
    """A fault is between it and one other all the time, and other faults elsewhere."""
    chain = _stands(random)
    first, second, *_ = chain.nodes
    chain.making.fault("partition", 20.5, 60, links=[(chain.one, first), (first, chain.one)])
    begun = random.uniform(21, 50)
    chain.making.fault("latency", begun, begun + random.uniform(1, 9), links=[(first, second)])
    return _answered(chain, lambda _: True)


def _lies_again_and_again(random: Random) -> Making:
    return _answered(_stands(random), _in_turn(random, (10, 15), (3, 6)))


@dataclass(frozen=True, slots=True)
class _Loads:
    """Loads of a record, and what a call makes others do."""

    work: tuple[float, float] = (0.0, 0.0)
    """Requests to others for each call."""
    usual: tuple[float, float] = (0.0, 0.02)
    """Requests a second of each node when nobody calls."""
    answered: tuple[float, float] = (0.7, 1.0)
    """Share of the calls."""
    restarts: bool = False
    """Some nodes are started anew."""


def _loaded(random: Random, loads: _Loads) -> Making:
    """One or two loads on some nodes; the counters are read every second."""
    chain = some_chain(random, _SIZES)
    anew = [name for name in chain.nodes if loads.restarts and random.random() < 0.5]
    lives = {name: some_life(random) if name in anew else Life() for name in chain.nodes}
    for name, life in lives.items():
        chain.nodes[name].down = (life.ended, life.begun)
    made = _answered(chain)
    made.plan = replace(made.plan, sampling=replace(made.plan.sampling, every_s=0.5, closely_s=1.0))
    spans = [_load(random, made, loads, number) for number in range(random.randint(1, 2))]
    work, usual = random.uniform(*loads.work), random.uniform(*loads.usual)
    for name in made.looks:
        own = usual * random.uniform(0.5, 1.5)

        def rates(at: float, own: float = own) -> float:
            calls = sum(rate for begun, ended, rate in spans if begun <= at < ended)
            return own + work * calls / len(chain.nodes)

        life = lives[name]
        tell(random, made, name, QUERIES, counter(random, rates, life, random.random() < 0.5), every=1.0)
        tell(random, made, name, "syncnode_tasks", lambda at, life=life: 9.0 if life.runs(at) else None)
    return made


def _load(random: Random, made: Making, loads: _Loads, number: int) -> tuple[float, float, float]:
    """Write a load into the journal; return when it was, and how many calls were sent a second."""
    begun = 21 + 20 * number + random.uniform(0, 4)
    ended, rate = begun + random.uniform(8, 14), random.uniform(10, 40)
    nodes = random.sample(list(made.looks), random.randint(1, 3))
    sent = int(rate * (ended - begun) / len(nodes))
    calls = {}
    for name in nodes:
        answered = round(random.uniform(*loads.answered) * sent)
        failed = {"connection refused": sent - answered} if sent > answered else {}
        calls[name] = {"sent": sent, "answered": answered, "failed": failed}
    made.event(begun, "load on", step=f"load-{number}", nodes=nodes, for_s=round(ended - begun, 3))
    made.event(ended, "load over", step=f"load-{number}", calls=calls)
    return begun, ended, rate


def _cases() -> Iterator[Case]:
    check = "in_sync_honesty"
    yield from cases(
        check,
        "pass",
        {
            "in step": _plain,
            "lags and says so": _lags_and_says_so,
            "cut off, and cannot know": _cut_off,
            "wrong for a moment": _wrong_for_a_moment,
            "in step, and denies it": _denies,
            "wrong around silence": _nobody_asked,
            "in step, height not told for a while": _height_not_told,
        },
    )
    yield from cases(
        check,
        "fail",
        {
            "lies": _lies,
            "lies after a cut": _lies_after_a_cut,
            "lies while it catches up": _lies_while_it_catches_up,
            "lies, one answer in four lost": _lies_with_holes,
            "lies, cut off from one": _lies_cut_off_from_one,
            "lies again and again": _lies_again_and_again,
        },
    )
    asked = {"queries": QUERIES}
    for name, truth, loads in (
        ("calls", "pass", _Loads()),
        ("calls, some make work", "pass", _Loads(work=(0.0, 0.05))),
        ("calls, a busy net", "pass", _Loads(usual=(0.2, 2.0))),
        ("calls, restarts", "pass", _Loads(restarts=True)),
        ("calls that make work", "fail", _Loads(work=(0.3, 2.0))),
        ("calls that make work, restarts", "fail", _Loads(work=(0.3, 2.0), restarts=True)),
        ("calls that make work, most fail", "fail", _Loads(work=(0.3, 2.0), answered=(0.0, 0.2))),
        ("calls that nobody answers", "not pass", _Loads(answered=(0.0, 0.0))),
    ):
        yield Case(check, name, truth, lambda random, loads=loads: _loaded(random, loads), asked)


CASES = tuple(_cases())
