"""Whatever is killed, whenever: after `prune` nothing of ours is left, and nothing of anyone else's is touched."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.leftovers import TOKEN, rounds


def test_nothing_is_left_after_kill_9_and_prune(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten random deaths of `up`, `status --watch`, `down` and the agent leave nothing once `prune` has run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / TOKEN))
    seed = random.SystemRandom().randrange(10**6)
    outcomes = rounds(backend, 10, seed, tmp_path)
    assert [outcome for outcome in outcomes if outcome.left] == [], f"seed {seed}"
