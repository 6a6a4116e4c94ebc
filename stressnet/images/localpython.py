"""The Python that runs this program, as a root file system: a base image where there is no registry.

It holds the interpreter, its standard library, a shell with a dozen small programs, and the shared
libraries that these load.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

PROGRAMS = (
    *("sh", "env", "cat", "ls", "sleep", "mkdir", "rm", "cp", "mv", "chmod", "true", "false", "echo"),
    *("head", "tail", "grep", "id", "hostname", "date", "getent", "ps", "kill", "touch", "ln", "ip"),
)
"""What `exec` into a node is most likely to want; those that are not here are left out."""
NOT_NEEDED = {
    *("__pycache__", "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo"),
    *("ensurepip", "lib2to3", "pydoc_data"),
}
_LOADED_LATER = (
    "libgcc_s.so.1",  # by the C library itself
    *("libstdc++.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"),  # by compiled packages, as grpcio is
)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def write(target: Path) -> None:
    """Write the root file system as a tar file."""
    with tarfile.open(target, "w") as archive:
        seen: set[str] = set()
        for name, mode in (
            ("tmp", 0o1777),
            ("etc", 0o755),
            ("root", 0o755),
            ("run", 0o755),
            ("usr/bin", 0o755),
        ):
            _folder(archive, name, mode, seen)
        _text(archive, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        _text(archive, "etc/group", "root:x:0:\nnogroup:x:65534:\n")
        _text(archive, "etc/nsswitch.conf", "hosts: files dns\n")
        for path in _everything():
            _add(archive, path, seen)
        for link in ("usr/bin/python3", "usr/bin/python"):
            if f"/{link}" not in seen:
                _link(archive, link, str(_interpreter()))


def python_version() -> str:
    """Return the version that compiled packages must be made for."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _interpreter() -> Path:
    return Path(os.path.realpath(sys.executable))


def _everything() -> Iterator[Path]:
    programs = [
        Path(found)
        for name in PROGRAMS
        if (found := shutil.which(name, path="/bin:/usr/bin:/sbin:/usr/sbin"))
    ]
    library = list(_standard_library())
    yield from programs
    yield _interpreter()
    yield from library
    loaded = [*programs, _interpreter(), *(path for path in library if path.suffix == ".so")]
    yield from _libraries(loaded)


def _standard_library() -> Iterator[Path]:
    for root, folders, files in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = [name for name in folders if name not in NOT_NEEDED and not name.startswith("config-")]
        yield from (Path(root, name) for name in files if not name.endswith((".a", ".pyc")))


def _libraries(binaries: Iterable[Path]) -> Iterator[Path]:
    """What the dynamic loader says these load, and what is loaded later."""
    answer = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    found = dict.fromkeys(_LIBRARY.findall(answer.stdout))
    yield from map(Path, found)
    folders = dict.fromkeys(Path(name).parent for name in found)
    for folder in folders:
        for name in _LOADED_LATER:
            yield from folder.glob(name)


def _add(archive: tarfile.TarFile, path: Path, seen: set[str]) -> None:
    """Add a file at its own path. A folder on the way that is a link (/lib on Debian) is added as one."""
    if str(path) in seen:
        return
    seen.add(str(path))
    for parent in reversed(path.parents[:-1]):
        if parent.is_symlink():
            if str(parent) not in seen:
                seen.add(str(parent))
                _folder(archive, str(parent.resolve()), 0o755, seen)
                _link(archive, str(parent), os.readlink(parent))
        else:
            _folder(archive, str(parent), 0o755, seen)
    if path.is_symlink():
        _link(archive, str(path), os.readlink(path))
        _add(archive, Path(os.path.normpath(path.parent.resolve() / os.readlink(path))), seen)
        return
    if path.parent.resolve() != path.parent:
        _add(archive, path.resolve(), seen)
        return
    member = archive.gettarinfo(path, str(path).lstrip("/"))
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    # gettarinfo turns the second name of a file into a link to the first, which may lie elsewhere.
    if member.islnk():
        member.type, member.size = tarfile.REGTYPE, path.stat().st_size
    with path.open("rb") as file:
        archive.addfile(member, file)


def _folder(archive: tarfile.TarFile, name: str, mode: int, seen: set[str]) -> None:
    name = "/" + name.strip("/")
    if name in seen:
        return
    seen.add(name)
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type, member.mode = tarfile.DIRTYPE, mode
    archive.addfile(member)


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    member = tarfile.TarInfo(name.lstrip("/"))
    member.type, member.linkname = tarfile.SYMTYPE, target
    archive.addfile(member)


def _text(archive: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text.encode()))
