"""Prometheus pages of nodes: whatever they are, they do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressnet.agent.metricspage import Page

PAGE = '# TYPE a counter\na_total{z="1",b="say \\"hi\\""} 3\n# TYPE g gauge\ng 1.5\nbad NaN\nworse +Inf\n'
SERIES = [('a_total{b="say \\"hi\\"",z="1"}', 3.0), ("g", 1.5)]


def test_series_are_named_with_their_labels_in_order() -> None:
    assert Page().read(PAGE) == SERIES


def test_the_next_page_is_read_by_what_the_first_has_said() -> None:
    """Also where it has other numbers, more series, or fewer."""
    page = Page()
    page.read(PAGE)
    assert page.read(PAGE.replace("} 3", "} 4.5")) == [(SERIES[0][0], 4.5), SERIES[1]]
    assert page.read(PAGE + "new 1\n") == [*SERIES, ("new", 1.0)]
    assert page.read("g 2\n") == [("g", 2.0)]


def test_a_time_at_the_end_of_a_line_is_no_value() -> None:
    page = Page()
    for stamp in (1395066363000, 1395066364000):
        assert page.read(f"x 1 {stamp}\ny 2 {stamp}\n") == [("x", 1.0), ("y", 2.0)]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(allow_nan=False, allow_infinity=False)), max_size=6)
)
def test_both_ways_of_reading_agree(values: list[tuple[str, float]]) -> None:
    text = "".join(f'{name}{{n="{number}"}} {value!r}\n' for number, (name, value) in enumerate(values))
    page = Page()
    first = page.read(text)
    assert page.read(text) == first == Page().read(text)
    assert [value for _, value in first] == [value for _, value in values]


def test_a_page_with_too_many_series_is_cut() -> None:
    page = Page()
    text = "".join(f'x{{n="{number}"}} 1\n' for number in range(3000))
    assert [len(page.read(text)), len(page.read(text))] == [2000, 2000]


@pytest.mark.parametrize("text", ["<html>no</html>", "x{ 1\n", "x one\n"])
def test_what_is_no_page_is_an_error(text: str) -> None:
    page = Page()
    for _ in range(2):
        with pytest.raises(ValueError):  # noqa: PT011 - the parser's own words
            page.read(text)
