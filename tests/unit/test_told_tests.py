"""Tests that are told to end undo what they have made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = """
import time
from pathlib import Path
import pytest

@pytest.fixture(scope="module")
def net():
    Path("up").touch()
    yield
    Path("up").unlink()

def test_slow(net):
    time.sleep(60)
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_fixtures_undo_what_they_made(tmp_path: Path, workers: int) -> None:
    """As a time limit sends it, to all of them at once."""
    (tmp_path / "test_slow.py").write_text(SLOW)
    tests = Path(__file__).parents[1]
    words = ["-p", "conftest", "-p", "no:cacheprovider", "-n", str(workers), "--rootdir", str(tmp_path)]
    telling = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-c", os.devnull, *words, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "up").exists():
        assert time.monotonic() < deadline, "the test did not begin"
        time.sleep(0.05)
    os.killpg(telling.pid, signal.SIGTERM)
    telling.wait(timeout=30)
    assert not (tmp_path / "up").exists()
