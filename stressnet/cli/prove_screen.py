"""What is seen while many runs go on: a line for each that is over, and at a terminal below them how it stands."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from stressnet.cli.prove_text import done_words, proof_table
from stressnet.cli.terminal import console
from stressnet.engine.prove import Done, Proof, Turn
from stressnet.engine.run.phases import View
from stressnet.engine.run.scenario import Scenario
from stressnet.spec.units import format_duration


class OneRun:
    """How far one run has come; it shows nothing itself."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.record: Path | None = None
        self._phase = ("up", 0.0, time.monotonic())

    def step(self, name: str, done: int, total: int) -> None:
        """Of how the net comes up nothing is shown."""

    def begun(self, scenario: Scenario, path: Path) -> None:
        """Remember where the record lies."""
        self.record = path

    def phase(self, name: str, seconds: float) -> None:
        """Remember what begins."""
        self._phase = (name, seconds, time.monotonic())

    async def watch(self, view: View) -> None:
        """Go on until cancelled."""
        await asyncio.Event().wait()

    @property
    def line(self) -> Text:
        """What it is doing now."""
        name, seconds, since = self._phase
        passed = format_duration(int(time.monotonic() - since))
        of = f" of {format_duration(round(seconds))}" if seconds else ""
        return Text(f"  {self.turn.variant} {self.turn.number}: {name} {passed}{of}", style="dim")


class ProveScreen:
    """Shows a proof on stderr as it comes about."""

    def __init__(self, proof: Proof, runs: int) -> None:
        self._proof = proof
        self._runs = runs
        self._going: list[OneRun] = []
        self._live: Live | None = None

    @contextmanager
    def of_run(self, turn: Turn) -> Iterator[OneRun]:
        """Show one run as long as it goes on."""
        one = OneRun(turn)
        self._going.append(one)
        try:
            yield one
        finally:
            self._going.remove(one)

    def over(self, done: Done) -> None:
        """Say what a run gave."""
        words = done_words(done, self._runs, self._proof.tallies[done.turn.variant])
        if self._live is not None:
            self._live.console.print(Text(words))
        else:
            click.echo(words, err=True)

    def _picture(self) -> RenderableType:
        return Group("", proof_table(self._proof, self._runs), *(one.line for one in self._going))

    def __enter__(self) -> ProveScreen:
        if sys.stderr.isatty():
            self._live = Live(
                console=console(stderr=True),
                get_renderable=self._picture,
                refresh_per_second=2,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
