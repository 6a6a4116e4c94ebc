"""Stages 3 to 6: from a net that is up, through all phases, to a record that is complete."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stressnet.backends.base import Backend
from stressnet.engine.capture import keep_packets
from stressnet.engine.ending import undisturbed
from stressnet.engine.links import look_at_links
from stressnet.engine.run import answers
from stressnet.engine.run.calls import Caller
from stressnet.engine.run.collect import LOG_BYTES, collect_blocks, collect_logs
from stressnet.engine.run.evidence import Room, unlimited
from stressnet.engine.run.net import LiveNet
from stressnet.engine.run.resume import Progress
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.settle import NotSettled, settle
from stressnet.engine.run.timeline import TimelineRun
from stressnet.engine.run.watch import Watch
from stressnet.engine.up import Report
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal, read_journal
from stressnet.record.record import PHASES


class Screen(Report, Protocol):
    """Who is told how far a run has come, also of the stages before a net is up."""

    def begun(self, scenario: Scenario, path: Path) -> None:
        """This begins, and its record lies there."""

    def phase(self, name: str, seconds: float) -> None:
        """A phase has begun, which takes so long; 0: nobody knows."""

    async def watch(self, view: View) -> None:
        """Show what happens, until cancelled."""


@dataclass(frozen=True, slots=True)
class View:
    """What there is to be shown of a run while it goes on."""

    path: Path
    plan: Plan
    backend: Backend
    timeline: TimelineRun
    watch: Watch


@dataclass(frozen=True, slots=True)
class Before:
    """How far a net had come before a run on it began: what was before is not part of its record."""

    at: float = 0.0
    """Unix time."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """By node, the place where its log ended."""
    bypassed: Mapping[str, int] = field(default_factory=dict)
    """By link, packets that had tried to get around control."""
    settled: bool = False
    """Whether it had been seen to settle. Then a run goes on where it does not: that is for checks to find."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a record may take of the disk."""

    room: Room = unlimited
    """Asked before samples are written."""
    log_bytes: int = LOG_BYTES
    """Of each node."""


async def live(
    scenario: Scenario,
    backend: Backend,
    path: Path,
    journal: RunJournal,
    screen: Screen,
    progress: Progress | None = None,
    *,
    before: Before | None = None,
    limits: Limits = Limits(),  # it is frozen
) -> None:
    """Go through all phases of a scenario on a net that is up, and complete its record.

    With `progress` it goes on from there. What interrupts is noted in the journal, and goes no further: there is a
    record of it all the same. `before`: the net has been up for longer.
    """
    since = before or Before()
    async with backend.keeping():
        breached = _breached(path) if progress else ()
        watch = Watch(path, backend, journal, scenario.checks, since.at, limits.room, breached)
        net = LiveNet(scenario.plan, backend, path / runs.SAMPLES)
        timeline = TimelineRun(scenario.timeline, net, journal, scenario.seed, Caller(scenario.plan, backend))
        view = View(path, scenario.plan, backend, timeline, watch)
        beside = {"watch": watch.run(), "screen": screen.watch(view)}
        if answers.are_wanted(scenario.checks):
            beside["answers"] = answers.keep_asking(scenario.plan, backend, path, journal)
        watching = [asyncio.create_task(work, name=name) for name, work in beside.items()]
        phases = _Phases(scenario, backend, journal, timeline, screen, before)
        try:
            await phases.run(progress or Progress(), fresh=not progress)
        except (NotSettled, StressnetError, ExceptionGroup) as error:
            journal.note("stopped", why=why(error, "a step failed"))
        except asyncio.CancelledError:
            journal.note("stopped", why="interrupted")
        finally:
            # Who is told to stop meanwhile is at the end anyhow, and the record whole.
            await undisturbed(_end(view, journal, watching, since, limits))


@dataclass(frozen=True, slots=True)
class _Phases:
    scenario: Scenario
    backend: Backend
    journal: RunJournal
    timeline: TimelineRun
    screen: Screen
    before: Before | None

    async def run(self, progress: Progress, *, fresh: bool) -> None:
        does: Mapping[str, tuple[float, Callable[[float], Awaitable[None]]]] = {
            "settle": (0.0, self._settle),
            "baseline": (self.scenario.settling.baseline_s, self._baseline),
            "timeline": (self.scenario.timeline.duration_s, lambda passed: self._timeline(passed, progress)),
            "observe": (self.scenario.timeline.observe_s, self._observe),
        }
        for name in PHASES[PHASES.index(progress.phase) :]:
            goes_on = name == progress.phase and not fresh
            if not goes_on:
                self.journal.note("phase", phase=name)
            seconds, do = does[name]
            self.screen.phase(name, seconds)
            await do(progress.elapsed_s if goes_on else 0.0)

    async def _settle(self, _: float) -> None:
        links = await look_at_links(self.backend)
        said = {"problem": links.packets_problem, "streams": links.streams_problem, "relays": links.relays}
        bypassed = dict(self.before.bypassed) if self.before else {}
        self.journal.note("control", **said, bypassed=bypassed)
        if self.scenario.capture_bytes:
            names = [node.name for node in self.scenario.plan.nodes]
            await keep_packets(self.backend, names, max(1, self.scenario.capture_bytes >> 20))
        try:
            await settle(self.scenario.plan, self.backend, self.scenario.settling)
        except NotSettled as error:
            if not (self.before and self.before.settled):
                raise
            self.journal.note("not settled", why=str(error))

    async def _baseline(self, passed_s: float) -> None:
        await asyncio.sleep(max(0.0, self.scenario.settling.baseline_s - passed_s))

    async def _timeline(self, passed_s: float, progress: Progress) -> None:
        await self.timeline.run(passed_s, progress.done)

    async def _observe(self, passed_s: float) -> None:
        await asyncio.sleep(max(0.0, self.scenario.timeline.observe_s - passed_s))


async def _end(
    view: View, journal: RunJournal, watching: Sequence[asyncio.Task[None]], since: Before, limits: Limits
) -> None:
    """Stop what goes on beside the phases, and complete the record as far as that can be done."""
    for task in watching:
        task.cancel()
    ends = await asyncio.gather(*watching, return_exceptions=True)
    for task, end in zip(watching, ends, strict=True):
        if isinstance(end, Exception):
            journal.note("broke off", what=task.get_name(), why=repr(end))
    journal.note("phase", phase="over")
    with suppress(StressnetError, OSError, sqlite3.Error):
        await view.watch.fetch()
        await view.watch.judge()
        await collect_blocks(view.plan, view.backend, view.path, journal)
        await collect_logs(view.plan, view.backend, view.path, journal, since.logs, limits.log_bytes)
        journal.note("collected")
    view.watch.close()


def _breached(path: Path) -> set[str]:
    """Return the checks that had failed when the controller of a run died."""
    return {event["check"] for event in read_journal(path / runs.JOURNAL) if event["event"] == "evidence"}


def why(error: BaseException, otherwise: str) -> str:
    """Say in words why a run was stopped."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(why(one, otherwise) for one in error.exceptions)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return "interrupted"
    return str(error) or otherwise
