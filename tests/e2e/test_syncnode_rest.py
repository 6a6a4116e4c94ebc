"""The reference node leaks nothing by itself: after load and faults a net of it is at rest as it was before."""

from __future__ import annotations

from pathlib import Path

from benchmarks.syncnode_rest import run


def test_after_load_and_faults_a_net_is_at_rest_as_before(tmp_path: Path):
    outcome = run(tmp_path, seconds=16, seed=7)
    assert outcome.left == []
    assert outcome.agreed
    assert outcome.steps >= 5
