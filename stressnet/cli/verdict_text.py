"""A verdict for people: one line that says all, then every check with its evidence."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from rich.table import Table
from rich.text import Text

from stressnet.checks.registry import CHECKS
from stressnet.checks.verdict import Verdict
from stressnet.cli.terminal import print_lines
from stressnet.record import runs

STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
_LINES = 4
"""Particulars of a check that are shown; the record has all."""


def print_verdict(path: Path, verdict: Verdict, *, name: str = "") -> None:
    """Print what a run amounts to, and where more of it stands; `name`: what the user calls the record."""
    facts = json.loads((path / runs.RUN).read_text(encoding="utf-8"))
    who = facts["name"] + (f" · {facts['variant']}" if facts["variant"] else "")
    word = verdict.outcome.upper()
    print_lines(
        "",
        Text.assemble((word, f"bold {STYLES[verdict.outcome]}"), "  ", (who, "bold"), f"  {verdict.reason}"),
        "",
        _table(verdict),
        "",
        Text.assemble(("record   ", "dim"), name or shown(path)),
        Text.assemble(("again    ", "dim"), shlex.join(facts["command"])),
    )


def _table(verdict: Verdict) -> Table:
    made = Table(box=None, pad_edge=False, show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column()
    for one in verdict.judgements:
        always, outcome = CHECKS[one.check].always, one.finding.outcome
        style = "dim" if always and outcome == "pass" else ""
        made.add_row(
            Text(outcome, style=STYLES[outcome]),
            Text(one.name, style=style),
            Text(one.finding.summary, style=style),
        )
        if outcome != "pass":
            for line in one.finding.lines[:_LINES]:
                made.add_row("", "", Text(line, style="dim"))
            more = len(one.finding.lines) - _LINES
            if more > 0:
                made.add_row("", "", Text(f"… and {more} more in {runs.VERDICT}", style="dim"))
    return made


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
