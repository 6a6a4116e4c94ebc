"""What is seen of a soak: a line for each round, and now and then one that says how it stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

import click

from stressnet.cli.streams import to_nobody
from stressnet.cli.terminal import Steps, print_json
from stressnet.engine.run.phases import View
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.soak.amount import Amount, last_good_night
from stressnet.engine.soak.folder import SOAK
from stressnet.engine.soak.summary import summary
from stressnet.record import runs


class SoakScreen:
    """Shows a soak on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._steps = Steps()

    def say(self, words: str) -> None:
        """Say something, with the time of day: a log of a night is read the next morning."""
        if not self._quiet:
            with _heard_or_not(sys.stderr):
                click.echo(f"{datetime.now():%H:%M:%S}  {words}", err=True)

    def step(self, name: str, done: int, total: int) -> None:
        """Show how far a net has come up."""
        if not self._quiet:
            with _heard_or_not(sys.stderr):
                self._steps.step(name, done, total)

    def begun(self, scenario: Scenario, path: Path) -> None:
        """A round is told of when it is over."""

    def phase(self, name: str, seconds: float) -> None:
        """End the picture of a net that comes up."""
        with _heard_or_not(sys.stderr):
            self._steps.__exit__(None, None, None)
        self._steps = Steps()

    async def watch(self, view: View) -> None:
        """Show nothing more: nobody looks for a night."""

    def __enter__(self) -> SoakScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with _heard_or_not(sys.stderr):
            self._steps.__exit__(kind, error, trace)


@contextmanager
def _heard_or_not(stream: TextIO) -> Iterator[None]:
    """Say something that may not end a night: where that fails, the stream goes to nobody from then on.

    A terminal can go without a signal (`stressnet soak ... & disown`); each write to it is an error then.
    """
    try:
        yield
    except OSError:
        to_nobody(stream.fileno())


def finish(folder: Path, amount: Amount, *, as_json: bool) -> None:
    """Print what a soak amounts to; on a disk that is full it may not stand."""
    text = summary(folder, runs.read_json(folder / SOAK), amount, last_good_night(folder)).rstrip()
    with _heard_or_not(sys.stdout):
        if as_json:
            print_json({"soak": str(folder), **amount.to_raw()})
        else:
            click.echo(f"{text}\n\nrecord   {folder}")
