"""Figures are read and written in their units, and belong to one life of a node."""

from __future__ import annotations

import pytest
from records import BEGUN, Making

from stressnet.checks.figures import (
    FIGURES,
    counted,
    followed,
    format_amount,
    format_rate,
    lives,
    parse_amount,
    parse_floor,
    parse_rate,
    per_block,
)
from stressnet.spec.units import QuantityError


@pytest.mark.parametrize(
    ("figure", "text", "per_s"),
    [
        ("memory", "1MiB/m", 2**20 / 60),
        ("memory", "10 MB/h", 1e7 / 3600),
        ("fds", "5/m", 5 / 60),
        ("streams", "0.5/s", 0.5),
        ("cpu", "10%/m", 0.1 / 60),
        ("cpu", "250%/d", 2.5 / 86400),
    ],
)
def test_rates_have_an_amount_and_a_time(figure: str, text: str, per_s: float) -> None:
    assert parse_rate(FIGURES[figure], text) == pytest.approx(per_s)


@pytest.mark.parametrize(
    ("figure", "value"),
    [("memory", "1MiB"), ("memory", "5/m"), ("fds", 5), ("fds", "5/x"), ("fds", "-5/m"), ("cpu", "0.1/m")],
)
def test_a_rate_without_its_units_is_refused(figure: str, value: object) -> None:
    with pytest.raises(QuantityError):
        parse_rate(FIGURES[figure], value)


def test_amounts_are_of_what_is_followed() -> None:
    assert parse_amount(FIGURES["fds"], 1024) == 1024
    assert parse_amount(FIGURES["cpu"], "25%") == 0.25
    assert parse_floor(FIGURES["opens"], "120/m") == 2
    assert parse_floor(FIGURES["cpu"], "50%") == 0.5
    with pytest.raises(QuantityError):
        parse_amount(FIGURES["fds"], True)


def test_what_is_written_can_be_read_again() -> None:
    for name, amount in [("memory", 64 * 2**20), ("cpu", 0.25), ("opens", 2.0), ("streams", 20.0)]:
        figure = FIGURES[name]
        assert parse_floor(figure, format_amount(figure, amount)) == pytest.approx(amount)
    for name, per_s in [("memory", 2**20 / 60), ("cpu", 0.1 / 60), ("fds", 5 / 60)]:
        assert parse_rate(FIGURES[name], format_rate(FIGURES[name], per_s)) == pytest.approx(per_s)
    assert format_rate(FIGURES["memory"], -(2**20) / 60) == "-1MiB/m"


@pytest.fixture
def restarted(making: Making) -> Making:
    """A node that is started anew at 50 s, at work from 55 s on; a tenth of a core, two blocks a second."""

    def look(at: float) -> dict[str, object]:
        if at < 50:
            return {"cpu_s": at / 10, "height": int(2 * at), "starts": 1}
        state = "exited" if at < 52 else "starting" if at < 55 else "ready"
        return {"cpu_s": (at - 50) / 10, "height": int(2 * at), "starts": 2, "state": state}

    making.looks["us-1"] = look
    making.series("us-1", "syncnode_tasks", lambda at: at, every=1)
    return making


def test_a_life_is_one_process(restarted: Making) -> None:
    first, second = lives(restarted.made(), "us-1", BEGUN + 20, BEGUN + 80)
    assert (first.starts, first.begun, first.ended) == (1, BEGUN + 20, BEGUN + 49.5)
    assert (second.starts, second.begun, second.ended) == (2, BEGUN + 52, BEGUN + 80)


def test_counters_are_followed_as_rates_over_a_window(restarted: Making) -> None:
    record = restarted.made()
    first, second = lives(record, "us-1", BEGUN + 20, BEGUN + 80)
    rates = followed(record, first, FIGURES["cpu"])
    assert [at for at, _ in rates][:2] == [BEGUN + 25, BEGUN + 25.5]
    assert [rate for _, rate in rates] == pytest.approx([0.1] * len(rates))
    assert len(followed(record, second, FIGURES["cpu"])) == 47


def test_series_are_cut_where_a_life_ends(restarted: Making) -> None:
    record = restarted.made()
    first, _ = lives(record, "us-1", BEGUN + 20, BEGUN + 80)
    assert [value for _, value in counted(record, first, FIGURES["tasks"])] == [
        float(at) for at in range(20, 50)
    ]
    assert list(counted(record, first, FIGURES["streams"])) == []


def test_work_is_counted_in_blocks_where_there_are_some(restarted: Making) -> None:
    (life,) = lives(restarted.made(), "us-1", BEGUN, BEGUN + 40)
    assert [seconds for _, seconds in per_block(life)] == pytest.approx([0.05] * 71)
    restarted.looks["us-1"] = lambda at: {"cpu_s": at / 10, "height": min(20, int(2 * at))}
    (life,) = lives(restarted.made(), "us-1", BEGUN, BEGUN + 40)
    assert per_block(life) == []
