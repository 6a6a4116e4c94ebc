"""What is usual among neighbours comes from them, from noise over time, and from what is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from stressnet.checks.beside import Part, Row
from stressnet.checks.effect import Usual, effect, usual


def row(*values: float) -> Row:
    """A level of 5 s blocks."""
    return [Part(5 * value, 5) for value in values]


def known(*rows: Row, events: bool = False, floor: float = 1.0) -> Usual:
    found = usual({f"n-{number}": one for number, one in enumerate(rows)}, floor, events)
    assert found is not None
    return found


def steady(value: float) -> Row:
    return row(*[value] * 12)


def around(value: float, deviations: Sequence[float]) -> Row:
    return row(*[value * (1 + one) for one in deviations])


def test_of_neighbours_that_are_alike_only_what_is_known_beforehand_is_left() -> None:
    """10 %, for two neighbours, beside two degrees of freedom that say 0."""
    found = known(steady(10), steady(10), steady(10))
    assert found.spread == pytest.approx(math.sqrt(2 * 0.1**2 / 4))
    assert found.freedom == 4
    assert found.logs == {"n-0": 0, "n-1": 0, "n-2": 0}


def test_what_neighbours_are_apart_is_moderated_by_what_is_known_beforehand() -> None:
    """Each against the median of the rest: one of three is twice the others."""
    found = known(steady(10), steady(10), steady(20))
    own = [math.log(10 / 10) / 2 + math.log(10 / 20) / 2] * 2 + [math.log(2)]
    assert list(found.logs.values()) == pytest.approx(own)
    seen = sum(log * log for log in own) / 3
    assert found.spread == pytest.approx(math.sqrt((2 * 0.1**2 + 2 * seen) / 4))


def test_who_is_oddest_of_four_is_left_out_of_what_is_typical() -> None:
    found = known(steady(10), steady(10), steady(10), steady(40))
    assert found.spread > 0.5
    assert found.typical == pytest.approx(math.sqrt(2 * 0.1**2 / 4))
    assert (found.freedom, found.typical_freedom) == (5, 4)


def test_noise_over_time_counts_also_where_means_are_alike_by_luck() -> None:
    """And the more, the longer it lingers."""
    quick = [0.5, -0.5] * 6
    slow = [0.5] * 6 + [-0.5] * 6
    neighbours = [known(*(around(10, one) for one in (noise, noise[::-1], noise))) for noise in (quick, slow)]
    still = known(steady(10), steady(10), steady(10))
    assert still.spread < neighbours[0].spread < neighbours[1].spread / 1.5


def test_noise_that_all_share_is_none() -> None:
    shared = [0.5] * 6 + [-0.5] * 6
    assert known(*[around(10, shared)] * 3).spread == known(*[steady(10)] * 3).spread


def test_chance_is_known_of_events_also_where_there_were_none() -> None:
    """Of as few as the floor means: 0.1/s in 60 s are 6, whose logarithm strays by the root of 1/6 on either side."""
    found = known(*[steady(0)] * 3, events=True, floor=0.1)
    assert found.chance == pytest.approx((1 + math.pi / 6) / 6)
    assert known(*[steady(0)] * 3, floor=0.1).chance == 0
    one = effect("c", steady(0.3), {"n": steady(0)}, 0.1, found)
    assert one is not None
    assert one.p > 0.02


def test_an_effect_is_its_ratio_with_an_interval_and_a_probability() -> None:
    rows = {f"n-{number}": steady(10) for number in range(3)}
    one = effect("c", steady(25), rows, 1.0, usual(rows, 1.0, False))
    assert one is not None
    assert one.times == pytest.approx(2.5)
    assert (one.own, one.others) == (25, 10)
    assert one.interval == pytest.approx((2.15, 2.91), abs=0.01)  # 2.132 (t of 4, at 90 %) times 0.0707
    assert one.p == pytest.approx(0.0002, abs=0.00003)


def test_what_was_not_seen_for_six_blocks_beside_anybody_has_no_effect() -> None:
    rows = {f"n-{number}": steady(10) for number in range(3)}
    known_of = usual(rows, 1.0, False)
    short: Row = [*steady(10)[:5], *[None] * 7]
    assert effect("c", short, rows, 1.0, known_of) is None
    assert effect("c", [*steady(10)[:6], *[None] * 6], rows, 1.0, known_of) is not None
    assert usual({**rows, "n-2": short}, 1.0, False) is None
