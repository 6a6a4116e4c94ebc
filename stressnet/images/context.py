"""The files that an image is built from, as the tar stream that the engine wants."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

SKIPPED = {"__pycache__", ".git", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache", "node_modules"}


class Context:
    """A tar archive in memory. Entries belong to root and have no time: equal content, equal layers."""

    def __init__(self) -> None:
        self._buffer = io.BytesIO()
        self._archive = tarfile.open(fileobj=self._buffer, mode="w")  # noqa: SIM115 - closed by `finish`

    def text(self, name: str, text: str) -> None:
        """Add a file with this content."""
        member = tarfile.TarInfo(name)
        content = text.encode()
        member.size, member.mode = len(content), 0o644
        self._archive.addfile(member, io.BytesIO(content))

    def file(self, path: Path, name: str, mode: int = 0) -> None:
        """Add a file under a name; mode 0: readable by all, executable where it is."""
        member = tarfile.TarInfo(name)
        found = path.stat()
        member.size = found.st_size
        member.mode = mode or (0o755 if found.st_mode & 0o111 else 0o644)
        with path.open("rb") as file:
            self._archive.addfile(member, file)

    def folder(self, path: Path, name: str = "") -> None:
        """Add what lies below a folder, below a name; caches are left out."""
        for found in sorted(_files(path)):
            self.file(found, f"{name}/{found.relative_to(path)}".lstrip("/"))

    def finish(self) -> io.BytesIO:
        """Return the archive, ready to be read."""
        self._archive.close()
        self._buffer.seek(0)
        return self._buffer


def _files(path: Path) -> Iterable[Path]:
    for found in path.iterdir():
        if found.name in SKIPPED or found.suffix == ".pyc":
            continue
        if found.is_dir():
            yield from _files(found)
        elif found.is_file():
            yield found
