"""A scenario of nine nodes, one of which is paused for a while."""

from __future__ import annotations

from some_plan import some_plan

from stressnet.checks.expectation import Expectation
from stressnet.engine.run.scenario import Scenario, Settling
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.spec.targets import Targets


def some_scenario() -> Scenario:
    """Return one on no machine: its file is not there."""
    plan = some_plan()
    step = TimelineStep("nap", When(time_s=1.0), "fault", "pause", (), Targets(on="us-1"), 5.0)
    return Scenario(
        name="some",
        variant="bug",
        expected=Expectation("fail", ("height",)),
        description="A nap.",
        file="/some.yaml",
        seed=plan.seed,
        time_scale=4.0,
        plan=plan,
        timeline=Timeline((step,), 60.0, 30.0),
        settling=Settling(120.0, 2, True, 10.0),
        checks=({"name": "height", "check": "height", "parameters": {"reaches": 5}},),
        capture_bytes=8 << 20,
    )
