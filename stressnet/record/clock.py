"""The time of a run's own timeline, which stands still from the death of its controller until it is gone on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]


class Clock:
    """Turns Unix times into those of a run's timeline."""

    def __init__(self, events: Sequence[Event], begun_at: float = 0.0) -> None:
        """`events` are those of the journal; `begun_at` (Unix time) is when the run began, where it has none yet."""
        phases = (event for event in events if event["event"] == "phase")
        begins = (event["time"] for event in phases if event["phase"] == "timeline")
        first = min((event["time"] for event in events), default=begun_at)
        self.begun: float = next(begins, first)
        """When the timeline began, or the run, where it has come no further; Unix time."""
        self._pauses = tuple(_pauses(events))
        self._origin = self._done_s(self.begun)

    def seconds(self, at: float) -> float:
        """Return a Unix time as seconds of the timeline; below 0 where it is before it."""
        return self._done_s(at) - self._origin

    def words(self, at: float) -> str:
        """Write a Unix time as minutes and seconds of the timeline, with a sign: `+1:15`."""
        seconds = round(self.seconds(at))
        return f"{'-' if seconds < 0 else '+'}{abs(seconds) // 60}:{abs(seconds) % 60:02d}"

    def _done_s(self, at: float) -> float:
        done = at
        for begin, end in self._pauses:  # mostly none, and charts ask for each of their points
            if begin < at:
                done -= min(at, end) - begin
        return done


def _pauses(events: Sequence[Event]) -> Iterator[tuple[float, float]]:
    """Yield the times in which nobody did the run: it was resumed in a phase of which so much was over."""
    since = elapsed_s = 0.0
    for event in events:
        if event["event"] == "phase":
            since, elapsed_s = event["time"], 0.0
        elif event["event"] == "resumed":
            yield since + event["elapsed_s"] - elapsed_s, event["time"]
            since, elapsed_s = event["time"], event["elapsed_s"]
