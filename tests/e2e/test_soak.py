"""A soak of a real net, whose controller is killed in the middle of a round."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from needs import require_relay
from some_soak import SOAKED

from stressnet import state

_PATIENCE_S = 120.0


class Soaking:
    """The command, given again and again in one folder."""

    def __init__(self, folder: Path, backend: str) -> None:
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []
        (folder / "soaked.yaml").write_text(SOAKED)
        # Containers take long to start where others use the machine; there nobody waits for the end of the time.
        lasts = "19s" if backend == "netns" else "10m"
        words = ["soak", "soaked.yaml", "--for", lasts, "--every", "5s", "--backend", backend, "--resume"]
        self._command = [sys.executable, "-m", "stressnet", *words, "--budget", "8MiB"]

    def start(self) -> subprocess.Popen[str]:
        # As from a shell's prompt: the folder of the code is not the one where a user works.
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test has left."""
        for process in self._started:
            process.kill()
            process.communicate()

    @property
    def path(self) -> Path:
        return self._folder / "runs" / "soaked" / "latest-soak"

    def read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / name).read_text())
        return found

    def log_of_round(self, number: int, node: str) -> str:
        return (self.path / "rounds" / str(number) / "logs" / f"{node}.log").read_text()

    def wait_for_a_fault_in_round(self, number: int) -> None:
        """Return when a fault of the round is on."""
        journal = self.path / "rounds" / str(number) / "journal.jsonl"
        end = time.monotonic() + _PATIENCE_S
        while not (journal.exists() and "fault on" in journal.read_text()):
            assert time.monotonic() < end, f"round {number} has put no fault on"
            time.sleep(0.05)


@pytest.fixture
def soaking(backend: str, tmp_path: Path, state_home: Path) -> Iterator[Soaking]:
    require_relay(backend)
    made = Soaking(tmp_path, backend)
    yield made
    made.end()


@pytest.mark.parametrize("backend", ["netns"])
def test_a_soak_outlives_its_controller(soaking: Soaking) -> None:
    """Killed in its second round and begun again, it goes on with the same net, to a verdict, and leaves no net."""
    first = soaking.start()
    soaking.wait_for_a_fault_in_round(2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (net,) = state.nets()
    second = soaking.start()
    soaking.wait_for_a_fault_in_round(3)
    refused = soaking.start()
    assert refused.wait() == 254
    assert refused.communicate()[1].startswith("error: the soak ")
    assert state.nets() == [net]
    said, told = second.communicate(timeout=_PATIENCE_S)
    verdict = soaking.read("verdict.json")
    # On a machine that others use, rounds may be inconclusive; that none fails is what this is about.
    assert second.returncode == {"pass": 0, "inconclusive": 2}[verdict["outcome"]], told
    assert (verdict["nets"], verdict["cut_short"], verdict["rounds"]["fail"]) == (1, 1, 0)
    assert sum(verdict["rounds"].values()) >= 3
    assert verdict["notes"][0].endswith(": round 2 was cut short by the death of its controller")
    assert said.startswith(f"## Soak of soaked: {verdict['outcome'].upper()}")
    assert state.nets() == []


def test_a_soak_that_is_told_to_stop_leaves_nothing(soaking: Soaking) -> None:
    """Killed once and begun again, it finds its net; SIGTERM heals, judges, takes the net down and exits with 2."""
    first = soaking.start()
    soaking.wait_for_a_fault_in_round(1)
    first.kill()
    first.communicate()
    second = soaking.start()
    soaking.wait_for_a_fault_in_round(2)
    second.terminate()
    said, told = second.communicate(timeout=_PATIENCE_S)
    assert second.returncode == 2, told
    assert "INCONCLUSIVE" in said
    verdict = soaking.read("verdict.json")
    assert (verdict["ended"], verdict["nets"], verdict["cut_short"]) == ("interrupted", 1, 2)
    assert "event=started" not in soaking.log_of_round(2, "full")
    assert state.nets() == []
