"""Where records lie: what is removed leaves no name behind that leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.records import BEGUN, make_record

from stressnet.record import runs


def test_latest_names_the_newest_record_that_is_left(tmp_path: Path) -> None:
    """Also when that is not the one before; without any record there is no `latest`."""
    first, second, third = (make_record(tmp_path, begun=BEGUN + turn) for turn in range(3))
    runs.remove(second)
    assert runs.find_run("cut", tmp_path) == third
    runs.remove(third)
    assert runs.find_run("cut", tmp_path) == first
    runs.remove(first)
    assert list((tmp_path / "cut").iterdir()) == []


def test_a_record_knows_how_long_it_took_and_how_large_it_is(tmp_path: Path) -> None:
    """A run that was killed took nobody knows how long."""
    whole, killed = make_record(tmp_path), make_record(tmp_path, until=30)
    assert runs.duration_s(whole) == 60.0
    assert runs.duration_s(killed) is None
    assert runs.size_bytes(whole) == sum(file.stat().st_size for file in whole.iterdir() if file.is_file())


@pytest.mark.parametrize(
    "facts",
    [
        "[]",
        "null",
        "7",
        "{}",
        "{",
        '{"name": "x", "variant": "", "begun_at": null}',
        '{"name": "x", "begun_at": 1}',
    ],
)
def test_what_is_no_record_is_not_listed(tmp_path: Path, facts: str) -> None:
    """Nor does it keep others from being listed."""
    path = make_record(tmp_path)
    (path.with_name("other")).mkdir()
    (path.with_name("other") / "run.json").write_text(facts)
    assert [one.path for one in runs.runs(tmp_path)] == [path]


def test_proofs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    """Neither is taken for a record."""
    assert [runs.new_proof(tmp_path, "cut", BEGUN).name for _ in range(2)] == [
        "prove-20231114T221320Z",
        "prove-20231114T221320Z-2",
    ]
    assert list(runs.runs(tmp_path)) == []
