"""Records of nodes that are asked for the hashes of their blocks, of which it is known whether these are of one chain:
for `agreement`. The blocks are collected as a run collects them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

from benchmarks.truth_heights import Chain, some_chain
from benchmarks.truth_records import Case, Filed, cases
from stressnet.backends.base import Backend
from stressnet.engine.run.collect import collect_blocks
from stressnet.errors import AgentError
from stressnet.making import BEGUN, END, Making, Sampled
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record

_SIZES = (2, 4, 8)
_LOST = 0.02
"""Of answers of one node, and of those of all at one height."""


@dataclass(slots=True)
class _Branch:
    """Where a node has left the others."""

    name: str
    height: int
    """Of the first block that is not theirs."""
    share: float
    """So many times as fast as the whole chain it grows."""


class _Asked(Filed):
    """A record for which nodes are asked at its end."""

    def __init__(self, chain: Chain, branches: Mapping[str, _Branch], oldest: Mapping[str, int]) -> None:
        super().__init__(chain.making.plan)
        chain.made()
        self.events, self.faults = chain.making.events, chain.making.faults
        self._chain, self._branches, self._oldest = chain, branches, oldest
        self.looks = {name: self._look(name) for name in chain.nodes}
        self.files = {runs.BLOCKS: b"{}"}
        self.event(END + 1, "collected")

    def made_in(self, folder: Path) -> Record:
        path = super().made_in(folder).path
        journal = RunJournal(path / runs.JOURNAL, lambda: (BEGUN + END + 1, END + 1))
        asyncio.run(collect_blocks(self.plan, cast("Backend", None), path, journal, self._ask))
        journal.close()
        return Record(path)

    def _look(self, name: str) -> Any:
        def look(at: float) -> Sampled:
            seen = self._chain.followed[name].look(at)
            height = seen.get("height") if seen else None
            return {**(seen or {}), "height": self._own(name, height)} if height is not None else seen

        return look

    def _own(self, name: str, height: int) -> int:
        branch = self._branches.get(name)
        if branch is None or height < branch.height:
            return height
        return branch.height + int(branch.share * (height - branch.height))

    async def _ask(self, _: Any, nodes: list[str], __: str, height: int) -> dict[str, Any]:
        random = self._chain.random
        if random.random() < _LOST:
            raise AgentError("no answer")
        return {name: self._hash(name, height) for name in nodes if random.random() >= _LOST}

    def _hash(self, name: str, height: int) -> str | None:
        top = self._own(name, self._chain.followed[name].height(END + 1))
        if not self._oldest.get(name, 1) <= height <= top:
            return None
        branch = self._branches.get(name)
        return f"{branch.name if branch and height >= branch.height else 'main'} {height}"


def _asked(
    chain: Chain, branches: Mapping[str, _Branch] | None = None, oldest: Mapping[str, int] | None = None
) -> Making:
    return _Asked(chain, branches or {}, oldest or {})


def _height(chain: Chain, at: float) -> int:
    return 1 + sum(block <= at for block in chain.blocks)


def _some(random: Random, chain: Chain, least: int = 1) -> list[str]:
    """Return some nodes, but not all."""
    names = list(chain.nodes)
    return random.sample(names, random.randint(least, max(least, len(names) - 1)))


def _one_chain(random: Random) -> Making:
    chain = some_chain(random, _SIZES)
    if random.random() < 0.5:
        begun = random.uniform(21, 40)
        chain.making.cut(chain.one, begun, begun + random.uniform(1, 15))
    return _asked(chain)


def _far_behind(random: Random) -> Making:
    """Some stopped long ago, came late and catch up, or have ended; they are asked for blocks that they do not have."""
    chain = some_chain(random, _SIZES)
    for name in _some(random, chain):
        node, begun = chain.nodes[name], random.uniform(1, 95)
        what = random.choice(("stands", "late", "ended"))
        if what == "stands":
            node.stalls.append((begun, math.inf))
        elif what == "late":
            node.begins_s, node.rate = begun, random.uniform(0.5, 5)
        else:
            node.down = (begun, random.choice((math.inf, begun + 4)))
    return _asked(chain)


def _given_up(random: Random) -> Making:
    """A node was on a branch of its own while it was cut off, and has the others' blocks at the end."""
    chain = some_chain(random, _SIZES)
    begun = random.uniform(21, 40)
    ended = random.uniform(begun + 5, 60)
    chain.making.cut(chain.one, begun, ended)
    chain.nodes[chain.one].stalls.append((begun, ended + random.uniform(0, 3)))
    return _asked(chain)


def _pruned(random: Random) -> Making:
    """Some have only their latest blocks."""
    chain = some_chain(random, _SIZES)
    oldest = {name: _height(chain, random.uniform(10, 95)) for name in _some(random, chain)}
    return _asked(chain, oldest=oldest)


def _branch(random: Random, chain: Chain, name: str, at: float) -> _Branch:
    return _Branch(name, _height(chain, at), random.uniform(0.4, 1.0))


def _one_leaves(random: Random) -> Making:
    """By itself, and goes on faster or slower."""
    chain = some_chain(random, _SIZES)
    return _asked(chain, {chain.one: _branch(random, chain, "own", random.uniform(-15, 75))})


def _halves(random: Random) -> Making:
    """A cut divides the net, and its parts do not come together when it is healed."""
    chain = some_chain(random, _SIZES)
    begun = random.uniform(21, 40)
    names = list(chain.nodes)
    those = names[: random.randint(1, len(names) - 1)]
    links = [pair for one in those for two in names if two not in those for pair in ((one, two), (two, one))]
    chain.making.fault("partition", begun, begun + random.uniform(3, 15), links=links)
    branch = _branch(random, chain, "other", begun)
    return _asked(chain, dict.fromkeys(those, branch))


def _other_net(random: Random) -> Making:
    """Some have another first block, and so all others."""
    chain = some_chain(random, _SIZES)
    branch = _Branch("other", 1, random.uniform(0.4, 1.0))
    return _asked(chain, dict.fromkeys(_some(random, chain), branch))


def _three_branches(random: Random) -> Making:
    chain = some_chain(random, (4, 8))
    names = list(chain.nodes)
    return _asked(
        chain,
        {name: _branch(random, chain, name, random.uniform(10, 75)) for name in random.sample(names, 2)},
    )


def _leaves_beside_one_far_behind(random: Random) -> Making:
    """Another stopped before that, and has none of the blocks in which they differ."""
    chain = some_chain(random, (4, 8))
    stopped = random.uniform(5, 50)
    chain.nodes[next(iter(chain.nodes))].stalls.append((stopped, math.inf))
    left = random.uniform(stopped + 5, 75)
    return _asked(chain, {chain.one: _branch(random, chain, "own", left)})


def _cases() -> Iterator[Case]:
    yield from cases(
        "agreement",
        "pass",
        {
            "one chain": _one_chain,
            "some far behind, or ended": _far_behind,
            "a branch that was given up": _given_up,
            "some without old blocks": _pruned,
        },
    )
    yield from cases(
        "agreement",
        "fail",
        {
            "one leaves the chain": _one_leaves,
            "halves after a cut": _halves,
            "another first block": _other_net,
            "three branches": _three_branches,
            "one leaves, another far behind": _leaves_beside_one_far_behind,
        },
    )


CASES = tuple(_cases())
