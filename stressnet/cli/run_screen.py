"""What is seen of a run while it goes on: at a terminal a picture that changes, elsewhere a line for what happens."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from stressnet.checks.verdict import Verdict
from stressnet.cli.table import summary, table
from stressnet.cli.terminal import Steps, console, warn
from stressnet.cli.verdict_text import STYLES
from stressnet.engine.limits import warnings
from stressnet.engine.run.phases import View
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.status import NetStatus, watch
from stressnet.errors import AgentError
from stressnet.faultplan.timeline import TimelineStep
from stressnet.record import runs
from stressnet.record.clock import Clock
from stressnet.record.journal import read_journal
from stressnet.report.events import event_words
from stressnet.report.figures import achieved
from stressnet.spec.units import format_duration

_LOOK_S = 0.5
_FAULTS = 5


class RunScreen:
    """Shows one run on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._steps = Steps()
        self._live: Live | None = None
        self._phase = ("up", 0.0, time.monotonic())
        self._told = 0
        self._view: View | None = None

    def step(self, name: str, done: int, total: int) -> None:
        """Show how far the net has come up."""
        if not self._quiet:
            self._steps.step(name, done, total)

    def begun(self, one: Scenario, path: Path) -> None:
        """Say what begins."""
        what = one.name + (f" · {one.variant}" if one.variant else "")
        lasts = format_duration(
            round(one.settling.baseline_s + one.timeline.duration_s + one.timeline.observe_s)
        )
        self._say(f"{what}: {len(one.plan.nodes)} nodes on {one.plan.backend}, {lasts} once they are up")
        if not self._quiet:
            warn(warnings(one.plan))

    def phase(self, name: str, seconds: float) -> None:
        """Say what begins, after all that was before."""
        if self._view is not None and self._live is None:
            self._tell(self._view)
        self._steps.__exit__(None, None, None)
        self._phase = (name, seconds, time.monotonic())
        if self._live is None:
            self._say(f"{name}{f', {format_duration(seconds)}' if seconds else ''}")

    async def watch(self, view: View) -> None:
        """Show the net, the faults that are on and what checks say so far, until cancelled."""
        self._view = view
        try:
            if self._quiet:
                await asyncio.Event().wait()
            elif sys.stderr.isatty():
                await self._show(view)
            while True:
                self._tell(view)
                await asyncio.sleep(_LOOK_S)
        finally:
            self._tell(view)

    async def _show(self, view: View) -> None:
        """Show the picture until cancelled, or until there is no agent any more."""
        self._live = Live(console=console(stderr=True), auto_refresh=False, transient=True)
        self._live.start()
        try:
            async with aclosing(watch(view.plan, view.backend, _LOOK_S)) as states:
                async for status in states:
                    self._live.update(self._picture(view, status), refresh=True)
        except AgentError:
            return
        finally:
            self._live.stop()
            self._live = None

    def _picture(self, view: View, status: NetStatus) -> RenderableType:
        name, seconds, since = self._phase
        passed = time.monotonic() - since
        head = Text.assemble((name, "bold"), f"  {format_duration(int(passed))}")
        head.append(f" of {format_duration(round(seconds))}" if seconds else "")
        lines: list[RenderableType] = [head]
        on = list(view.timeline.on.items())
        lines += [self._fault(step, view.timeline.achieved.get(one, {})) for one, step in on[:_FAULTS]]
        lines += [Text(f"  on  and {len(on) - _FAULTS} more", "yellow")] if len(on) > _FAULTS else []
        lines += opinions(view.watch.verdict)
        size = console(stderr=True).size
        rows = max(3, size.height - len(lines) - 6)
        return Group(*lines, "", summary(status), "", table(status, rows, size.width))

    def _fault(self, step: TimelineStep, found: Mapping[str, Any]) -> Text:
        """Say which fault is on, on what, and what was measured of it."""
        words = " ".join([*step.targets.words(), *step.parameters])
        return Text.assemble(
            ("  on  ", "yellow"), f"{step.name}: {step.what} ", (words, "dim"), f"  {achieved(found)}"
        )

    def _tell(self, view: View) -> None:
        """Say what has happened since the last time."""
        events = read_journal(view.path / runs.JOURNAL)
        clock = Clock(events)
        for event in events[self._told :]:
            words = event_words(event)
            if words:
                self._say(f"  {clock.words(event['time'])} {words}")
        self._told = len(events)

    def _say(self, words: str) -> None:
        if not self._quiet:
            click.echo(words, err=True)

    def __enter__(self) -> RunScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.__exit__(kind, error, trace)


def opinions(verdict: Verdict | None) -> list[Text]:
    """Say what checks think so far: why each has failed, and which of the others hold and which do not know yet."""
    judgements = verdict.judgements if verdict else ()
    lines = [
        Text.assemble(("  fail  ", STYLES["fail"]), f"{one.name}: {one.finding.summary}")
        for one in judgements
        if one.finding.outcome == "fail"
    ]
    for outcome, word in (("pass", "pass"), ("inconclusive", "open")):
        names = [one.name for one in judgements if one.finding.outcome == outcome]
        lines += [Text.assemble((f"  {word}  ", STYLES[outcome]), (", ".join(names), "dim"))] if names else []
    return lines
