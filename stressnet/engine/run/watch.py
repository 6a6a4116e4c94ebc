"""Beside all stages: fetch what the agent has sampled, judge what there is so far, and gather evidence at a breach."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stressnet.backends.base import Backend
from stressnet.checks.verdict import Judgement, Verdict, judge
from stressnet.engine.ending import to_its_end
from stressnet.engine.links import changed_by_others
from stressnet.engine.run.evidence import Room, gather, unlimited
from stressnet.engine.samples import fetch
from stressnet.errors import StressnetError
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record
from stressnet.record.samples import Samples

_FETCH_S = 2.0
_OVERLAP_S = 15.0
"""Metrics are written some time after they were asked for: what is fetched twice is kept once."""
_JUDGE_S = 4.0
_JUDGE_SHARE = 0.1
"""Of the time at most is spent on judging: a record of many hours takes seconds to read."""

_GROWTH = 3
"""How much a file of samples grows at most by, in sizes of what it takes in: the log of SQLite holds all once more."""


class Watch:
    """Keeps the record up to date while a net is up."""

    def __init__(
        self,
        path: Path,
        backend: Backend,
        journal: RunJournal,
        checks: Sequence[Mapping[str, Any]],
        since: float = 0.0,
        room: Room = unlimited,
        breached: Iterable[str] = (),
    ) -> None:
        """`since` (Unix time): what was sampled before is not of this run. `room` is asked before the record grows.
        `breached`: checks of whose first failure there is evidence already."""
        self._since = since
        self._room = room
        self._path = path
        self._backend = backend
        self._journal = journal
        self._checks = checks
        self._samples: Samples | None = None
        self._breached = set(breached)
        self._failing = ""
        self._lost = False
        self._changed: dict[str, int] = {}
        """How often others had changed rules and queues of links at the last look."""
        self.verdict: Verdict | None = None
        """The present opinion."""

    async def run(self) -> None:
        """Fetch and judge again and again, until cancelled."""
        due = time.monotonic() + _JUDGE_S
        while True:
            await asyncio.sleep(_FETCH_S)
            await self.fetch()
            begun = time.monotonic()
            if begun >= due:
                await self.judge()
                ended = time.monotonic()
                due = ended + max(_JUDGE_S, (ended - begun) / _JUDGE_SHARE)

    async def fetch(self) -> None:
        """Take in what the agent has sampled since the last time, and whether it alone has controlled the links."""
        try:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / runs.SAMPLES
                # A clock may be set back.
                latest = min(self._opened().latest(), time.time())
                since = max(self._since, latest - _OVERLAP_S)
                size = await fetch(self._backend, copy, since)
                if not await asyncio.to_thread(self._room, _GROWTH * size):
                    self._lose("there is no room for them")
                    return
                await to_its_end(asyncio.to_thread(lambda: self._opened().absorb(copy)))
            await self._look_at_control()
        except (StressnetError, OSError, sqlite3.Error) as error:
            # An agent that is just being started again, or a disk that is full for a moment: what is missing comes with
            # the next.
            before, self._failing = self._failing, str(error)
            if self._failing != before:
                self._note("samples not fetched", why=self._failing)
        else:
            self._failing = ""

    async def _look_at_control(self) -> None:
        """Note what anybody else has changed since the last look; an agent that has started again counts anew."""
        for what, times in (await changed_by_others(self._backend)).items():
            before = self._changed.get(what, times)
            fresh = times - before if times >= before else times
            if fresh:
                self._note("control changed", what=what, times=fresh)
            self._changed[what] = times

    def _lose(self, why: str) -> None:
        if not self._lost:
            self._note("samples lost", why=why)
        self._lost = True

    def _opened(self) -> Samples:
        if self._samples is None:
            self._samples = Samples(self._path / runs.SAMPLES, self._path.parent.name)
        return self._samples

    async def judge(self) -> None:
        """Judge the record as it is, and gather evidence for what fails for the first time."""
        self.verdict = await asyncio.to_thread(lambda: judge(Record(self._path), self._checks))
        for one in self.verdict.judgements:
            if one.finding.outcome == "fail" and one.name not in self._breached:
                await self._breach(one)
                self._breached.add(one.name)

    async def _breach(self, one: Judgement) -> None:
        self._note("breach", check=one.name, summary=one.finding.summary, nodes=list(one.finding.nodes))
        folder = self._path / runs.EVIDENCE
        files = await gather(self._backend, one.finding.nodes, folder, one.name, room=self._room)
        self._note("evidence", check=one.name, files=files)

    def _note(self, event: str, **particulars: Any) -> None:
        """Note an event. What a full disk does not take the journal writes with its next line: no watch ends by it."""
        with suppress(OSError):
            self._journal.note(event, **particulars)

    def close(self) -> None:
        """Close the record's file of samples."""
        if self._samples is not None:
            self._samples.close(alone=True)
