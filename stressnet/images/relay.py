"""The program of relays, Toxiproxy's server: the one on PATH, else one that is built once.

`images/relay/go.mod` says which version is built, and `go.sum` what each of its sources must be.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from stressnet import resources
from stressnet.images import cache, golang

PROGRAM = "toxiproxy-server"
IN_IMAGE = f"/usr/local/bin/{PROGRAM}"
"""Where the agent's image has it."""
OLDEST = (2, 5)
"""Before it a bandwidth toxic went on blocking after its removal (changelog of 2.5.0, #436)."""

_MODULE = "github.com/Shopify/toxiproxy/v2"
_SAYS = re.compile(rb"version v?((\d+)\.(\d+)[\w.+-]*)")
_PATIENCE_S = 10

Say = Callable[[str], None]


def find() -> Path | None:
    """Return the program for this machine: of PATH where that one will do, else the one built earlier."""
    foreign = shutil.which(PROGRAM)
    if foreign and not fault(Path(foreign)):
        return Path(foreign).absolute()
    own = _place(platform.machine())
    return own if own.exists() else None


def ensure(say: Say) -> Path:
    """Return the program for this machine, built first where there is none that will do.

    Raises EnvironmentProblem where it cannot be built.
    """
    foreign = shutil.which(PROGRAM)
    wrong = fault(Path(foreign)) if foreign else ""
    if wrong:
        say(f"{foreign} is passed over: {wrong}")
    return find() or binary(platform.machine(), say)


def fault(program: Path) -> str:
    """Say why this program will not do as ours; empty where it will."""
    version, number = _said(program)
    if number is None:
        return "it does not say its version"
    if number < OLDEST:
        return f"it is version {version}, and {'.'.join(map(str, OLDEST))} is the oldest that will do"
    return ""


def version(program: Path) -> str:
    """Return the version that a program says it is, as in 2.12.0; empty where it says none."""
    return _said(program)[0]


def _said(program: Path) -> tuple[str, tuple[int, int] | None]:
    try:
        answer = subprocess.run(
            [program, "-version"],
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "", None
    said = _SAYS.search(answer.stdout)
    return (said[1].decode(), (int(said[2]), int(said[3]))) if said else ("", None)


def sources() -> list[Path]:
    """Return the files that say what the program is built from."""
    folder = resources.folder("images") / "relay"
    return [folder / "go.mod", folder / "go.sum"]


def pinned() -> str:
    """Return the version that is built, as in 2.12.0."""
    found = re.search(rf"^\s*{re.escape(_MODULE)} v(\S+)", sources()[0].read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def binary(machine: str, say: Say) -> Path:
    """Return our own build for a machine (as `uname -m` names it), made where it is missing."""
    target = _place(machine)
    if not target.exists():
        say(f"building Toxiproxy {pinned()} with Go, once; this takes a minute or two")
        with cache.filled(target.parent) as folder:
            golang.build(
                sources()[0].parent,
                folder / PROGRAM,
                machine,
                package=f"{_MODULE}/cmd/server",
                values={f"{_MODULE}.Version": pinned()},
            )
    return target


def _place(machine: str) -> Path:
    return cache.root() / "relay" / f"{cache.digest(sources())}-{machine}" / PROGRAM
