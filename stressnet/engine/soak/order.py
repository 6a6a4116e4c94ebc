"""What was asked of a soak, and what of it stands in its folder for whoever goes on with it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.stages import Asked
from stressnet.engine.soak.folder import SOAK
from stressnet.record import runs
from stressnet.spec.units import format_duration


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked; seconds and bytes."""

    scenario: Scenario
    asked: Asked
    for_s: float
    every_s: float
    budget: int

    def words(self) -> list[str]:
        """Return the command that does the whole soak again; `asked` has that of a run."""
        program, _, *rest = self.asked.command
        return [program, "soak", *rest, "--for", format_duration(self.for_s)]


def asked_digest(scenario: Scenario) -> str:
    """Return what tells one soak from another: all that its rounds do, ask and keep, but not how long its net lives."""
    asked = {
        "plan": json.loads(replace(scenario.plan, ttl_s=0).to_json()),
        "settling": asdict(scenario.settling),
        "timeline": scenario.timeline.to_raw(),
        "checks": scenario.checks,
        "capture_bytes": scenario.capture_bytes,
        "expected": scenario.expected.to_raw(),
    }
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def write_order(folder: Path, order: Order, mark: str, now: float) -> None:
    """Write into a soak's folder what was asked."""
    one = order.scenario
    facts = {
        "version": 1,
        "name": one.name,
        "variant": one.variant,
        "expected": one.expected.to_raw(),
        "file": one.file,
        "seed": one.plan.seed,
        "backend": one.plan.backend,
        "net": one.plan.net,
        "asked": asked_digest(one),
        "mark": mark,
        "command": list(order.asked.command),
        "begun_at": now,
    }
    runs.write_json(folder / SOAK, facts | _amounts(order))


def renew_order(folder: Path, order: Order) -> None:
    """Write into the folder of a soak that is gone on with what may be asked anew each time."""
    runs.write_json(folder / SOAK, {**runs.read_json(folder / SOAK), **_amounts(order)})


def _amounts(order: Order) -> dict[str, float]:
    return {"for_s": order.for_s, "every_s": order.every_s, "budget_bytes": order.budget}
