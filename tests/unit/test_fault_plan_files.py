"""Fault plans as files: what is refused before anything starts, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.engine.plan_topology import plan_topology
from stressnet.engine.run.scenario import load_scenarios
from stressnet.errors import InputError, UsageError

_TOPOLOGY = "name: net\nnodes: {a: {kind: syncnode, count: 2}}\n"
_PLAN = """\
topology: net.yaml
duration: 10s
timeline:
  - {name: nap, SAID, fault: pause, on: a-1, for: 1s}
  - {after: nap, mark: over}
checks: [agreement]
"""


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(_TOPOLOGY)
    Path("plan.yaml").write_text(_PLAN.replace("SAID", "at: 1s"))
    return tmp_path


def test_a_fault_plan_where_a_topology_is_wanted_is_told_as_such(written: Path) -> None:
    """And not as a list of keys that a topology does not have."""
    with pytest.raises(UsageError, match=r"plan\.yaml is a fault plan") as error:
        plan_topology(Path("plan.yaml"), backend="netns")
    assert "stressnet run plan.yaml" in error.value.hints[0]


def test_a_topology_where_a_fault_plan_is_wanted_is_told_as_such(written: Path) -> None:
    with pytest.raises(UsageError, match=r"net\.yaml is no fault plan") as error:
        load_scenarios(Path("net.yaml"), backend="netns")
    assert "stressnet up net.yaml" in error.value.hints[0]


def test_a_step_comes_after_one_that_is_done_once(written: Path) -> None:
    """One that is done again and again has no end of its own."""
    assert load_scenarios(Path("plan.yaml"), backend="netns", check=False)
    Path("plan.yaml").write_text(_PLAN.replace("SAID", "every: 3s"))
    with pytest.raises(InputError) as error:
        load_scenarios(Path("plan.yaml"), backend="netns", check=False)
    (problem,) = error.value.problems
    assert (problem.line, problem.path) == (5, "timeline.1.after")
