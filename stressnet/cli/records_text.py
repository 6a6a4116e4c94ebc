"""The records of runs, and soaks, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import age, print_json, print_lines
from stressnet.cli.verdict_text import STYLES, shown
from stressnet.engine.soak import thin
from stressnet.engine.soak.found import FoundSoak, found_soaks
from stressnet.record import runs
from stressnet.spec.units import format_size

_TITLES = ("PLAN", "VARIANT", "WHEN", "OUTCOME", "DURATION", "ROUNDS", "SIZE", "RECORD")
Found = runs.FoundRun | FoundSoak


def show_records(root: Path, as_json: bool) -> None:
    """Print the records and soaks below a folder, the newest first."""
    found: list[Found] = [*runs.runs(root), *found_soaks(root)]
    found.sort(key=lambda one: (one.begun_at, one.path), reverse=True)
    if as_json:
        print_json([_facts(one) for one in found])
    elif not found:
        click.echo(f"there are no records in {root}")
    else:
        print_lines(_table(found))


def _facts(one: Found) -> dict[str, Any]:
    return {
        "is": "soak" if isinstance(one, FoundSoak) else "run",
        "plan": one.name,
        "variant": one.variant,
        "begun_at": one.begun_at,
        "outcome": one.outcome,
        "duration_s": _duration_s(one),
        "bytes": _bytes(one),
        "path": str(one.path),
        **(one.to_raw() if isinstance(one, FoundSoak) else {}),
    }


def _duration_s(one: Found) -> float | None:
    return one.soaked_s if isinstance(one, FoundSoak) else runs.duration_s(one.path)


def _bytes(one: Found) -> int:
    """Return its size; rounds of a soak have files in common."""
    return thin.size(one.path) if isinstance(one, FoundSoak) else runs.size_bytes(one.path)


def _table(found: Sequence[Found]) -> Table:
    """Have a column for rounds only where there is a soak."""
    titles = [one for one in _TITLES if one != "ROUNDS" or any(isinstance(one, FoundSoak) for one in found)]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        made.add_column(title, no_wrap=True, justify="right" if title in ("DURATION", "SIZE") else "left")
    for one in found:
        cells: dict[str, str | Text] = {
            "PLAN": one.name,
            "VARIANT": one.variant or "–",
            "WHEN": f"{datetime.fromtimestamp(one.begun_at):%Y-%m-%d %H:%M:%S}",
            "OUTCOME": Text(_outcome(one), style=STYLES.get(one.outcome, "dim")),
            "DURATION": _duration(one),
            "ROUNDS": _rounds(one),
            "SIZE": format_size(_bytes(one)),
            "RECORD": shown(one.path),
        }
        made.add_row(*(cells[title] for title in titles))
    return made


def _outcome(one: Found) -> str:
    if isinstance(one, FoundSoak) and one.standing != "finished":
        return f"{one.outcome}, {one.standing}" if one.outcome == "fail" else one.standing
    return one.outcome or "none yet"


def _duration(one: Found) -> str:
    lasted = age(_duration_s(one))
    return f"{lasted} of {age(one.for_s)}" if isinstance(one, FoundSoak) else lasted


def _rounds(one: Found) -> str:
    if not isinstance(one, FoundSoak):
        return "–"
    others = [f"{count} {outcome}" for outcome, count in one.rounds.items() if count and outcome != "pass"]
    total = str(sum(one.rounds.values()))
    return f"{total}: {', '.join(others)}" if others else total
