"""The file of samples: what is written is read again, whole rows or none, and what is old goes."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from stressnet.record.samples import HostSample, LinkSample, NodeSample, Samples, read, read_metrics

NODE = NodeSample(100.0, 5.0, "a", "ready", 42, 1, height=7, cpu_s=1.5, rss_bytes=2**20)
LINK = LinkSample(100.0, "a", "b", packets=3, bytes=200, connections=1, dropped=0, bypassed=0)
HOST = HostSample(
    100.0, 5.0, 0.0, 0.0, 2, 1.0, 0.0, 0.0, None, 0.5, None, 0.1, 2**30, 2**33, 0.1, 2**20, 0.0, 0
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "samples.db"


def test_rows_come_back_as_they_were(file: Path) -> None:
    samples = Samples(file, "net")
    samples.write([NODE, LINK, HOST], [(100.0, "b", 'x{l="1"}', 2.5)])
    samples.close()
    assert list(read(file, NodeSample)) == [NODE]
    assert list(read(file, LinkSample)) == [LINK]
    assert list(read(file, HostSample)) == [HOST]
    assert list(read_metrics(file)) == [(100.0, "b", 'x{l="1"}', 2.5)]


def test_a_file_is_gone_on_with(file: Path) -> None:
    """A restarted agent numbers nodes and series as the one before."""
    for at in (1.0, 2.0):
        samples = Samples(file, "net")
        samples.write([replace(NODE, at=at)], [(at, "a", "x", at)])
        samples.close()
    assert [(row.at, row.node) for row in read(file, NodeSample)] == [(1.0, "a"), (2.0, "a")]
    assert [row[2:] for row in read_metrics(file)] == [("x", 1.0), ("x", 2.0)]


def test_a_look_is_written_whole_or_not_at_all(file: Path) -> None:
    """What fails half-way leaves neither rows nor numbers of nodes behind, and the next look is written."""
    samples = Samples(file, "net")
    broken = replace(NODE, node="c", state=None)  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        samples.write([replace(NODE, node="b"), broken])
    samples.write([NODE])
    samples.close()
    assert list(read(file, NodeSample)) == [NODE]


def test_what_is_old_is_dropped_and_only_that(file: Path) -> None:
    samples = Samples(file, "net")
    for at in (1.0, 2.0, 3.0):
        samples.write(
            [replace(NODE, at=at), replace(LINK, at=at), replace(HOST, at=at)], [(at, "a", "x", at)]
        )
    samples.forget_before(2.0)
    samples.close()
    for kind in (NodeSample, LinkSample, HostSample):
        assert [row.at for row in read(file, kind)] == [2.0, 3.0]
    assert [row[0] for row in read_metrics(file)] == [2.0, 3.0]


def test_a_copy_is_complete_in_itself(file: Path, tmp_path: Path) -> None:
    """From a moment on, as one file without a journal beside it, while writing goes on."""
    samples = Samples(file, "net")
    samples.write([replace(NODE, at=1.0), replace(NODE, at=2.0, node="b")], [(2.0, "b", "x", 1.0)])
    copy = tmp_path / "copy.db"
    samples.copy_to(copy, since=2.0)
    samples.write([replace(NODE, at=3.0)])
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]
    assert [(row.at, row.node) for row in read(copy, NodeSample)] == [(2.0, "b")]
    assert list(read_metrics(copy)) == [(2.0, "b", "x", 1.0)]
    samples.close()
