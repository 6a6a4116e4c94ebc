"""What a run says while it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from stressnet.checks.check import Finding, Outcome
from stressnet.checks.verdict import Judgement, Verdict
from stressnet.cli.run_screen import RunScreen, opinions
from stressnet.engine.run.phases import View
from stressnet.record import runs
from stressnet.record.journal import RunJournal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[RunJournal]:
    with closing(RunJournal(tmp_path / runs.JOURNAL)) as journal:
        yield journal


def view_of(folder: Path) -> View:
    return cast(View, SimpleNamespace(path=folder))


def watched(screen: RunScreen, view: View) -> None:
    """Let it watch for a moment, and then cancel it, as a run does at its end."""

    async def main() -> None:
        watching = asyncio.create_task(screen.watch(view))
        await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(main())


def test_what_ends_with_a_phase_is_told_before_the_next(
    tmp_path: Path, journal: RunJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault that is healed at the timeline's end does not look as if it lasted into the phase after."""
    screen = RunScreen()
    screen.phase("timeline", 10)
    watched(screen, view_of(tmp_path))
    journal.note("fault over", id="f1", step="cut", by="end")
    screen.phase("observe", 5)
    said = [line.split()[-1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["10s", "cut", "5s"]


def test_times_are_those_of_the_timeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of one that was gone on with, which did not begin when this program did: of what was before, too."""
    times = iter((0.0, 65.0, 500.0, 505.0))
    with closing(RunJournal(tmp_path / runs.JOURNAL, lambda: (1e9 + next(times), 0.0))) as journal:
        journal.note("phase", phase="timeline")
        journal.note("mark", text="one")
        journal.note("resumed", phase="timeline", elapsed_s=70.0)
        journal.note("mark", text="two")
    watched(RunScreen(), view_of(tmp_path))
    assert capsys.readouterr().err.split() == ["+1:05", "mark", "one", "+1:15", "mark", "two"]


def test_one_that_is_quiet_asks_nobody(
    tmp_path: Path, journal: RunJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no backend here that it could ask, and it says nothing of what it knows."""
    journal.note("mark", step="m", text="half-way")
    watched(RunScreen(quiet=True), view_of(tmp_path))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("outcomes", "lines"),
    [
        ({}, []),
        ({"stuck": "pass", "recovery": "inconclusive"}, ["pass  stuck", "open  recovery"]),
        ({"a": "pass", "b": "pass", "stuck": "fail"}, ["fail  stuck: so it is", "pass  a, b"]),
    ],
)
def test_all_checks_say_what_they_think_so_far(outcomes: dict[str, Outcome], lines: list[str]) -> None:
    judgements = [Judgement(name, name, {}, Finding(one, "so it is")) for name, one in outcomes.items()]
    assert [text.plain.strip() for text in opinions(Verdict("inconclusive", "", tuple(judgements)))] == lines
