"""What every test shares: backends that must be there, and a place of its own for the state of nets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from needs import BACKENDS, require

# Who was started in the background by a shell ignores Ctrl-C, and so would every command of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Who ends tests that take too long must not leave their nets: fixtures undo what was made, as after Ctrl-C.
signal.signal(signal.SIGTERM, signal.default_int_handler)
os.environ.pop("COLUMNS", None)  # of whoever runs the tests: their output would be as narrow as that terminal

settings.register_profile("beside others", deadline=None)  # a busy machine makes any example slow
settings.load_profile("beside others")

_ALONE = ("test_measure.py",)
"""Modules whose tests compare times and rates with what was asked: a busy machine is not what they are about."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run on a backend, and those that nothing may run beside."""
    for item in items:
        if item.path.name in _ALONE:
            item.add_marker("alone")
        backend = getattr(item, "callspec", None) and item.callspec.params.get("backend")  # type: ignore[attr-defined]
        if backend in BACKENDS:
            item.add_marker(backend)


@pytest.fixture
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory of the test's own; fails if the test leaves a net in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state"
    left = [path.name for path in (tmp_path / "state" / "stressnet" / "nets").glob("*")]
    for net in left:
        subprocess.run([sys.executable, "-m", "stressnet", "down", net], check=False, capture_output=True)
    assert left == [], "the test left nets behind"


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend in turn."""
    require(request.param)
    return str(request.param)
