"""Do the timeline of a fault plan again and again to one net, until the time is up."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from stressnet.checks.verdict import Verdict, judge
from stressnet.engine.ending import undisturbed
from stressnet.engine.run.phases import Limits
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.stages import write_down
from stressnet.engine.soak import checkpoint, thin
from stressnet.engine.soak.amount import Amount, last_good_night, weigh
from stressnet.engine.soak.budget import Budget
from stressnet.engine.soak.checkpoint import Checkpoint
from stressnet.engine.soak.figures import Change, changes
from stressnet.engine.soak.folder import LINES, SOAK, SUMMARY, new_round, round_folder
from stressnet.engine.soak.night import Night
from stressnet.engine.soak.order import Order
from stressnet.engine.soak.rounds import Round, append, failure_of
from stressnet.engine.soak.summary import again, span, summary, utc
from stressnet.errors import StressnetError, UsageError
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record
from stressnet.record.samples import Samples
from stressnet.spec.units import format_size

_TRIES, _TRY_AGAIN_S = 3, 60.0
"""How often in a row a net may fail to come up, once one has, may not be found, and something not be written."""

T = TypeVar("T")


class _Unwritten(StressnetError):
    """Something could not be written, however often that was tried."""


class Place(Protocol):
    """Where rounds are done: one net at a time."""

    async def find(self) -> bool:
        """Tell whether the net is up, and will be until a round is over."""

    async def make(self) -> None:
        """Bring the net up; StressnetError where that fails, then nothing is left of it."""

    async def calm(self) -> None:
        """Heal whatever faults are on."""

    async def do(self, scenario: Scenario, path: Path, limits: Limits, *, fresh: bool, settled: bool) -> None:
        """Do a round, from a net that is up to a record that is complete; what interrupts is noted there.

        `fresh`: nothing has been done to the net yet. `settled`: it has been seen to settle, so that a round goes on
        also where it does not any more.
        """

    async def remove(self) -> None:
        """Take the net down."""


class Soak:
    """One soak, from where it is to its end."""

    def __init__(
        self,
        order: Order,
        folder: Path,
        place: Place,
        say: Callable[[str], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`now` returns Unix time. UsageError where a later version has begun it."""
        self._order = order
        self._folder = folder
        self._place = place
        self._say = say
        self._now = now
        self._night = Night(folder, order.scenario, order.for_s, now)
        self._budget = Budget(folder, order.budget, self._night.coarsen)
        self._state = replace(checkpoint.load(folder), ended="")
        self._before_s = self._state.soaked_s
        self._begun: float | None = None
        self._changes: dict[str, Change] = {}
        self._changes_at = -order.every_s
        self._told_full = False
        self._good = last_good_night(folder)

    @property
    def soaked_s(self) -> float:
        """How long it has gone on, without the times when nobody did it."""
        begun = self._begun
        return self._before_s + (0.0 if begun is None else asyncio.get_running_loop().time() - begun)

    async def run(self) -> Amount:
        """Go on to the end; cancelling ends it in order: healed, judged, taken down."""
        ended = "interrupted"
        self._night.begin(replace(self._order.asked, command=tuple(self._order.words())))
        self._begun = asyncio.get_running_loop().time()
        ticking = asyncio.create_task(self._tick())
        try:
            await self._take_up()
            ended = await self._rounds()
        except asyncio.CancelledError:
            self._note("interrupted")
        except (StressnetError, OSError) as error:
            if not self._state.nets:
                raise
            ended = "disk" if isinstance(error, _Unwritten) else "net"
            self._note(f"given up: {_first_line(error)}")
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
            await self._remove()
        self._state = replace(self._state, ended=ended, soaked_s=self.soaked_s)
        return await self._end()

    async def _end(self) -> Amount:
        """Write what it amounts to; where that cannot be done, the soak has not ended and can be gone on with."""
        try:
            return await self._written("what it amounts to", self._write_end)
        except _Unwritten as error:
            self._note(_first_line(error))
        except asyncio.CancelledError:  # who is told to stop waits for no disk
            self._note("interrupted")
        self._state = replace(self._state, ended="disk")
        return self._amount()

    def _write_end(self) -> Amount:
        if self._state.begun_at:
            # Once more; where that fails there is a verdict without it.
            with suppress(OSError, sqlite3.Error, StressnetError):
                path = round_folder(self._folder, self._state.number)
                self._close(path, cut_short=self._is_told_to_stop())
        if self._state.ended == "time":
            self._night.end()
        self._read_night()
        amount = self._write(self._night.judge())
        self._save()
        return amount

    async def _written(self, what: str, write: Callable[[], T]) -> T:
        """Return what comes of writing something, which is tried again where a disk is full for a while.

        _Unwritten where it stays so, or where there is no time to wait.
        """
        for left in reversed(range(_TRIES)):
            try:
                with self._budget.alone():
                    return write()
            except (OSError, sqlite3.Error) as error:
                if not left or self._is_told_to_stop():
                    raise _Unwritten(f"{what} could not be written: {error}") from error
                self._note(f"{what} is written later: {error}")
                await asyncio.sleep(_TRY_AGAIN_S)
        raise AssertionError("the last try returns or raises")

    async def _remove(self) -> None:
        """Take the net down; where that fails there is a verdict all the same, and who reads it must know."""
        try:
            await undisturbed(self._place.remove())  # who is told to stop is at its end then
        except (StressnetError, OSError) as error:
            net = self._order.scenario.plan.net
            self._note(f"the net was not taken down, `stressnet down {net}` does it: {_first_line(error)}")

    async def _rounds(self) -> str:
        found = await self._find()
        while self.soaked_s < self._order.for_s:
            if not found and not await self._make():
                return "net"
            if self._state.tally.total and self.soaked_s >= self._order.for_s:
                break  # a new net can take long to come up
            await self._round(fresh=not found)
            if self._is_told_to_stop():
                self._note("interrupted")
                return "interrupted"
            gc.collect()  # by itself it lets the cycles of many rounds pile up, and the heap never shrinks again
            found = await self._find()
        return "time"

    async def _find(self) -> bool:
        """Tell whether the net is up; who should know may be too busy for a while."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._place.find()
            except (StressnetError, OSError) as error:
                if not left or not self._state.nets:
                    raise
                self._note(f"nobody says whether the net is up: {_first_line(error)}")
                await asyncio.sleep(_TRY_AGAIN_S)
        raise AssertionError("the last try returns or raises")

    def _is_told_to_stop(self) -> bool:
        task = asyncio.current_task()
        return bool(task and task.cancelling())

    async def _make(self) -> bool:
        """Bring a net up, not only the first; tell whether that went well at last."""
        if self._state.nets:
            self._note(f"the net was gone after round {self._state.number}; a new one was made")
        if self._state.settled:  # written before there is one, else a kill would let it pass for the old one
            await self._written("the checkpoint", lambda: self._save(replace(self._state, settled=False)))
        for left in reversed(range(_TRIES)):
            try:
                await self._place.make()
            except (StressnetError, OSError) as error:
                if not self._state.nets:
                    raise
                self._note(f"the net did not come up: {_first_line(error)}")
                if left:
                    await asyncio.sleep(_TRY_AGAIN_S)
            else:
                self._state = replace(self._state, nets=self._state.nets + 1)
                return True
        return False

    # One round.

    async def _round(self, *, fresh: bool) -> None:
        number = self._state.number + 1
        scenario = self._order.scenario.of_round(number)
        path = await self._written(f"round {number}", lambda: self._begin(scenario, number))
        limits = Limits(self._budget.room, self._budget.log_bytes(len(scenario.plan.nodes)))
        why = ""
        try:
            if not fresh:
                # What a round asked for too late, or a controller before it died, may have come since.
                await self._place.calm()
            await self._place.do(scenario, path, limits, fresh=fresh, settled=self._state.settled)
        except asyncio.CancelledError:  # before there was anything to heal
            why = "interrupted"
        except (StressnetError, OSError, sqlite3.Error) as error:
            # Such as an agent that ends while it is spoken to, or a disk that is full for a moment.
            why = str(error) or type(error).__name__
        at = self._now()
        if why:
            await self._written(f"round {number}", lambda: _stop(path, why, at))
        await self._written(f"round {number}", lambda: self._close(path, cut_short=self._is_told_to_stop()))

    def _begin(self, scenario: Scenario, number: int) -> Path:
        """Make the record of a round, and then let the checkpoint say that it is being done; return the record."""
        self._budget.begin(number)
        path = new_round(self._folder, number)
        words = again({"command": self._order.asked.command}, number)
        write_down(path, scenario, replace(self._order.asked, command=tuple(words)))
        for name in (runs.PLAN, runs.SOURCE):
            thin.share(path / name, self._night.path / name)
        self._save(replace(self._state, number=number, seed=scenario.seed, begun_at=self._now()))
        return path

    def _close(self, path: Path, *, cut_short: bool) -> None:
        """Judge a round, and keep what is to be kept of it. After a kill, or an error, it is done again."""
        record = Record(path)
        verdict = judge(record, self._order.scenario.checks)
        runs.write_json(path / runs.VERDICT, verdict.to_raw())
        if self._state.begun_at:  # else it is counted, and only what comes after that is done again
            one = self._line(verdict, record, cut_short=cut_short and bool(record.incomplete))
            self._night.take_in(path, one)
            self._add(one, settled="baseline" in record.phases)
        self._save()
        first = self._state.tally.first_failure
        self._budget.settle(self._state.number, first.number if first else 0)
        if self._budget.full and not self._told_full:
            self._told_full = True
            limit = format_size(self._order.budget)
            self._note(
                f"from round {self._state.number} on {limit} leave no room for records: verdicts only are kept"
            )
        if self.soaked_s >= self._changes_at + self._order.every_s:
            self._read_night()
        self._write()

    def _line(self, verdict: Verdict, record: Record, *, cut_short: bool) -> Round:
        state = self._state
        return Round(
            number=state.number,
            seed=state.seed,
            net=state.nets,
            begun_at=state.begun_at,
            ended_at=record.now,
            soaked_s=self.soaked_s,
            outcome=verdict.outcome,
            reason=verdict.reason,
            cut_short=cut_short,
            failure=failure_of(record, verdict),
        )

    def _add(self, one: Round, *, settled: bool = False) -> None:
        """Count a round; `settled`: its net has come to a baseline."""
        append(self._folder / LINES, one)
        self._state = replace(
            self._state,
            begun_at=0.0,
            tally=self._state.tally.with_round(one),
            settled=self._state.settled or settled,
        )
        took = span(one.ended_at - one.begun_at)
        self._say(f"round {one.number}  {one.outcome}  {took}  {one.reason}")

    # Going on with what another process has begun.

    async def _take_up(self) -> None:
        """Judge the round that was being done when its controller died: by its record where that is whole, else it is
        inconclusive.
        """
        if not self._state.begun_at:
            return
        number = self._state.number
        try:
            record = Record(round_folder(self._folder, number))
        except UsageError:  # torn, or there is none yet
            record = None
        whole = record is not None and record.collected
        how = "was whole at" if whole else "was cut short by"
        self._note(f"round {number} {how} the death of its controller")
        if record:
            await self._close_as_it_is(record)
        else:
            await self._written(f"round {number}", self._close_unrecorded)

    async def _close_as_it_is(self, record: Record) -> None:
        path, died_at = record.path, max(record.now, self._state.begun_at)
        last = self._state.tally.last
        before_s = last.soaked_s if last else 0.0
        self._before_s = max(self._before_s, before_s + died_at - self._state.begun_at)
        if not record.collected:
            await self._written(f"round {path.name}", lambda: _stop(path, "its controller died", died_at))
        if (path / runs.SAMPLES).exists():
            with suppress(Exception):  # torn as it may be
                Samples(path / runs.SAMPLES, "").close(alone=True)
        await self._written(f"round {path.name}", lambda: self._close(path, cut_short=True))

    def _close_unrecorded(self) -> None:
        state, why = self._state, "the run is not complete: its controller died"
        if at := state.begun_at:
            self._add(
                Round(state.number, state.seed, state.nets, at, at, self.soaked_s, "inconclusive", why, True)
            )
        self._save()

    # What is written while it goes on.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._order.every_s)
            try:
                self._save()
                # Faults are on, and end if nothing renews their leases for 10 s: to make room can take longer.
                await asyncio.to_thread(self._budget.room, 0)
                self._write()
            except (OSError, sqlite3.Error) as error:  # a disk that is full for a moment
                self._say(f"what it amounts to could not be written: {error}")
            lasted = f"{span(self.soaked_s)} of {span(self._order.for_s)}"
            self._say(f"{lasted}  {self._state.tally.words()}")

    def _note(self, words: str) -> None:
        self._state = self._state.noting(f"{utc(self._now())}: {words}")
        self._say(words)

    def _save(self, state: Checkpoint | None = None) -> None:
        """Write how far it has come, or that it has come to another state, which is so only then."""
        state = replace(state or self._state, soaked_s=self.soaked_s)
        checkpoint.save(self._folder, state, self._now())
        self._state = state

    def _read_night(self) -> None:
        """Read the figures of the night again: between rounds, and only now and then, because it gets long."""
        self._changes, self._changes_at = changes(Record(self._night.path)), self.soaked_s

    def _write(self, night: Verdict | None = None) -> Amount:
        """Write what it amounts to so far."""
        amount = self._amount(night)
        runs.write_json(self._folder / runs.VERDICT, amount.to_raw())
        text = summary(self._folder, runs.read_json(self._folder / SOAK), amount, self._good)
        runs.write_text(self._folder / SUMMARY, text)
        return amount

    def _amount(self, night: Verdict | None = None) -> Amount:
        """Return what it amounts to so far, with the figures that were read last."""
        outcome, reason = weigh(self._state, night)
        return Amount(outcome, reason, self._state, self._changes, night)


def _first_line(error: StressnetError | OSError) -> str:
    return str(error).splitlines()[0].rstrip(":") if str(error) else type(error).__name__


def _stop(path: Path, why: str, at: float) -> None:
    """Write into the record of a round that it was not done to its end."""
    with closing(RunJournal(path / runs.JOURNAL, lambda: (at, 0.0))) as journal:
        journal.note("stopped", why=why)
        journal.note("phase", phase="over")
