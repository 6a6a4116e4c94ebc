"""What a run says while it goes on, where there is no terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stressnet.cli import run_screen
from stressnet.cli.run_screen import RunScreen
from stressnet.engine.run.phases import View
from stressnet.record import runs
from stressnet.record.journal import RunJournal


async def _one_look(*_: Any) -> AsyncIterator[None]:
    yield None


def test_what_ends_with_a_phase_is_told_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fault that is healed at the timeline's end does not look as if it lasted into the phase after."""
    monkeypatch.setattr(run_screen, "watch", _one_look)
    journal = RunJournal(tmp_path / runs.JOURNAL)
    screen = RunScreen()
    screen.phase("timeline", 10)
    view = cast(View, SimpleNamespace(path=tmp_path, plan=None, backend=None))
    asyncio.run(screen.watch(view))
    journal.note("fault over", id="f1", step="cut", by="end")
    screen.phase("observe", 5)
    journal.close()
    said = [line.split()[-1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["10s", "cut", "5s"]
