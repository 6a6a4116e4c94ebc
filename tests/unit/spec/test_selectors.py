"""Selectors mean the nodes that one would think, the same ones for the same seed, and say what they do not know."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from some_plan import some_plan

from stressnet.spec.selectors import Observation, SelectorError, asks_connections, is_rest, resolve, undrawn

PLAN = some_plan()
NAMES = tuple(node.name for node in PLAN.nodes)
SEEN = Observation(
    heights={"boot": 10, "us-1": 10, "us-2": 9, "us-3": 7, "eu-1": 2},
    peers={"boot": 4, "us-1": 2, "us-2": 0},
    connected=frozenset({("us-1", "eu-1"), ("eu-2", "us-1"), ("us-2", "us-3")}),
)


def means(selector: str, seed: int = 1, others: tuple[str, ...] | None = None) -> str:
    return " ".join(resolve(selector, PLAN, SEEN, seed, others=others))


def test_the_plan_is_as_the_tests_take_it() -> None:
    assert " ".join(NAMES) == "boot us-1 us-2 us-3 us-4 eu-1 eu-2 eu-3 late"


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("us-1", "us-1"),
        ("us", "us-1 us-2 us-3 us-4"),
        ("*-1", "us-1 eu-1"),
        ("[bl]*", "boot late"),
        ("group:us", "us-1 us-2 us-3 us-4"),
        ("region:west", "boot us-1 us-2 us-3 us-4"),
        ("region:*", " ".join(NAMES)),
        ("role:validator", "us-1 us-2 us-3 us-4 eu-1 eu-2 eu-3"),
        ("label:zone=b", "eu-1 eu-2 eu-3"),
        ("label:tier=*", "late"),
        ("all", " ".join(NAMES)),
        ("late, boot,us-1 , us-1", "boot us-1 late"),
        ("peers of us-1", "eu-1 eu-2"),
        ("peers of boot", ""),
        ("fewer than 3 peers", "us-1 us-2"),
        ("fewer  than 1 peer", "us-2"),
        ("fewer than 4 peers", "us-1 us-2"),
        ("highest", "boot us-1"),
        ("lagging", "us-3 eu-1"),
        ("lagging by 1", "us-2 us-3 eu-1"),
        ("lagging by 9", ""),
        ("us-4, lagging by 8, eu-3", "us-4 eu-1 eu-3"),
        ("any 9 of all", " ".join(NAMES)),
        ("any 100% of us", "us-1 us-2 us-3 us-4"),
        ("any 0% of us", ""),
    ],
)
def test_a_selector_means_these_nodes(selector: str, names: str) -> None:
    assert means(selector) == names


def test_rest_is_what_the_other_side_is_not() -> None:
    assert means("rest", others=("boot", *NAMES[1:5])) == "eu-1 eu-2 eu-3 late"
    assert means("us-1, rest", others=("us-1", "us-2")) == means("rest", others=("us-2",))
    assert len(resolve("any 2 of rest", PLAN, SEEN, 1, others=NAMES[:5])) == 2
    assert [is_rest(text) for text in ("rest", "us-1, rest", "any 2 of rest", "us", "any 2 of us,boot")] == [
        True, True, True, False, False,
    ]  # fmt: skip


def test_a_draw_takes_from_all_to_its_right_and_leaves_what_is_to_its_left() -> None:
    assert "late" in means("late, any 1 of us, eu").split()
    assert len(means("late, any 1 of us, eu").split()) == 2
    drawn = {means("any 1 of us, eu", seed) for seed in range(40)}
    assert {name.partition("-")[0] for name in drawn} == {"us", "eu"}


@given(st.integers(0, 2**63), st.integers(1, 9))
def test_a_draw_follows_from_the_seed_and_a_larger_one_contains_it(seed: int, count: int) -> None:
    drawn = set(means(f"any {count} of all", seed).split())
    assert len(drawn) == count
    assert drawn == set(means(f"any {count} of all", seed).split())
    assert drawn <= set(means(f"any {min(9, count + 1)} of all", seed).split())


@given(st.integers(1, 100))
def test_a_share_is_rounded_and_at_least_one(percent: int) -> None:
    assert len(means(f"any {percent}% of all").split()) == max(1, int(percent * 0.09 + 0.5))


def test_every_node_is_drawn_about_as_often() -> None:
    often = [means("any 1 of all", seed) for seed in range(900)]
    assert set(often) == set(NAMES)
    # 100 are expected of each; a fair draw is outside 50..150 once in millions of times, and the seeds are fixed.
    assert all(50 < often.count(name) < 150 for name in NAMES)


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        (
            "uss",
            "no node or group is called 'uss'; allowed: boot, us, eu, late, their nodes, .*did you mean 'us'",
        ),
        ("us-9", "no node or group is called 'us-9'.*did you mean 'us-"),
        ("x-*", "no node or group is called 'x-\\*'"),
        ("west", "no node or group is called 'west'.*did you mean 'region:west'"),
        ("hihgest", "did you mean 'highest'"),
        ("", "nothing where a selector belongs; allowed: a node, a group"),
        ("us,,eu", "nothing where a selector belongs"),
        ("region:wset", "no node has the region 'wset'; allowed: region:west, region:east .*'region:west'"),
        ("region:", "no node has the region ''"),
        ("rôle:boot", "begins with an unknown word; allowed: group:, region:, role:, label: .*'role'"),
        ("label:zone", "'label:zone' without a value; allowed: label:KEY=VALUE"),
        ("label:zon=a", "no node has a label 'zon'; allowed: label:zone=…, label:tier=… .*'label:zone=a'"),
        ("label:zone=c", "no node has the label zone 'c'; allowed: label:zone=a, label:zone=b"),
        ("peers of", "no node is called ''"),
        ("peers of us", "no node is called 'us'; allowed: boot, us-1, .*did you mean"),
        ("peers of us-1 and us-2", "no node is called 'us-1 and us-2'"),
        ("fewer than x peers", "'x' where a number belongs; allowed: 1 or more, as in fewer than 3 peers"),
        ("lagging by -1", "'-1' where a number belongs"),
        ("any 0 of us", "'0' where a number belongs"),
        ("any of us", "'any of us' is no selector"),
        ("any 5 of us", "'any 5 of us' draws from 4; allowed: at most 4"),
        ("any 120% of us", "120%; allowed: 0% to 100%"),
        ("any %2 of us", "'%2' where a number belongs"),
        ("any 2 of", "nothing where a selector belongs"),
        ("rest", "'rest' without another side"),
    ],
)
def test_what_means_nothing_says_what_there_is(selector: str, said: str) -> None:
    with pytest.raises(SelectorError, match=said):
        means(selector)


def test_all_mistakes_are_said_at_once() -> None:
    with pytest.raises(SelectorError) as error:
        means("uss, region:wset, boot, any 2 of labe:x")
    assert [problem.nearest for problem in error.value.problems] == ["us", "region:west", "label"]


@given(st.text(st.sampled_from("aeu-*[:=%, 3\n") | st.characters(), max_size=40))
def test_any_text_is_nodes_or_an_error(text: str) -> None:
    with suppress(SelectorError):
        assert set(resolve(text, PLAN, SEEN, 1)) <= set(NAMES)


def test_endless_draws_are_refused() -> None:
    with pytest.raises(SelectorError):
        means("any 1 of " * 3000 + "us")


def test_only_what_needs_connections_asks_for_them() -> None:
    assert asks_connections("us, any 2 of peers of boot")
    assert not asks_connections("fewer than 3 peers, highest")


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("highest", " ".join(NAMES)),
        ("lagging by 9", " ".join(NAMES)),
        ("fewer than 1 peer", " ".join(NAMES)),
        ("peers of boot", " ".join(NAMES[1:])),
        ("any 9 of lagging", " ".join(NAMES)),
        ("us", "us-1 us-2 us-3 us-4"),
    ],
)
def test_what_can_be_observed_can_be_so_of_all(selector: str, names: str) -> None:
    assert " ".join(resolve(selector, PLAN, Observation(anything=True), 1)) == names


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("any 10 of lagging", "draws from 9; allowed: at most 9"),
        ("any 9 of peers of boot", "draws from 8; allowed: at most 8"),
        ("lagging by x", "'x' where a number belongs"),
        ("fewer than 0 peers", "'0' where a number belongs"),
        ("peers of bot", "no node is called 'bot'"),
    ],
)
def test_what_can_never_be_observed_is_refused(selector: str, said: str) -> None:
    with pytest.raises(SelectorError, match=said):
        resolve(selector, PLAN, Observation(anything=True), 1)


@given(
    st.integers(0, 2**63),
    st.sampled_from(["any 2 of us", "late, any 1 of us, eu", "any 1 of any 3 of all", "us"]),
)
def test_a_draw_is_among_those_that_may_be_drawn(seed: int, selector: str) -> None:
    assert set(means(selector, seed).split()) <= set(means(undrawn(selector)).split())


def test_those_that_may_be_drawn_are_all_to_the_right() -> None:
    assert undrawn("late, any 1 of any 50% of us, eu") == "late, us, eu"
