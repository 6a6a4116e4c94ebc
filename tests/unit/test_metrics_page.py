"""Prometheus pages of nodes: whatever they are, they do no harm."""

from __future__ import annotations

import pytest

from stressnet.agent.metricspage import series

PAGE = '# TYPE a counter\na_total{z="1",b="say \\"hi\\""} 3\n# TYPE g gauge\ng 1.5\nbad NaN\nworse +Inf\n'


def test_series_are_named_with_their_labels_in_order() -> None:
    assert list(series(PAGE)) == [('a_total{b="say \\"hi\\"",z="1"}', 3.0), ("g", 1.5)]


def test_a_page_with_too_many_series_is_cut() -> None:
    page = "".join(f'x{{n="{number}"}} 1\n' for number in range(3000))
    assert len(list(series(page))) == 2000


@pytest.mark.parametrize("page", ["<html>no</html>", "x{ 1\n", "x one\n"])
def test_what_is_no_page_is_an_error(page: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own words
        list(series(page))
