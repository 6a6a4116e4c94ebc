"""All stages of a run, from nothing to a verdict and back to nothing."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.checks.verdict import Verdict, judge
from stressnet.engine.choose import backend_for, nets_called
from stressnet.engine.ending import undisturbed
from stressnet.engine.faults import heal, standing
from stressnet.engine.recheck import write_verdict
from stressnet.engine.run.facts import host_facts, images, versions
from stressnet.engine.run.phases import Screen, live, why
from stressnet.engine.run.resume import Progress, left_s, progress_of, read_scenario, rest_of
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.up import up
from stressnet.errors import StageError, StressnetError, UsageError
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.record import Record
from stressnet.spec.units import format_duration

_MARGIN_S = 600.0
"""How much longer than planned a net may live before it removes itself: its controller must have died."""


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


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run came to."""

    path: Path
    """Its record."""
    verdict: Verdict
    left: StageError | None = None
    """Why its net was not taken down. The verdict stands: all that it rests on was in the record before."""


async def run(scenario: Scenario, asked: Asked, screen: Screen) -> Ended:
    """Do one run.

    Whatever stops it after the net is up, faults are healed, what there is is collected and judged as inconclusive,
    and the net is taken down. StageError where the net does not come up: then nothing is left but the record.
    """
    path = runs.new_run(asked.root, scenario.name, time.time())
    screen.begun(scenario, path)
    ttl_s = scenario.settling.timeout_s + scenario.settling.baseline_s + scenario.timeline.duration_s
    ttl_s += scenario.timeline.observe_s + _MARGIN_S
    plan = scenario.plan if asked.keep else replace(scenario.plan, ttl_s=ttl_s)
    scenario = replace(scenario, plan=plan)
    write_down(path, scenario, asked)
    backend = backend_for(plan.backend, plan.net)
    with closing(RunJournal(path / runs.JOURNAL)) as journal:
        journal.note("phase", phase="up")
        try:
            await up(plan, backend, screen)
        except BaseException as error:
            journal.note("stopped", why=why(error, "the net did not come up"))
            raise
        return await _done(scenario, backend, path, journal, screen, keep=asked.keep)


async def resume(path: Path, screen: Screen, *, keep: bool) -> Ended:
    """Go on with a run whose controller died, on its net, where its journal ends.

    UsageError where it came to its end, or its net is gone.
    """
    scenario, record = read_scenario(path), Record(path)
    progress = progress_of(record)
    plan = scenario.plan
    hint = f"`stressnet check {path}` judges what there is"
    found = [net for net in nets_called(plan.net, (plan.backend,)) if net.complete]
    if not found:
        raise UsageError(f"net {plan.net!r} of this run is gone, so it cannot go on", hints=(hint,))
    needs_s = left_s(scenario, progress)
    if found[0].expires_at and time.time() + needs_s > found[0].expires_at:
        lives = format_duration(max(0.0, round(found[0].expires_at - time.time())))
        rest = format_duration(round(needs_s))
        said = f"net {plan.net!r} of this run lives for {lives} more, and the rest may take {rest}"
        raise UsageError(said, hints=(hint,))
    backend = backend_for(plan.backend, plan.net)
    scenario = replace(scenario, timeline=rest_of(scenario.timeline, record, progress))
    with closing(RunJournal(path / runs.JOURNAL)) as journal:
        journal.note("resumed", phase=progress.phase, elapsed_s=round(progress.elapsed_s, 3))
        await _heal_what_was_on(record, progress, backend, journal)
        screen.begun(scenario, path)
        return await _done(scenario, backend, path, journal, screen, progress, keep=keep)


async def _heal_what_was_on(
    record: Record, progress: Progress, backend: Backend, journal: RunJournal
) -> None:
    """What was on is put on anew for the rest of its time: what is left of it now has no one to renew it."""
    steps = {span.fault.id: span.step for span in record.faults if span.ended is None}
    on = {one.fault.id for one in await standing(backend) if not one.over}
    wanted = [one for one in steps if one in on]
    if wanted:
        await heal(backend, wanted, everything=False)
    over = {one.fault.id: one for one in await standing(backend) if one.over}
    for one, step in steps.items():
        told: dict[str, Any] = {"at": over[one].until, **over[one].at_heal} if one in over else {}
        # What a step was about to heal when the controller died is not put on again: it has ended as planned.
        journal.note("fault over", id=one, by="plan" if step in progress.over else "kill", **told)


async def _done(
    scenario: Scenario,
    backend: Backend,
    path: Path,
    journal: RunJournal,
    screen: Screen,
    progress: Progress | None = None,
    *,
    keep: bool,
) -> Ended:
    """Go through all phases, take the net down whatever becomes of them, and judge."""
    left = None
    try:
        # It takes being told to stop for the end of the phases; later, while lines to the agent are closed, it is at
        # its end anyhow.
        with suppress(asyncio.CancelledError):
            await live(scenario, backend, path, journal, screen, progress)
    finally:
        if not keep:
            left = await _take_down(scenario.plan.net, backend, journal)
    record = Record(path)
    verdict = judge(record, scenario.checks)
    write_verdict(record, verdict)
    return Ended(path, verdict, left)


async def _take_down(net: str, backend: Backend, journal: RunJournal) -> StageError | None:
    """Remove a net to its end, whoever is told to stop meanwhile; return why that failed."""
    try:
        await undisturbed(_remove(net, backend))
    except (StressnetError, OSError) as error:
        journal.note("not taken down", why=str(error))
        hints = error.hints if isinstance(error, StressnetError) else ()
        said = f"net {net!r} was not taken down: {error}"
        return StageError(said, hints=(*hints, f"`stressnet down {net}` removes what is left"))
    journal.note("phase", phase="down")
    return None


async def _remove(net: str, backend: Backend) -> None:
    await backend.destroy(data=True)
    state.forget(net)


def write_down(path: Path, scenario: Scenario, asked: Asked) -> None:
    """Write into a new record what is asked for."""
    facts = {
        "version": 1,
        "name": scenario.name,
        "variant": scenario.variant,
        "expected": scenario.expected.to_raw(),
        "description": scenario.description,
        "file": str(Path(scenario.file).resolve()),
        "seed": scenario.seed,
        "time_scale": scenario.time_scale,
        "net": scenario.plan.net,
        "backend": scenario.plan.backend,
        "command": list(asked.command),
        "begun_at": time.time(),
        "settling": asdict(scenario.settling),
        "checks": list(scenario.checks),
        "capture_bytes": scenario.capture_bytes,
        "versions": versions(),
        "host": host_facts(),
        "images": dict(images(scenario.plan)),
    }
    (path / runs.PLAN).write_text(scenario.plan.to_json())
    runs.write_json(path / runs.TIMELINE, scenario.timeline.to_raw())
    (path / runs.SOURCE).write_text(asked.source, encoding="utf-8")
    runs.write_json(path / runs.RUN, facts)
