"""What nodes say of being in sync, on a disk that is full for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from some_plan import some_plan
from unit.disks import no_file_grows
from unit.records import make_record

from stressnet.checks.in_sync_honesty import read_answers
from stressnet.engine.run import answers
from stressnet.record.journal import RunJournal, read_journal
from stressnet.record.record import Record


@pytest.mark.parametrize("journal_too", [False, True])
def test_a_full_disk_costs_what_it_does_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, journal_too: bool
) -> None:
    """Later answers are written again, and the journal says once that some were lost, if need be afterwards."""
    monkeypatch.setattr(answers, "tellers", lambda plan, what: ["us-1"])
    monkeypatch.setattr(answers, "_EVERY_S", 0.0)
    path = make_record(tmp_path)
    file = path / "answers.jsonl"
    turns = 0
    full = ExitStack()

    async def ask(_: Any, nodes: Sequence[str], what: str) -> dict[str, bool]:
        nonlocal turns
        turns += 1
        if turns == 3:
            full.enter_context(no_file_grows(file.stat().st_size + (0 if journal_too else 10)))
        if turns == 5:
            full.close()
        if turns == 7:
            raise asyncio.CancelledError
        return {"us-1": turns in (1, 6)}

    async def main() -> None:
        with full, closing(RunJournal(path / "journal.jsonl")) as journal, suppress(asyncio.CancelledError):
            await answers.keep_asking(some_plan(), None, path, journal, ask)  # type: ignore[arg-type]

    if not journal_too:
        (path / "journal.jsonl").write_text("")  # it is small enough to grow
    asyncio.run(main())
    said = [in_sync for _, in_sync in read_answers(Record(path))["us-1"]]
    assert said == [True, False, False, True]
    lost = [one for one in read_journal(path / "journal.jsonl") if one["event"] == "answers lost"]
    assert [one["why"] for one in lost] == ["[Errno 27] File too large"]
