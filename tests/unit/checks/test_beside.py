"""Figures in blocks of time: nothing is lost between two blocks, and none spans two lives or two phases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from records import BEGUN
from some_plan import some_plan

from stressnet.checks.beside import Beside, Part, blocks, common, level
from stressnet.checks.figures import FIGURES
from stressnet.making import Making


@pytest.fixture
def making() -> Making:
    plan = some_plan()
    return Making(replace(plan, nodes=(plan.node("us-1"), plan.node("us-2"))))


def beside(making: Making) -> Beside:
    record = making.made()
    return Beside(record, blocks(record, ["timeline", "observe"]))


def test_blocks_fill_the_phases(making: Making) -> None:
    """Each of 5 s or more, none in two phases, and 24 of them at most."""
    record = making.made()
    found = blocks(record, ["timeline", "observe"])
    assert found[0] == (BEGUN + 20, BEGUN + 25)
    assert [begun for begun, _ in found[1:]] == [ended for _, ended in found[:-1]]
    assert len(found) == 16
    making.phases(settle=0, baseline=10, timeline=20, observe=70, over=77)
    assert [round(ended - begun) for begun, ended in blocks(making.made(), ["timeline", "observe"])] == [
        5
    ] * 10 + [7]
    making.phases(settle=0, baseline=10, timeline=20, over=20 + 3600)
    assert len(blocks(making.made(), ["timeline", "observe"])) == 24
    making.phases(settle=0, baseline=10, timeline=20, over=22)
    assert blocks(making.made(), ["timeline"]) == []


def test_a_counter_is_read_at_the_edges_of_blocks(making: Making) -> None:
    """A jump between two looks belongs to the block in which it was, and the sum is all that it rose."""
    making.series("us-1", "hmy_stream_discover", lambda at: 3 * at + 100 * (at >= 33), every=2.0)
    row = beside(making).row(FIGURES["discoveries"], "us-1")
    assert [round(part.amount) for part in row if part][:4] == [15, 15, 115, 15]
    assert level(row, range(len(row))) == pytest.approx(3 + 100 / 80)


def test_a_level_is_its_mean_in_each_block(making: Making) -> None:
    making.series("us-1", "syncnode_open_streams", lambda at: 10 if at < 40 else 20, every=1.0)
    row = beside(making).row(FIGURES["streams"], "us-1")
    assert [part.amount / part.over for part in row if part] == [10] * 4 + [20] * 12


def test_what_cannot_be_had_has_no_parts(making: Making) -> None:
    row = beside(making).row(FIGURES["tasks"], "us-1")
    assert not any(row)
    assert level(row, range(len(row))) is None


def test_a_block_lies_in_one_life_of_a_process_that_has_settled(making: Making) -> None:
    """Started anew at 42 s: the block of its end is left out, and ten seconds after its begin."""

    def look(at: float) -> dict[str, Any]:
        begun = 42 if at >= 42 else 0
        return {"height": int(at), "cpu_s": at - begun, "starts": 1 + (at >= 42), "pid": 100 + (at >= 42)}

    making.looks["us-1"] = look
    row = beside(making).row(FIGURES["cpu"], "us-1")
    assert [place for place, part in enumerate(row) if part is None] == [4, 5, 6]
    assert level(row, range(len(row))) == pytest.approx(1)


def test_two_nodes_have_in_common_what_both_were_seen_in(making: Making) -> None:
    making.looks["us-2"] = lambda at: {"height": int(at), "cpu_s": at} if at < 50 else None
    one = beside(making)
    assert common(one.row(FIGURES["cpu"], "us-1"), one.row(FIGURES["cpu"], "us-2")) == []
    making.looks["us-1"] = lambda at: {"height": int(at), "cpu_s": at}
    one = beside(making)
    assert common(one.row(FIGURES["cpu"], "us-1"), one.row(FIGURES["cpu"], "us-2")) == [0, 1, 2, 3, 4, 5]


def test_cpu_is_shared_among_the_blocks_gained(making: Making) -> None:
    """None where there were none at all, however much was used."""
    making.looks["us-1"] = lambda at: {"height": int(2 * at), "cpu_s": at / 5}
    making.looks["us-2"] = lambda at: {"height": 7, "cpu_s": at / 5}
    one = beside(making)
    rows = [one.row(FIGURES["cpu_per_block"], name) for name in ("us-1", "us-2")]
    assert level(rows[0], range(16)) == pytest.approx(0.1)
    assert rows[1][0] == Part(pytest.approx(1), 0)
    assert level(rows[1], range(16)) is None


def test_lag_is_behind_the_highest_at_the_same_moment(making: Making) -> None:
    making.looks["us-2"] = lambda at: {"height": int(2 * min(at, 60))}
    row = beside(making).row(FIGURES["lag"], "us-2")
    assert [round(part.amount / part.over) for part in row if part] == [0] * 8 + [
        4,
        14,
        24,
        34,
        44,
        54,
        64,
        74,
    ]
