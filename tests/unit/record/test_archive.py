"""A record as one file: the same bytes each time, all of it, and nothing but a record is taken from a stranger."""

from __future__ import annotations

import gzip
import io
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.records import STUCK, make_record

from stressnet.checks.verdict import judge
from stressnet.errors import EnvironmentProblem, UsageError
from stressnet.record import archive, runs
from stressnet.record.archive import opened, pack, unpack
from stressnet.record.record import Record
from stressnet.record.samples import NodeSample, Samples, read

Write = Callable[[tarfile.TarFile], None]


def add(tar: tarfile.TarFile, name: str, content: bytes = b"x", **facts: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in facts.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Write], Path]:
    """Write an archive by hand, and return it."""

    def write(fill: Write) -> Path:
        file = tmp_path / "hand.tar.gz"
        with tarfile.open(file, "w:gz") as tar:
            fill(tar)
        return file

    return write


def test_a_record_comes_out_as_it_went_in(tmp_path: Path) -> None:
    """Every file, and so the same verdict."""
    record = make_record(tmp_path, stuck=["us-1"])
    (record / runs.LOGS / "us-1.log").write_text("words\n")
    pack(record, tmp_path / "a.tar.gz")
    with opened(str(tmp_path / "a.tar.gz")) as found:
        files = {path.relative_to(found): path.read_bytes() for path in found.rglob("*") if path.is_file()}
        assert judge(Record(found), [STUCK]) == judge(Record(record), [STUCK])
    assert files == {
        path.relative_to(record): path.read_bytes() for path in record.rglob("*") if path.is_file()
    }
    assert not found.exists()


def test_the_same_record_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whoever packs it, whenever, and wherever it lies; no name in it is absolute."""
    record = make_record(tmp_path)
    pack(record, tmp_path / "a.tar.gz")
    (tmp_path / "other").mkdir()
    moved = tmp_path / "cut" / "moved"
    record.rename(moved)
    (moved / runs.RUN).touch()
    moved.rename(record)
    pack(record, tmp_path / "other" / "b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "other" / "b.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert {(Path(member.name).parts[0], member.uid, member.uname) for member in tar} == {
            ("cut-20231114T221320Z", 0, "")
        }


def test_samples_that_lie_beside_the_file_are_joined_with_it(tmp_path: Path) -> None:
    """As after kill -9: in the archive there is one file, in the record nothing has changed."""
    record = make_record(tmp_path, until=10)
    samples = Samples(record / runs.SAMPLES, "cut")
    samples.write([NodeSample(1.0, 1.0, "late", "ready", 1, 1)])
    beside = record / f"{runs.SAMPLES}-wal"
    before = beside.read_bytes()
    pack(record, tmp_path / "a.tar.gz")
    assert before
    assert beside.read_bytes() == before
    samples.close()
    found = unpack(tmp_path / "a.tar.gz", tmp_path / "unpacked")
    assert sorted(path.name for path in found.glob(f"{runs.SAMPLES}*")) == [runs.SAMPLES]
    assert min(row.at for row in read(found / runs.SAMPLES, NodeSample)) == 1.0


def test_damaged_samples_are_packed_as_they_are(tmp_path: Path) -> None:
    """What SQLite cannot read may still be of use to somebody."""
    record = make_record(tmp_path)
    (record / runs.SAMPLES).write_bytes(b"damaged" * 1000)
    (record / f"{runs.SAMPLES}-wal").write_bytes(b"too")
    with pytest.raises(sqlite3.Error):
        list(read(record / runs.SAMPLES, NodeSample))
    pack(record, tmp_path / "a.tar.gz")
    found = unpack(tmp_path / "a.tar.gz", tmp_path / "unpacked")
    assert (found / runs.SAMPLES).read_bytes() == b"damaged" * 1000
    assert (found / f"{runs.SAMPLES}-wal").read_bytes() == b"too"


@pytest.mark.parametrize("name", ["../evil", "top/../../evil", "/tmp/evil"])
def test_nothing_is_written_outside_of_the_folder(
    name: str, written: Callable[[Write], Path], tmp_path: Path
) -> None:
    """A name that leads out is refused, or stays inside; never is it followed."""
    inside = tmp_path / "deep" / "inside"
    inside.mkdir(parents=True)
    with pytest.raises(UsageError, match="no archive of a record"):
        unpack(written(lambda tar: add(tar, name)), inside)
    assert not (tmp_path / "deep" / "evil").exists()
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize(
    "sort",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
)
def test_only_plain_files_are_taken(sort: bytes, written: Callable[[Write], Path], tmp_path: Path) -> None:
    """Neither links, which could lead out, nor devices."""
    with pytest.raises(UsageError, match="is no plain file"):
        unpack(written(lambda tar: add(tar, "top/a", b"", type=sort, linkname="b")), tmp_path / "in")


def test_absurd_sizes_are_refused_before_they_are_written(
    written: Callable[[Write], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what a header says, and by the number of files."""
    monkeypatch.setattr(archive, "_MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="more than"):
        unpack(written(lambda tar: add(tar, "top/large", bytes(1001))), tmp_path / "in")
    assert not (tmp_path / "in" / "top").exists()
    monkeypatch.setattr(archive, "_MOST_FILES", 2)
    with pytest.raises(UsageError, match="more than"):
        unpack(written(lambda tar: [add(tar, f"top/{n}") for n in range(3)] and None), tmp_path / "in")


def test_a_header_that_is_too_long_is_not_read(written: Callable[[Write], Path], tmp_path: Path) -> None:
    """Its length is the file's own word, and tarfile would have it in memory at once."""
    long = written(lambda tar: add(tar, "top/a", pax_headers={"comment": "x" * (2 << 20)}))
    with pytest.raises(UsageError, match="a header is too long"):
        unpack(long, tmp_path / "in")


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[: len(raw) // 2], lambda raw: b"no archive", lambda raw: b""]
)
def test_what_is_no_archive_is_said_to_be_none(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """Also half of one."""
    file = tmp_path / "a.tar.gz"
    pack(make_record(tmp_path), file)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UsageError, match="is no archive of a record"):
        unpack(file, tmp_path / "in")


def test_an_archive_without_a_record_is_refused(written: Callable[[Write], Path], tmp_path: Path) -> None:
    """Whatever else is in it."""
    with pytest.raises(UsageError, match=r"it has 0 files \*/run.json"):
        unpack(written(lambda tar: add(tar, "top/other.json")), tmp_path / "in")


def test_a_failed_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not even a part of it."""
    record = make_record(tmp_path)
    (tmp_path / "a.tar.gz").mkdir()
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        pack(record, tmp_path / "a.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar.gz", "cut"]


def test_the_archive_is_gzip_that_says_no_time_and_no_name(tmp_path: Path) -> None:
    """RFC 1952: flags and the time of the header are zero."""
    pack(make_record(tmp_path), tmp_path / "a.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes()[3:8] == bytes(5)
    assert gzip.decompress((tmp_path / "a.tar.gz").read_bytes())
