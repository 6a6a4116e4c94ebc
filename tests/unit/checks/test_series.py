"""How much counters rose, over the ends of the processes that count."""

from __future__ import annotations

import pytest

from stressnet.checks.series import steps
from stressnet.record.rows import NodeSample


def looks(restarted: float) -> list[NodeSample]:
    """A look at every full second; the process is another one from a time on."""
    starts = [1 if at < restarted else 2 for at in range(10)]
    return [NodeSample(float(at), float(at), "us-1", "ready", 99 + one, one) for at, one in enumerate(starts)]


@pytest.mark.parametrize(
    ("points", "rises"),
    [
        ([(1.5, 100.0), (3.5, 140.0)], [40.0]),
        ([(3.5, 100.0), (5.5, 7.0)], [7.0]),
        ([(3.2, 100.0), (4.6, 7.0), (6.5, 9.0)], [7.0, 2.0]),
        ([(6.5, 100.0), (8.5, 7.0)], [-93.0]),
    ],
    ids=["one life", "another", "read before it was looked at", "it fell"],
)
def test_a_counter_begins_anew_with_its_process(
    points: list[tuple[float, float]], rises: list[float]
) -> None:
    """The node is started anew at 4.5 s: whoever reads the counter then may know it before the next look."""
    assert [rise for _, _, rise in steps(points, looks(4.5))] == rises


def test_without_looks_nobody_knows_of_another_life() -> None:
    assert [rise for _, _, rise in steps([(1.0, 5.0), (2.0, 3.0)], [])] == [-2.0]
