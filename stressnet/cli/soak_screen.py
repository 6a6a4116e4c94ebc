"""What is seen of a soak: a line for each round, and now and then one that says how it stands."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType

import click

from stressnet.cli.terminal import Steps, print_json
from stressnet.engine.run.phases import View
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.folder import SUMMARY


class SoakScreen:
    """Shows a soak on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._steps = Steps()

    def say(self, words: str) -> None:
        """Say something, with the time of day: a log of a night is read the next morning."""
        if not self._quiet:
            click.echo(f"{datetime.now():%H:%M:%S}  {words}", err=True)

    def step(self, name: str, done: int, total: int) -> None:
        """Show how far a net has come up."""
        if not self._quiet:
            self._steps.step(name, done, total)

    def begun(self, scenario: Scenario, path: Path) -> None:
        """A round is told of when it is over."""

    def phase(self, name: str, seconds: float) -> None:
        """End the picture of a net that comes up."""
        self._steps.__exit__(None, None, None)
        self._steps = Steps()

    async def watch(self, view: View) -> None:
        """Show nothing more: nobody looks for a night."""

    def __enter__(self) -> SoakScreen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.__exit__(kind, error, trace)


def finish(folder: Path, amount: Amount, *, as_json: bool) -> None:
    """Print what a soak amounts to."""
    if as_json:
        return print_json({"soak": str(folder), **amount.to_raw()})
    click.echo((folder / SUMMARY).read_text(encoding="utf-8").rstrip())
    click.echo(f"\nrecord   {folder}")
    return None
