"""The whole night as a record: what was asked, a look a minute at each node, and marks where rounds went otherwise."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from stressnet.checks.expectation import Expectation
from stressnet.checks.registry import CHECKS
from stressnet.checks.verdict import Verdict, judge
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.stages import Asked, write_down
from stressnet.engine.soak import thin
from stressnet.engine.soak.folder import NIGHT
from stressnet.engine.soak.rounds import Round
from stressnet.record import runs
from stressnet.record.journal import RunJournal, read_journal
from stressnet.record.record import Record
from stressnet.record.samples import Samples, Thinned

_EVERY_S = 60.0
_LOOKS = 240
"""At least so many looks, also in short nights: a minute where it takes four hours or more."""


class Night:
    """Keeps the record of a soak as a whole."""

    def __init__(
        self, soak: Path, scenario: Scenario, for_s: float, now: Callable[[], float] = time.time
    ) -> None:
        """`for_s`: how long it takes. `now` returns Unix time."""
        self.path = soak / NIGHT
        self._scenario = scenario
        self._now = now
        self._every_s = min(_EVERY_S, max(1.0, for_s / _LOOKS))
        self._series = frozenset(series for node in scenario.plan.nodes for series in node.series.values())
        self._outcome = ""

    def begin(self, asked: Asked) -> None:
        """Write down what was asked, where that was not done yet."""
        if (self.path / runs.RUN).exists():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        timeline = replace(self._scenario.timeline, steps=())
        whole = replace(
            self._scenario, timeline=timeline, checks=self._checks(), expected=Expectation("pass")
        )
        write_down(self.path, whole, asked)
        self._note("phase", phase="settle")

    def take_in(self, round_: Path, one: Round) -> None:
        """Take in what was seen in a round that is over; the first is what the nodes need to get warm."""
        with suppress(sqlite3.Error), closing(self._samples()) as samples:
            since = (samples.latest() // self._every_s + 1) * self._every_s if samples.latest() else 0.0
            if (round_ / runs.SAMPLES).exists():
                wanted = Thinned(self._every_s, since, self._series, links=False)
                samples.absorb(round_ / runs.SAMPLES, wanted)
        if one.number == 1:
            self._note("phase", phase="timeline")
        if one.outcome != self._outcome:
            self._outcome = one.outcome
            self._note("mark", step="", text=f"round {one.number}: {one.outcome}: {one.reason}")

    def _samples(self) -> Samples:
        return Samples(self.path / runs.SAMPLES, self._scenario.plan.net)

    def _note(self, event: str, **particulars: str) -> None:
        with closing(
            RunJournal(self.path / runs.JOURNAL, lambda: (self._now(), time.monotonic()))
        ) as journal:
            journal.note(event, **particulars)

    def coarsen(self) -> float:
        """Keep every other look only; return the seconds between two looks then."""
        self._every_s *= 2
        thin.thin_samples(self.path / runs.SAMPLES, self._every_s)
        return self._every_s

    def end(self) -> None:
        """Close the record, once."""
        if not any(event.get("phase") == "over" for event in read_journal(self.path / runs.JOURNAL)):
            self._note("phase", phase="over")
        with suppress(sqlite3.Error):
            self._samples().close(alone=True)

    def _checks(self) -> tuple[dict[str, Any], ...]:
        return tuple(one for one in self._scenario.checks if CHECKS[one["check"]].nightly)

    def judge(self) -> Verdict | None:
        """Ask those checks of the plan that make sense of a whole night; None where it has none of them."""
        asked = self._checks()
        return judge(Record(self.path), asked) if asked else None
