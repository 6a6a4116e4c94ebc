"""Spikes, steps and ramps are told apart, and where and how large they are."""

from __future__ import annotations

from random import Random

import pytest

from stressnet.checks.shape import LEAST_SIDE, Shape, shape

COUNT = 240


def sampled(values: list[float]) -> list[tuple[float, float]]:
    return [(500.0 + 5 * number, value) for number, value in enumerate(values)]


def found_in(seed: int, change: list[float], deviation: float = 1.0) -> Shape:
    random = Random(seed)
    found = shape(sampled([value + random.gauss(0, deviation) for value in change]))
    assert found is not None
    return found


def up(begin: int, end: int = COUNT, height: float = 10.0) -> list[float]:
    return [height * (begin <= number < end) for number in range(COUNT)]


def rising(begin: int, height: float = 18.0) -> list[float]:
    return [height * max(0, number - begin) / (COUNT - begin) for number in range(COUNT)]


@pytest.mark.parametrize("seed", range(10))
def test_noise_is_flat(seed: int) -> None:
    found = found_in(seed, [0.0] * COUNT)
    assert (found.form, found.begin, found.end, found.size) == ("flat", None, None, 0.0)
    assert 0.2 < found.noise < 0.8  # of medians of five


@pytest.mark.parametrize("at", [20, 77, 120, 201, 225])
@pytest.mark.parametrize("height", [4.0, 30.0, -10.0])
def test_a_step_is_found_where_it_is(at: int, height: float) -> None:
    found = found_in(at, up(at, height=height))
    assert found.form == "step"
    assert found.begin == pytest.approx(500 + 5 * at, abs=15)
    assert found.end is None
    assert found.size == pytest.approx(height, abs=0.8)


@pytest.mark.parametrize(("begin", "end"), [(30, 36), (100, 140), (70, 200), (200, 225)])
@pytest.mark.parametrize("height", [6.0, 50.0, -20.0])
def test_a_spike_comes_back(begin: int, end: int, height: float) -> None:
    found = found_in(begin, up(begin, end, height))
    assert found.form == "spike"
    assert found.begin == pytest.approx(500 + 5 * begin, abs=15)
    assert found.end == pytest.approx(500 + 5 * end, abs=15)
    assert found.size == pytest.approx(height, rel=0.2)


@pytest.mark.parametrize("begin", [0, 60, 120, 170])
@pytest.mark.parametrize("height", [9.0, 18.0, 100.0])
def test_a_ramp_goes_on_from_where_it_began(begin: int, height: float) -> None:
    found = found_in(begin, rising(begin, height))
    assert found.form == "ramp"
    assert found.begin is not None
    assert abs(found.begin - (500 + 5 * begin)) < 5 * COUNT / 8
    assert found.size == pytest.approx(height, rel=0.2)


def test_without_noise_everything_is_exact() -> None:
    assert shape(sampled([3.0] * COUNT)) == Shape("flat", None, None, 0.0, 0.0)
    for change, form, begin, end, size in (
        (up(100), "step", 1000.0, None, 10.0),
        (up(100, 110), "spike", 1000.0, 1050.0, 10.0),
        (rising(0), "ramp", 500.0, None, 18.0),
    ):
        found = shape(sampled(change))
        assert found is not None
        assert (found.form, found.begin, found.end) == (form, begin, end)
        assert found.size == pytest.approx(size, rel=0.01)
        assert found.noise < 0.01


@pytest.mark.parametrize("height", [0.9, -0.9])
def test_a_step_of_less_than_two_and_a_half_deviations_is_none(height: float) -> None:
    """The noise of medians of five is about 0.5."""
    assert found_in(3, up(120, height=height)).form != "step"
    assert found_in(3, up(120, height=2 * height)).form == "step"


def test_one_or_two_odd_samples_are_no_spike() -> None:
    assert found_in(1, up(100, 102, 100.0)).form == "flat"


def test_what_has_not_come_back_long_enough_is_no_spike() -> None:
    assert found_in(1, up(200, COUNT - 3)).form == "step"


def test_too_few_samples_have_no_shape() -> None:
    assert shape(sampled([0.0] * (3 * LEAST_SIDE - 1))) is None
    assert shape(sampled([0.0] * 3 * LEAST_SIDE)) is not None


@pytest.mark.parametrize("seed", range(20))
def test_shifts_and_scales_change_nothing_else(seed: int) -> None:
    random = Random(seed)
    values = [random.choice((0.0, 1.0, 8.0)) * (number > 30) + random.gauss(0, 1) for number in range(60)]
    found, moved = shape(sampled(values)), shape(sampled([300 * value - 1e4 for value in values]))
    assert found is not None
    assert moved is not None
    assert (moved.form, moved.begin, moved.end) == (found.form, found.begin, found.end)
    assert (moved.size, moved.noise) == pytest.approx((300 * found.size, 300 * found.noise))
