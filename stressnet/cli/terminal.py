"""How facts reach the terminal: tables for people, JSON for programs, progress on stderr.

rich is imported where it draws: it takes 25 ms, which a verb that prints one line need not wait for.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID


def say(name: str, words: str, *, hint: str = "") -> None:
    """Print what became of the net `name` in one line, and below it what to do next."""
    click.echo(f"{click.style(name, bold=True)} {words}")
    if hint:
        click.secho(hint, dim=True)


def console(*, stderr: bool = False) -> Console:
    """Return a console that respects pipes and NO_COLOR; a pipe gets lines as long as they are."""
    from rich.console import Console

    made = Console(stderr=stderr, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = 200
    return made


def print_lines(*parts: RenderableType) -> None:
    """Print to stdout; into a pipe without the blanks that fill a table's last column."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_json(facts: Any) -> None:
    """Print facts as indented JSON, keys in the order given."""
    click.echo(json.dumps(facts, indent=2))


def complain(text: str, hints: Sequence[str] = ()) -> None:
    """Print an error to stderr where the command goes on."""
    for line in (f"error: {text}", *(f"hint: {hint}" for hint in hints)):
        click.echo(line, err=True)


def size(count: int | None) -> str:
    """Write bytes for people."""
    return "–" if count is None else f"{count / 2**20:.0f}MiB"


def age(seconds: float | None) -> str:
    """Write a span of time for people."""
    if seconds is None:
        return "–"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def warn(warnings: Iterable[str]) -> None:
    """Print to stderr what is allowed and may mislead, each thing once."""
    for words in dict.fromkeys(warnings):
        click.secho(f"warning: {words}", fg="yellow", err=True)


class Steps:
    """A progress bar per step, on stderr; silent where stderr is no terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def step(self, name: str, done: int, total: int) -> None:
        """Show that `done` of `total` nodes have passed a step."""
        if not sys.stderr.isatty():
            return
        if self._progress is None:
            self._progress = _bars()
            self._progress.start()
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)

    def __enter__(self) -> Steps:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def _bars() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:12}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(stderr=True),
    )
