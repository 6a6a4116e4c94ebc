"""Lines: what is drawn is what was measured, at any number of points."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise

import pytest

from stressnet.report import svg
from stressnet.report.charts import apart
from stressnet.report.page import Line
from stressnet.report.scale import Scale, moment, time_scale, value, value_scale
from stressnet.report.timeline import merged

TIME = Scale(0, 100, ())
VALUES = Scale(0, 10, ())


def dots(path: str) -> list[list[tuple[int, int]]]:
    """Return the corners of each run of a path."""
    runs: list[list[tuple[int, int]]] = []
    for letter, numbers in re.findall(r"([Mlh])([^A-Za-z]*)", path):
        values = [int(number) for number in re.findall(r"-?\d+", numbers)]
        if letter == "M":
            runs.append([(values[0], values[1])])
        elif letter == "l":
            for right, down in zip(values[::2], values[1::2], strict=True):
                runs[-1].append((runs[-1][-1][0] + right, runs[-1][-1][1] + down))
    return runs


def test_a_line_goes_through_its_points() -> None:
    """Time goes from left to right, and the greatest value is at the top."""
    assert dots(svg.line([(0, 0), (50, 10), (100, 5)], TIME, VALUES)) == [[(0, 2000), (500, 0), (1000, 1000)]]


def test_what_was_not_looked_at_is_a_gap() -> None:
    """None ends a line; a point alone between two gaps is a dot."""
    path = svg.line([(0, 1), (10, 1), (20, None), (30, 2), (40, None), (50, 3), (60, 4)], TIME, VALUES)
    assert [len(run) for run in dots(path)] == [2, 1, 2]
    assert "h0" in path


def test_points_on_a_straight_way_are_left_out_and_nothing_else() -> None:
    """A node that stands still for an hour costs two points; every corner stays."""
    flat = [(float(at), 5.0) for at in range(100)]
    assert dots(svg.line([*flat, (100, 6)], TIME, VALUES)) == [[(0, 1000), (990, 1000), (1000, 800)]]
    back = [(0.0, 5.0), (0.0, 8.0), (0.0, 2.0), (10.0, 2.0)]
    assert dots(svg.line(back, TIME, VALUES)) == [[(0, 1000), (0, 400), (0, 1600), (100, 1600)]]


def test_a_reduced_line_keeps_every_peak() -> None:
    """Each column keeps its least and its greatest point, in the order in which they came."""
    dice = random.Random(3)
    points = [(at / 100, dice.random() * 10) for at in range(10_000)]
    kept = svg.reduce(points, TIME, 50)
    assert len(kept) == 100
    assert list(kept) == sorted(kept)
    assert set(kept) <= set(points)
    assert min(kept, key=lambda point: point[1]) == min(points, key=lambda point: point[1])
    assert max(kept, key=lambda point: point[1]) == max(points, key=lambda point: point[1])


def test_regions_are_summed_up_by_least_median_and_greatest() -> None:
    """Each moment of a region has the least, the median and the greatest of its nodes; gaps stay gaps."""
    lines = [
        Line(name, "eu", [(at, base if at < 50 else None) for at in range(100)])
        for name, base in (("a", 1.0), ("b", 2.0), ("c", 9.0))
    ]
    found = svg.spread(lines, TIME)
    assert {sums for at, sums in found if at < 48} == {(1.0, 2.0, 9.0)}
    assert {sums for at, sums in found if at > 52} == {None}


def test_looks_that_are_late_leave_no_gap_in_a_region() -> None:
    """Regular looks that come a third of their interval early or late fill every moment."""
    dice = random.Random(5)
    points = [(at + dice.uniform(0, 0.33), 1.0) for at in range(100)]
    assert None not in [sums for _, sums in svg.spread([Line("a", "", points)], TIME)]


@pytest.mark.parametrize("unit", ["blocks", "CPUs", "bytes", "a second", "count", "seconds"])
def test_axes_hold_all_values_with_few_ticks(unit: str) -> None:
    """Whatever the size of the values, the axis spans them with 3 to 8 ticks that are written differently."""
    dice = random.Random(9)
    for power in range(-3, 13):
        values = [dice.random() * 10.0**power for _ in range(20)]
        scale = value_scale(values, unit)  # type: ignore[arg-type]
        assert scale.low <= min(values) <= max(values) <= scale.high
        assert len({value(tick, unit) for tick in scale.ticks}) == len(scale.ticks)  # type: ignore[arg-type]
        assert 2 <= len(scale.ticks) <= 8


def test_an_axis_of_heights_need_not_begin_at_zero() -> None:
    """Heights far from 0 are shown where they are, all else from 0."""
    assert value_scale([118_200, 118_500], "blocks").low == 118_200
    assert value_scale([900, 1000], "count").low == 0


def test_there_are_no_parts_of_blocks() -> None:
    """Ticks of what is counted are whole numbers."""
    assert value_scale([0, 1], "blocks").ticks == (0, 1)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "00:00"), (59.6, "01:00"), (3599, "59:59"), (3600, "1:00:00"), (-30, "−00:30")]
)
def test_moments_are_written_as_on_a_clock(seconds: float, words: str) -> None:
    """Minutes and seconds, and hours where there are any."""
    assert moment(seconds) == words


@pytest.mark.parametrize("length", [1, 7, 60, 170, 600, 3600, 86_400, 40 * 86_400])
def test_an_axis_of_time_has_a_few_round_ticks(length: float) -> None:
    """Runs from a second to weeks have up to ten ticks."""
    assert 1 < len(time_scale(0, length).ticks) <= 10


def test_labels_do_not_overlap() -> None:
    """Labels are moved apart as little as it takes, keep their order, and stay inside."""
    placed = apart([(0.5, "b", ""), (0.5, "c", ""), (0.1, "a", ""), (1.0, "e", ""), (0.99, "d", "")], 0.1)
    tops = [top for top, *_ in placed]
    assert [text for _, text, _ in placed] == ["a", "b", "c", "d", "e"]
    assert all(below - above > 0.0999 for above, below in pairwise(tops))
    assert tops[0] == pytest.approx(0.1)
    assert max(tops) <= 1


def test_stretches_that_touch_are_one() -> None:
    """The background of faults that overlap is drawn once, not darker."""
    assert merged([(5, 6), (0, 2), (1, 3), (3.1, 4)], 0.2) == [(0, 4), (5, 6)]


def test_columns_shrink_with_the_number_of_lines() -> None:
    """Few lines have a column a pixel; many share what a page may hold."""
    assert svg.columns(6) == svg.WIDTH
    assert 2 * 1200 * svg.columns(1200) <= svg.BUDGET
    assert svg.columns(0) == svg.WIDTH
    assert math.isfinite(svg.columns(10**6))
