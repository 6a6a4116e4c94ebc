"""What a test needs of this machine: a backend that works; without it, it is skipped, or fails where required."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
BACKENDS = ("netns", "docker")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@cache
def _missing(backend: str) -> str:
    """Say why a backend does not work here; empty where it does."""
    if backend == "netns":
        command = [sys.executable, "-m", "stressnet.agent.capabilities"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return "" if '"veth": ""' in answer.stdout else answer.stdout or answer.stderr
    from stressnet.backends.docker import describe_engine

    return next((fault for name, fault, *_ in describe_engine() if fault), "")


def require(backend: str) -> None:
    """Skip a test whose backend is missing, or fail it where STRESSNET_REQUIRE names the backend."""
    why = _missing(backend)
    if not why:
        return
    if backend in os.environ.get("STRESSNET_REQUIRE", "").split(","):
        pytest.fail(f"backend {backend} is required and does not work here: {why}")
    pytest.skip(f"backend {backend} does not work here: {why}")


def require_limits(backend: str) -> None:
    """Skip a test of cpu and memory limits where this user may not make control groups."""
    from stressnet.agent import cgroups

    if backend == "netns" and cgroups.find() is None:
        pytest.skip("this user may not make control groups with limits here, as `stressnet doctor` says")


def require_go() -> None:
    """Skip a test that compiles where Go cannot be had, or fail it where a backend is required."""
    from stressnet.errors import EnvironmentProblem
    from stressnet.images import golang

    try:
        golang.program()
    except EnvironmentProblem as problem:
        if os.environ.get("STRESSNET_REQUIRE"):
            pytest.fail(f"Go is required to build what backends need: {problem}")
        pytest.skip(f"there is no Go here, and it cannot be fetched: {problem}")


def require_relay(backend: str) -> None:
    """Skip a test of streams where Toxiproxy is missing, or fail it where the backend is required."""
    from stressnet.images import relay

    require(backend)
    if backend == "netns" and relay.find() is None:
        if backend in os.environ.get("STRESSNET_REQUIRE", "").split(","):
            pytest.fail(f"{relay.PROGRAM} is required and not on this machine")
        pytest.skip(f"{relay.PROGRAM} is not on this machine")


def require_kernel(ability: str, there: bool) -> None:
    """Skip a test of what only some kernels have, or fail it where STRESSNET_REQUIRE names `kernel`."""
    if there:
        return
    if "kernel" in os.environ.get("STRESSNET_REQUIRE", "").split(","):
        pytest.fail(f"{ability} is required and is not here")
    pytest.skip(f"{ability} is not here; `make test-vm` has it")


def require_chromium() -> str:
    """Return the program, or skip a test that looks at pages; fail it where STRESSNET_REQUIRE names `chromium`."""
    found = next(filter(None, map(shutil.which, BROWSERS)), "")
    if not found and "chromium" in os.environ.get("STRESSNET_REQUIRE", "").split(","):
        pytest.fail(f"a browser is required, and there is none of {', '.join(BROWSERS)}")
    if not found:
        pytest.skip(f"there is none of {', '.join(BROWSERS)} here")
    return found
