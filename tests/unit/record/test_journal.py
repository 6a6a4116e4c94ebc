"""A journal on a disk that is full for a moment."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from unit.disks import no_file_grows

from stressnet.record.journal import RunJournal, read_journal


def test_what_a_full_disk_does_not_take_is_written_with_the_next_line(tmp_path: Path) -> None:
    """In its place, and once; who notes it is told."""
    path = tmp_path / "journal.jsonl"
    with closing(RunJournal(path)) as journal:
        journal.note("one")
        with no_file_grows(path.stat().st_size + 10), pytest.raises(OSError, match="File too large"):
            journal.note("two")
        journal.note("three")
    assert [event["event"] for event in read_journal(path)] == ["one", "two", "three"]
