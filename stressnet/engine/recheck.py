"""A record is judged, now or years later, by its own checks or by others; and the verdict goes to the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stressnet.checks.registry import CHECKS
from stressnet.checks.verdict import Verdict, judge
from stressnet.errors import InputError, UsageError
from stressnet.faultplan.questions import questions
from stressnet.faultplan.read import chosen_variant, read_fault_plan
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.report.html import render
from stressnet.report.junit import facts_of, junit
from stressnet.report.of_record import page_of
from stressnet.resources import fault_plan

Checks = Sequence[Mapping[str, Any]]


def recheck(record: Record, checks: Checks | None = None) -> Verdict:
    """Judge a record by these checks, else by its own; UsageError where they are not known to this version."""
    asked: Checks = record.run["checks"] if checks is None else checks
    for one in asked:
        try:
            CHECKS[one["check"]].parameters.model_validate(one["parameters"])
        except (KeyError, ValidationError) as error:
            made = record.run.get("versions", {}).get("stressnet", "another version")
            raise UsageError(
                f"the record asks {one.get('name')!r} in a way that this version does not know: {error}",
                hints=(f"it was made by stressnet {made}; --plan takes the checks of a fault plan instead",),
            ) from error
    return judge(record, asked)


def checks_from(file: Path, record: Record, variant: str | None = None) -> Checks:
    """Return the checks of a fault plan, held against the net of a record; InputError with all that is wrong.

    A plan that comes with stressnet may be given by its bare name. The variant is the one named, else the record's own
    where the plan has it, else the plan's first.
    """
    file = fault_plan(file)
    documents = read_fault_plan(file)
    own = record.run["variant"] if record.run["variant"] in documents else None
    document = chosen_variant(documents, variant or own, file)
    asked, problems = questions(document, record.plan)
    if problems:
        raise InputError(problems)
    return asked


def write_verdict(record: Record, verdict: Verdict) -> None:
    """Write verdict.json, junit.xml and report.html of a record."""
    runs.write_json(record.path / runs.VERDICT, verdict.to_raw())
    runs.write_text(record.path / runs.JUNIT, junit(facts_of(record), verdict))
    runs.write_text(record.path / runs.REPORT, render(page_of(record, verdict)))


def set_aside_verdict(path: Path, now: float) -> Path | None:
    """Rename the verdict that a record has to `verdict-<UTC time>.json`; return that, None where it has none."""
    kept = path / f"verdict-{datetime.fromtimestamp(now, UTC).strftime('%Y%m%dT%H%M%SZ')}.json"
    try:
        (path / runs.VERDICT).rename(kept)
    except FileNotFoundError:
        return None
    return kept
