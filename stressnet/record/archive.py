"""A record as one file, to be sent to somebody else; what comes from somebody else is read with care."""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from stressnet.errors import EnvironmentProblem, UsageError
from stressnet.record import runs

SUFFIX = ".tar.gz"
_MOST_FILES = 50_000
_MOST_BYTES = 16 << 30
_AT_ONCE = 1 << 20
"""Bytes that may be asked for in one read. The contents of files come in pieces of 16 KiB, headers whole."""
_BESIDE = re.compile(rf"{re.escape(runs.SAMPLES)}-(wal|shm|journal)")
"""Where SQLite has what is not yet in the file itself."""


def pack(record: Path, file: Path) -> int:
    """Write a record into an archive, the same bytes for the same record, and return its size in bytes.

    Everything in it lies below one folder that has the name of the plan and the time of the run.
    """
    begun = int(json.loads((record / runs.RUN).read_text(encoding="utf-8"))["begun_at"])
    top = runs.label(record)
    partial = file.with_name(f".{file.name}.partial")
    try:
        with (
            TemporaryDirectory() as folder,
            partial.open("wb") as out,
            gzip.GzipFile("", "wb", fileobj=out, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, content in _contents(record, Path(folder)):
                _add(tar, f"{top}/{name}", content, begun)
        partial.replace(file)
        return file.stat().st_size
    except OSError as error:
        raise EnvironmentProblem(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _contents(record: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield name and place of each file, sorted; the samples as one file that is complete in itself."""
    samples = _whole(record / runs.SAMPLES, folder)
    alone = samples.parent == folder
    for path in sorted(record.rglob("*")):
        name = path.relative_to(record).as_posix()
        if path.is_symlink() or not path.is_file() or path.name.endswith(".partial"):
            continue
        if not (alone and _BESIDE.fullmatch(name)):
            yield name, samples if name == runs.SAMPLES else path


def _whole(samples: Path, folder: Path) -> Path:
    """Return the samples joined with what lies beside them; as they are where that cannot be."""
    if not samples.with_name(f"{samples.name}-wal").exists():
        return samples
    copy = folder / samples.name
    with suppress(sqlite3.Error):
        source = sqlite3.connect(f"{samples.resolve().as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(copy)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        return copy
    return samples


def _add(tar: tarfile.TarFile, name: str, path: Path, time: int) -> None:
    with path.open("rb") as content:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = os.fstat(content.fileno()).st_size, time, 0o644
        tar.addfile(member, content)


@contextmanager
def opened(text: str, root: Path = runs.ROOT) -> Iterator[Path]:
    """Give the folder of a record: a folder, the name of a fault plan for its latest, or an archive for a while."""
    if not Path(text).is_file():
        yield runs.find_run(text, root)
        return
    with TemporaryDirectory(prefix="stressnet-") as folder:
        yield unpack(Path(text), Path(folder))


def unpack(file: Path, folder: Path) -> Path:
    """Write the files of an archive below a folder, and return the record; UsageError where it is not `pack`'s.

    Only plain files with relative names are taken, and neither more nor larger ones than a record can have.
    """
    try:
        with _Wary(file) as packed, tarfile.open(fileobj=packed, mode="r:") as tar:
            _extract(tar, folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise UsageError(f"{file} is no archive of a record: {error}") from error
    except OSError as error:
        raise EnvironmentProblem(f"{file} cannot be unpacked: {error.strerror or error}") from error
    found = list(folder.glob(f"*/{runs.RUN}"))
    if len(found) != 1:
        raise UsageError(f"{file} is no archive of a record: it has {len(found)} files */{runs.RUN}")
    return found[0].parent


def _extract(tar: tarfile.TarFile, folder: Path) -> None:
    files = size = 0
    for member in tar:
        files, size = files + 1, size + member.size
        if not member.isreg():
            raise tarfile.ReadError(f"{member.name!r} is no plain file")
        if files > _MOST_FILES or size > _MOST_BYTES:
            raise tarfile.ReadError(f"it has more than {_MOST_FILES} files or {_MOST_BYTES >> 30} GiB")
        tar.extract(member, folder, filter="data")


class _Wary(gzip.GzipFile):
    """Does not read at once what is too long for a header: tarfile takes its length from the file itself."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _AT_ONCE:
            raise tarfile.ReadError("a header is too long")
        return super().read(size)
