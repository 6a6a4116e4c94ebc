"""Records of runs that never were, of some nodes of some plan, and a check to be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from some_plan import some_plan

from stressnet import making
from stressnet.checks.check import Finding
from stressnet.checks.registry import CHECKS
from stressnet.making import BASELINE, BEGUN, END, OBSERVE, STEP_S, TIMELINE, Row, Sampled, healthy
from stressnet.record import runs
from stressnet.record.record import Record


class Making(making.Making):
    """A record on disk."""

    path: Path

    def __init__(self, folder: Path, nodes: Sequence[str] = ("us-1", "us-2", "us-3")) -> None:
        plan = some_plan()
        super().__init__(replace(plan, nodes=tuple(plan.node(name) for name in nodes)), folder)
        (self.path / runs.LOGS).mkdir(parents=True)
        self.unseen: Callable[[float], bool] = lambda _: False

    def _rows(self) -> list[Row]:
        """Nobody looked at anything at the seconds that are `unseen`."""
        return [row for row in super()._rows() if not self.unseen(row.at - BEGUN)]


def exited(height: int | None = None) -> Sampled:
    """Return a look at a node that has ended; earlier versions went on writing down its last height."""
    return {"state": "exited", "pid": 0, "height": height}


def found(record: Record, check: str, **parameters: Any) -> Finding:
    """Ask a check, with its parameters as a fault plan has them."""
    one = CHECKS[check]
    return one.judge(record, one.parameters.model_validate(parameters))


__all__ = [
    "BASELINE",
    "BEGUN",
    "END",
    "OBSERVE",
    "STEP_S",
    "TIMELINE",
    "Making",
    "Sampled",
    "exited",
    "found",
    "healthy",
]
