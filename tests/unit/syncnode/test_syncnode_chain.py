"""The rules of the chain, the fork choice, and what a crash leaves on disk."""

from __future__ import annotations

import os

import pytest
from syncnode.block import Block
from syncnode.chain import EXTENDED, KNOWN, ORPHAN, SIDE, SWITCHED, Chain
from syncnode.errors import InvalidBlock, StartError
from syncnode.rules import Rules
from syncnode.store import Store

VALIDATORS = ["a", "b", "c"]
SLOTS = [(n, n + 1, n + 2) for n in range(3, 40)]  # among so many branches there is one for each case


@pytest.fixture
def rules():
    return Rules("net", 0, 1, VALIDATORS, 1.0)


def propose(rules: Rules, parent: Block, slot: int) -> Block:
    return rules.propose(rules.proposer(slot), parent, slot, 50)


def branch(rules: Rules, parent: Block, slots) -> list[Block]:
    blocks = []
    for slot in slots:
        parent = propose(rules, parent, slot)
        blocks.append(parent)
    return blocks


def open_chain(path, rules: Rules) -> Chain:
    return Chain(Store(path, rules.genesis), rules)


def test_validators_take_turns_and_only_they(rules):
    good = propose(rules, rules.genesis, 4)
    rules.check(good, now=10)
    wrong_turn = rules.propose("a", rules.genesis, 4, 50)
    with pytest.raises(InvalidBlock, match="turn"):
        rules.check(wrong_turn, now=10)
    good.signature = bytes(32)
    with pytest.raises(InvalidBlock, match="signature"):
        rules.check(good, now=10)
    with pytest.raises(InvalidBlock, match="future"):
        rules.check(propose(rules, rules.genesis, 40), now=10)


def test_a_block_must_follow_its_parent(rules):
    first = propose(rules, rules.genesis, 4)
    with pytest.raises(InvalidBlock, match="not after"):
        rules.check_link(propose(rules, first, 4), first)
    with pytest.raises(InvalidBlock, match="parent"):
        rules.check_link(propose(rules, first, 5), rules.genesis)


def test_the_longest_chain_wins_whatever_the_order(tmp_path, rules):
    chain = open_chain(tmp_path / "log", rules)
    ours = branch(rules, rules.genesis, (1, 2))
    theirs = branch(
        rules, rules.genesis, next(s for s in SLOTS if branch(rules, rules.genesis, s)[1].hash > ours[1].hash)
    )
    assert [chain.add(block) for block in ours] == [EXTENDED, EXTENDED]
    assert chain.add(theirs[1]) == ORPHAN
    assert chain.add(theirs[0]) == SIDE
    assert chain.add(theirs[1]) == SIDE
    assert chain.add(theirs[2]) == SWITCHED
    assert chain.add(theirs[2]) == KNOWN
    assert (chain.height, chain.head.hash, chain.reorgs) == (3, theirs[2].hash, 1)
    assert [chain.hash_at(n) for n in (1, 2, 3)] == [block.hash for block in theirs]
    assert chain.raw_of(ours[1].hash) is not None, "the branch that lost can still be served"


def test_of_two_chains_as_long_the_lower_hash_wins(tmp_path, rules):
    one, two = (propose(rules, rules.genesis, slot) for slot in (1, 2))
    heads = set()
    for number, order in enumerate(((one, two), (two, one))):
        chain = open_chain(tmp_path / str(number), rules)
        for block in order:
            chain.add(block)
        heads.add(chain.head.hash)
    assert heads == {min(one.hash, two.hash)}


def test_a_restart_finds_the_chain_as_it_was_also_after_a_switch(tmp_path, rules):
    chain = open_chain(tmp_path / "log", rules)
    chain.extend(branch(rules, rules.genesis, range(1, 8)))
    ancestor = chain.block_at(3)
    assert ancestor is not None
    assert chain.switch(branch(rules, ancestor, range(20, 26)))
    assert all(chain.block_at(n).hash == chain.hash_at(n) for n in range(10))
    again = open_chain(tmp_path / "log", rules)
    assert (again.height, again.head.hash) == (9, chain.head.hash)
    assert [again.hash_at(n) for n in range(10)] == [chain.hash_at(n) for n in range(10)]


@pytest.mark.parametrize("damage", ["cut", "garbage", "payload", "signature"])
def test_a_torn_tail_is_cut_and_the_rest_kept(tmp_path, rules, damage):
    path = tmp_path / "log"
    chain = open_chain(path, rules)
    blocks = branch(rules, rules.genesis, range(1, 11))
    chain.extend(blocks[:-1])
    last = path.stat().st_size
    chain.extend(blocks[-1:])
    size = path.stat().st_size
    with path.open("r+b") as file:
        if damage == "cut":
            file.truncate(size - 7)
        elif damage == "garbage":
            file.seek(size)
            file.write(os.urandom(33))
        else:
            file.seek(size - 7 if damage == "payload" else last + 20)
            file.write(b"\xff\x00")
    store = Store(path, rules.genesis)
    left = 10 if damage == "garbage" else 9
    assert (len(store) - 1, store.cut_bytes > 0) == (left, True)
    again = Chain(store, rules)
    again.extend(blocks[left:])
    assert open_chain(path, rules).height == 10


def test_data_of_another_net_is_refused(tmp_path, rules):
    open_chain(tmp_path / "log", rules).close()
    with pytest.raises(StartError, match="another net"):
        Store(tmp_path / "log", Rules("net", 0, 2, VALIDATORS, 1.0).genesis)


def test_a_block_is_found_by_its_hash_and_by_no_other(tmp_path, rules):
    chain = open_chain(tmp_path / "log", rules)
    blocks = branch(rules, rules.genesis, range(1, 50))
    chain.extend(blocks)
    for block in blocks:
        assert chain.raw_of(block.hash) == (block.body(), block.signature)
    across = blocks[3].hash[16:] + blocks[4].hash[:16]
    assert chain.raw_of(across) is None
