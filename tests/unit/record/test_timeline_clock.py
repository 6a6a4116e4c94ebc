"""The time of a run's own timeline, by which texts and charts say when something was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.records import BEGUN, make_record

from stressnet.record.clock import Clock
from stressnet.record.record import Record


def event(second: float, name: str, **more: Any) -> dict[str, Any]:
    return {"time": BEGUN + second, "event": name, **more}


def phase(second: float, name: str) -> dict[str, Any]:
    return event(second, "phase", phase=name)


@pytest.mark.parametrize(
    ("second", "seconds", "words"),
    [
        (0, -15, "-0:15"),
        (10, -6, "-0:06"),
        (14, -6, "-0:06"),
        (20, 0, "+0:00"),
        (28, 8, "+0:08"),
        (40, 8, "+0:08"),
        (48, 8, "+0:08"),
        (52, 12, "+0:12"),
        (60, 12, "+0:12"),
        (182, 125, "+2:05"),
    ],
)
def test_it_stands_still_while_nobody_does_the_run(second: float, seconds: float, words: str) -> None:
    """Killed 6 s before the timeline, 8 s into it, and once more 4 s after it was gone on with."""
    events = [
        *(phase(0, "up"), phase(5, "baseline"), event(14, "resumed", phase="baseline", elapsed_s=4.0)),
        *(phase(20, "timeline"), event(48, "resumed", phase="timeline", elapsed_s=8.0)),
        event(69, "resumed", phase="timeline", elapsed_s=12.0),
    ]
    clock = Clock(events)
    assert clock.seconds(BEGUN + second) == seconds
    assert clock.words(BEGUN + second) == words


def test_before_the_timeline_it_counts_from_the_begin_of_the_run() -> None:
    """Of which somebody else must know where nothing is noted yet."""
    assert Clock([phase(3, "up"), phase(5, "settle")]).words(BEGUN + 68) == "+1:05"
    assert Clock([], BEGUN).words(BEGUN + 2) == "+0:02"


def test_a_record_says_times_as_they_were_shown_while_it_went_on(tmp_path: Path) -> None:
    """Killed 7 s into the timeline, and gone on with 20 s later: 5 s after that it is at +0:12."""
    path = make_record(tmp_path, until=12, more=[event(32, "resumed", phase="timeline", elapsed_s=7.0)])
    assert Record(path).clock(BEGUN + 37) == "+0:12"
