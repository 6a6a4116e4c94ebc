"""The soaks that lie below a folder, and how each of them stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stressnet import state
from stressnet.engine.soak.folder import LOCK, PREFIX, SOAK, STATE
from stressnet.record import runs

Standing = Literal["in progress", "unfinished", "finished"]
"""`unfinished`: nobody does it just now, and its time is not up; `--resume` may go on with it."""


@dataclass(frozen=True, slots=True)
class FoundSoak:
    """One soak on disk; seconds and Unix time."""

    path: Path
    name: str
    variant: str
    begun_at: float
    outcome: str
    """pass, fail or inconclusive; "" while it goes on, unless a round has failed."""
    standing: Standing
    for_s: float
    soaked_s: float
    rounds: dict[str, int]
    """How many had which outcome."""

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"standing": self.standing, "for_s": self.for_s, "rounds": self.rounds}


def found_soaks(root: Path) -> Iterator[FoundSoak]:
    """Yield the soaks of all fault plans below a folder of records."""
    for file in sorted(root.glob(f"*/{PREFIX}*/{SOAK}")):
        if (facts := runs.read_json(file)) and "begun_at" in facts:
            yield _found(file.parent, facts)


def _found(path: Path, facts: Any) -> FoundSoak:
    so_far, verdict = runs.read_json(path / STATE), runs.read_json(path / runs.VERDICT)
    standing = _standing(path, so_far.get("ended", ""))
    outcome = str(verdict.get("outcome", ""))
    return FoundSoak(
        path=path,
        name=facts["name"],
        variant=facts["variant"],
        begun_at=facts["begun_at"],
        outcome="" if standing == "in progress" and outcome != "fail" else outcome,
        standing=standing,
        for_s=facts["for_s"],
        soaked_s=so_far.get("soaked_s", 0.0),
        rounds=dict(so_far.get("tally", {}).get("counts", {})),
    )


def _standing(path: Path, ended: str) -> Standing:
    if state.is_held(path / LOCK):
        return "in progress"
    return "finished" if ended == "time" else "unfinished"
