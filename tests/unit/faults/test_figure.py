"""A figure holds where its kind's tolerance says so, and a share where a binomial distribution does."""

from __future__ import annotations

import math

import pytest

from stressnet.faults.expect import MEASURES
from stressnet.faults.figure import TOLERANCES, Figure, binomial_interval, near, share_of
from stressnet.faults.kinds import KINDS


@pytest.mark.parametrize(
    ("kind", "asked", "inside", "outside"),
    [
        ("latency", 0.01, (0.0081, 0.0119), (0.0079, 0.0121)),
        ("latency", 2.0, (1.961, 2.039), (1.959, 2.041)),
        ("bandwidth", 1e6, (0.951e6, 1.049e6), (0.949e6, 1.051e6)),
        ("partition", 0.0, (0.0,), (1.0,)),
        ("cut", 4096.0, (4096.0,), (4095.0, 4097.0)),
    ],
)
def test_tolerances(kind: str, asked: float, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    assert all(near(kind, "x", "count", asked, found, 1).holds for found in inside)
    assert not any(near(kind, "x", "count", asked, found, 1).holds for found in outside)


def test_every_measured_kind_has_a_tolerance() -> None:
    assert set(MEASURES) <= set(KINDS)
    shares = {"drop", "loss", "duplicate", "corrupt", "reorder"}
    assert set(MEASURES) - shares == set(TOLERANCES)


def _tail(trials: int, probability: float, counts: range) -> float:
    return math.fsum(
        math.comb(trials, count) * probability**count * (1 - probability) ** (trials - count)
        for count in counts
    )


@pytest.mark.parametrize("trials", [1, 7, 20, 300])
@pytest.mark.parametrize("probability", [0.001, 0.05, 0.5, 0.97])
def test_the_interval_is_the_binomial_one(trials: int, probability: float) -> None:
    """At either end no more than half a per cent is outside, and one count further in more would be."""
    low, high = binomial_interval(trials, probability)
    assert _tail(trials, probability, range(low)) <= 0.005 < _tail(trials, probability, range(low + 1))
    assert _tail(trials, probability, range(high + 1, trials + 1)) <= 0.005
    assert _tail(trials, probability, range(high, trials + 1)) > 0.005


def test_the_interval_of_very_many_packets() -> None:
    low, high = binomial_interval(10**8, 0.05)
    deviation = math.sqrt(10**8 * 0.05 * 0.95)
    assert (5e6 - low) / deviation == pytest.approx(2.576, abs=0.01)
    assert (high - 5e6) / deviation == pytest.approx(2.576, abs=0.01)


def test_a_share_has_the_number_it_was_found_from() -> None:
    found = share_of("dropped", 50.0, 52, 1000)
    assert (found.asked, found.found, found.of, found.holds) == (0.05, 0.052, 1000, True)
    assert not share_of("dropped", 50.0, 90, 1000).holds
    assert binomial_interval(9, 1.0) == (9, 9)


def test_many_shares_are_all_inside_as_often_as_one() -> None:
    """The interval of each is as much wider as there are more of them."""
    alone, among = share_of("lost", 50.0, 50, 500), share_of("lost", 50.0, 50, 500, 8)
    low, high = binomial_interval(500, 0.1, 1 - 0.01 / 8)
    assert (among.low, among.high) == (low / 500, high / 500)
    assert among.low < alone.low < alone.high < among.high


def test_the_worst_is_the_farthest_outside() -> None:
    """What does not hold is farther than all that holds, also where there is no room or no bound at all."""
    inside = [near("latency", "x", "duration", 0.1, found, 1).far for found in (0.1, 0.1015, 0.0985)]
    assert inside[0] < inside[1] <= 1
    assert (
        near("latency", "x", "duration", 0.1, 0.2, 1).far
        > near("latency", "x", "duration", 0.1, 0.11, 1).far
        > 1
    )
    assert near("partition", "x", "count", 0.0, 1.0, 5).far == math.inf
    assert (
        Figure("x", "rate", 0.0, 5.0, 10.0, None, 1).far
        >= 1
        > Figure("x", "rate", 0.0, 50.0, 10.0, None, 1).far
    )
