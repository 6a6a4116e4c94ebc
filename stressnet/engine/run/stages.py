"""All stages of a run, from nothing to a verdict and back to nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.checks.verdict import Verdict, judge
from stressnet.engine.choose import backend_for
from stressnet.engine.links import look_at_links
from stressnet.engine.run import answers
from stressnet.engine.run.calls import Caller
from stressnet.engine.run.collect import collect_blocks, collect_logs
from stressnet.engine.run.facts import host_facts, images, versions
from stressnet.engine.run.net import LiveNet
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.settle import NotSettled, settle
from stressnet.engine.run.timeline import TimelineRun
from stressnet.engine.run.watch import Watch
from stressnet.engine.up import Report, up
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record

_MARGIN_S = 600.0
"""How much longer than planned a net may live before it removes itself: its controller must have died."""


class Screen(Report, Protocol):
    """Who is told how far a run has come, also of the stages before a net is up."""

    def begun(self, path: Path) -> None:
        """The record lies there."""

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
class Asked:
    """How a run was asked for, beside its scenario."""

    root: Path
    """Folder of records."""
    command: tuple[str, ...]
    """What does it again."""
    source: str = ""
    """The text of the fault plan."""
    keep: bool = False
    """Leave the net up."""


async def run(scenario: Scenario, asked: Asked, screen: Screen) -> tuple[Path, Verdict]:
    """Do one run; return its record and what it amounts to.

    Whatever stops it after the net is up, faults are healed, what there is is collected and judged as inconclusive,
    and the net is taken down. StageError where the net does not come up: then nothing is left but the record.
    """
    path = runs.new_run(asked.root, scenario.name, time.time())
    screen.begun(path)
    ttl_s = scenario.settling.timeout_s + scenario.settling.baseline_s + scenario.timeline.duration_s
    plan = replace(scenario.plan, ttl_s=ttl_s + scenario.timeline.observe_s + _MARGIN_S)
    scenario = replace(scenario, plan=plan)
    _write_down(path, scenario, asked)
    backend = backend_for(plan.backend, plan.net)
    journal = RunJournal(path / runs.JOURNAL)
    try:
        journal.note("phase", phase="up")
        try:
            await up(plan, backend, screen)
        except BaseException as error:
            journal.note("stopped", why=_words(error, "the net did not come up"))
            raise
        try:
            await _live(scenario, backend, path, journal, screen)
        finally:
            if not asked.keep:
                await asyncio.shield(backend.destroy(data=True))
                state.forget(plan.net)
                journal.note("phase", phase="down")
    finally:
        journal.close()
    verdict = judge(Record(path), scenario.checks)
    runs.write_json(path / runs.VERDICT, verdict.to_raw())
    return path, verdict


def _write_down(path: Path, scenario: Scenario, asked: Asked) -> None:
    facts = {
        "version": 1,
        "name": scenario.name,
        "variant": scenario.variant,
        "expected": scenario.expected,
        "description": scenario.description,
        "file": scenario.file,
        "seed": scenario.seed,
        "time_scale": scenario.time_scale,
        "net": scenario.plan.net,
        "backend": scenario.plan.backend,
        "command": list(asked.command),
        "begun_at": time.time(),
        "checks": list(scenario.checks),
        "versions": versions(),
        "host": host_facts(),
        "images": dict(images(scenario.plan)),
    }
    (path / runs.PLAN).write_text(scenario.plan.to_json())
    runs.write_json(path / runs.TIMELINE, scenario.timeline.to_raw())
    (path / runs.SOURCE).write_text(asked.source, encoding="utf-8")
    runs.write_json(path / runs.RUN, facts)


async def _live(
    scenario: Scenario, backend: Backend, path: Path, journal: RunJournal, screen: Screen
) -> None:
    """From a net that is up to a record that is complete; what interrupts is noted, and goes no further."""
    watch = Watch(path, backend, journal, scenario.checks)
    net = LiveNet(scenario.plan, backend, path / runs.SAMPLES)
    timeline = TimelineRun(scenario.timeline, net, journal, scenario.seed, Caller(scenario.plan, backend))
    view = View(path, scenario.plan, backend, timeline, watch)
    watching = [asyncio.create_task(watch.run()), asyncio.create_task(screen.watch(view))]
    if answers.are_wanted(scenario.checks):
        watching.append(asyncio.create_task(answers.keep_asking(scenario.plan, backend, path)))
    try:
        await _phases(scenario, backend, journal, timeline, screen)
    except (NotSettled, StressnetError, ExceptionGroup) as error:
        journal.note("stopped", why=_words(error, "a step failed"))
    except asyncio.CancelledError:
        journal.note("stopped", why="interrupted")
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        journal.note("phase", phase="over")
        with suppress(StressnetError, OSError):
            await asyncio.shield(_collect(scenario, backend, path, journal, watch))
        watch.close()


async def _phases(
    scenario: Scenario, backend: Backend, journal: RunJournal, timeline: TimelineRun, screen: Screen
) -> None:
    settling = scenario.settling
    journal.note("phase", phase="settle")
    screen.phase("settle", 0.0)
    links = await look_at_links(backend)
    journal.note("control", problem=links.packets_problem, streams=links.streams_problem, relays=links.relays)
    await settle(scenario.plan, backend, settling)
    journal.note("phase", phase="baseline")
    screen.phase("baseline", settling.baseline_s)
    await asyncio.sleep(settling.baseline_s)
    journal.note("phase", phase="timeline")
    screen.phase("timeline", scenario.timeline.duration_s)
    await timeline.run()
    journal.note("phase", phase="observe")
    screen.phase("observe", scenario.timeline.observe_s)
    await asyncio.sleep(scenario.timeline.observe_s)


async def _collect(
    scenario: Scenario, backend: Backend, path: Path, journal: RunJournal, watch: Watch
) -> None:
    await watch.fetch()
    await watch.judge()
    await collect_blocks(scenario.plan, backend, path, journal)
    await collect_logs(scenario.plan, backend, path, journal)
    journal.note("collected")


def _words(error: BaseException, otherwise: str) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(one, otherwise) for one in error.exceptions)
    if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        return "interrupted"
    return str(error) or otherwise
