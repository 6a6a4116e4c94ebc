"""What every test shares: backends that must be there, and a place of its own for the state of nets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import BACKENDS, require


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run on a backend, so that -m netns and -m docker choose them."""
    for item in items:
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
