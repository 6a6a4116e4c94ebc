"""The records of runs as a table."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import age, print_json, print_lines
from stressnet.cli.verdict_text import STYLES, shown
from stressnet.record import runs
from stressnet.spec.units import format_size

_TITLES = ("PLAN", "VARIANT", "WHEN", "OUTCOME", "DURATION", "SIZE", "RECORD")


def show_records(root: Path, as_json: bool) -> None:
    """Print the records below a folder, the newest first."""
    found = sorted(runs.runs(root), key=lambda run: (run.begun_at, run.path), reverse=True)
    if as_json:
        print_json([_facts(run) for run in found])
    elif not found:
        click.echo(f"there are no records in {root}")
    else:
        print_lines(_table(found))


def _facts(run: runs.FoundRun) -> dict[str, str | float | int | None]:
    return {
        "plan": run.name,
        "variant": run.variant,
        "begun_at": run.begun_at,
        "outcome": run.outcome,
        "duration_s": runs.duration_s(run.path),
        "bytes": runs.size_bytes(run.path),
        "path": str(run.path),
    }


def _table(found: list[runs.FoundRun]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in _TITLES:
        made.add_column(title, no_wrap=True, justify="right" if title in ("DURATION", "SIZE") else "left")
    for run in found:
        made.add_row(
            run.name,
            run.variant or "–",
            f"{datetime.fromtimestamp(run.begun_at):%Y-%m-%d %H:%M:%S}",
            Text(run.outcome or "none yet", style=STYLES.get(run.outcome, "dim")),
            age(runs.duration_s(run.path)),
            format_size(runs.size_bytes(run.path)),
            shown(run.path),
        )
    return made
