"""Python packages for an image, fetched on this machine: steps of a build have no network."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from stressnet.errors import EnvironmentProblem
from stressnet.images import cache

_TAIL = 5


def site(requirements: Path, python: str, machine: str) -> Path:
    """Return a folder with the required packages for a Python version and a machine, filled once."""
    key = cache.digest([requirements], python, machine)
    target = cache.root() / "site" / f"{requirements.parent.name}-{key}"
    if not target.is_dir():
        with cache.filled(target) as folder:
            install(["--requirement", str(requirements)], folder, python=python, machine=machine)
    return target


def install(what: Sequence[str], target: Path, *, python: str = "", machine: str = "") -> None:
    """Install packages into a folder, for this Python or for another; only wheels, nothing is compiled."""
    python = python or f"{sys.version_info.major}.{sys.version_info.minor}"
    machine = machine or platform.machine()
    command = [*_installer(), "install", "--quiet", "--target", str(target), "--python-version", python]
    if command[0] != sys.executable:
        command += ["--python-platform", f"{machine}-unknown-linux-gnu"]
    else:
        command += [f"--platform=manylinux_{version}_{machine}" for version in ("2_28", "2_17", "2_5")]
        command += [f"--platform=linux_{machine}"]
    done = subprocess.run(
        [*command, "--only-binary=:all:", *what], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EnvironmentProblem(
            f"the packages {' '.join(what)} could not be fetched",
            hints=done.stderr.strip().splitlines()[-_TAIL:],
        )


def _installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip"]
    raise EnvironmentProblem("neither pip nor uv is there to fetch packages with")
