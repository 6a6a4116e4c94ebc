"""A verdict for people: one line that says all, then every check with its evidence."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from stressnet.checks.expectation import Expectation
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
        *_report(path, name),
        *_expected(facts, verdict),
        Text.assemble(("again    ", "dim"), shlex.join(facts["command"])),
    )


def _expected(facts: Mapping[str, Any], verdict: Verdict) -> list[Text]:
    """Say whether a variant did what it is there to show: a bug that fails is a success of its kind."""
    if not facts["variant"] or verdict.outcome == "inconclusive":
        return []
    expected = Expectation.from_raw(facts["expected"])
    met = expected.met_by(verdict.outcome, verdict.failed)
    said = "as this variant should" if met else f"it should {expected}"
    return [Text.assemble(("expected ", "dim"), f"{verdict.outcome}: {said}")]


def _report(path: Path, name: str) -> list[Text]:
    """Say where the page for people lies; of an archive there is none."""
    file = path / runs.REPORT
    return [] if name or not file.is_file() else [Text.assemble(("report   ", "dim"), shown(file))]


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
            lines = [line for line in one.finding.lines if line not in one.finding.summary]
            for line in lines[:_LINES]:
                made.add_row("", "", Text(line, style="dim"))
            more = len(lines) - _LINES
            if more > 0:
                made.add_row("", "", Text(f"… and {more} more in {runs.VERDICT}", style="dim"))
    return made


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
