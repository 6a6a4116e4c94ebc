"""A soak that was left is gone on with only as what it was begun as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from some_soak import SOAKED

from stressnet.engine.run.scenario import Scenario, load_scenarios
from stressnet.engine.run.stages import Asked
from stressnet.engine.soak.begin import begun
from stressnet.engine.soak.folder import SOAK
from stressnet.engine.soak.order import Order
from stressnet.errors import UsageError
from stressnet.record import runs

_PLAN = SOAKED + "capture: 1MiB\nexpect: pass\n"


class Command:
    """`stressnet soak`, up to what is to be done."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.plan = _PLAN
        self.sets: tuple[str, ...] = ()
        self.asks: dict[str, Any] = {"for_s": 3600.0, "every_s": 600.0, "budget": 8 << 20}

    def begin(self, *, resume: bool) -> tuple[Path, Order]:
        file = self.root / "soaked.yaml"
        file.write_text(self.plan)

        def load(mark: str) -> Scenario:
            return load_scenarios(file, sets=self.sets, backend="netns", check=False, mark=mark)[0]

        def order_of(scenario: Scenario) -> Order:
            return Order(scenario, Asked(self.root, ("stressnet", "run", str(file))), **self.asks)

        with begun(load, order_of, self.root, resume=resume) as found:
            return found


def test_the_same_plan_is_gone_on_with(tmp_path: Path) -> None:
    """With the same net; whoever does not ask for that begins another soak, with a net of its own."""
    command = Command(tmp_path)
    path, order = command.begin(resume=True)
    again = command.begin(resume=True)
    assert (again[0], again[1].scenario.plan) == (path, order.scenario.plan)
    other = command.begin(resume=False)
    assert other[0] != path
    assert other[1].scenario.plan.net != order.scenario.plan.net


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("within: 2s", "within: 3s"),
        ("count: 2", "count: 3"),
        ("block_time: 300ms", "block_time: 400ms"),
        ("height: 2", "height: 3"),
        ("baseline: 1s", "baseline: 2s"),
        ("for: 2s", "for: 1s"),
        ("observe: 2s", "observe: 3s"),
        ("1MiB", "2MiB"),
        ("expect: pass", "expect: fail"),
        ("seed: 5", "seed: 6"),
    ],
)
def test_another_plan_is_refused(tmp_path: Path, was: str, now: str) -> None:
    """Whatever of it has changed that its rounds do, ask or keep; the one that was begun can be gone on with still."""
    command = Command(tmp_path)
    path, _ = command.begin(resume=True)
    assert was in command.plan
    command.plan = _PLAN.replace(was, now)
    with pytest.raises(UsageError, match="have changed since"):
        command.begin(resume=True)
    command.plan = _PLAN
    assert command.begin(resume=True)[0] == path


def test_what_the_command_sets_is_part_of_the_plan(tmp_path: Path) -> None:
    command = Command(tmp_path)
    command.begin(resume=True)
    command.sets = ("settle.height=3",)
    with pytest.raises(UsageError, match="--set"):
        command.begin(resume=True)


@pytest.mark.parametrize(
    ("name", "value", "stands"),
    [("for_s", 7200.0, "for_s"), ("every_s", 60.0, "every_s"), ("budget", 16 << 20, "budget_bytes")],
)
def test_how_long_and_how_large_may_change(tmp_path: Path, name: str, value: float, stands: str) -> None:
    """What is asked now holds, and its folder says so."""
    command = Command(tmp_path)
    path, _ = command.begin(resume=True)
    command.asks[name] = value
    again, order = command.begin(resume=True)
    assert again == path
    assert getattr(order, name) == value
    assert runs.read_json(path / SOAK)[stands] == value


def test_a_comment_in_the_plan_changes_nothing(tmp_path: Path) -> None:
    """Nor does what only people read."""
    command = Command(tmp_path)
    path, _ = command.begin(resume=True)
    command.plan = f"# for the night\ndescription: cut again and again\n{_PLAN}"
    assert command.begin(resume=True)[0] == path
