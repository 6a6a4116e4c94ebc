"""What a soak amounts to: a verdict over all rounds, and over the night as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stressnet.checks.check import Outcome
from stressnet.checks.verdict import EXIT_CODES, Verdict
from stressnet.engine.soak.checkpoint import Checkpoint
from stressnet.engine.soak.figures import Change
from stressnet.engine.soak.folder import SOAK, soaks
from stressnet.record import runs

_MOST_INCONCLUSIVE = 0.1
"""Share of the rounds that were done to their end: where more say nothing, neither does the soak."""


@dataclass(frozen=True, slots=True)
class Amount:
    """What a soak amounts to."""

    outcome: Outcome
    reason: str
    checkpoint: Checkpoint
    changes: Mapping[str, Change]
    night: Verdict | None
    """Of the checks that make sense of a whole night."""

    @property
    def exit_code(self) -> int:
        """As for a run."""
        return EXIT_CODES[self.outcome]

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        first = self.checkpoint.tally.first_failure
        return {
            "version": 1,
            "outcome": self.outcome,
            "reason": self.reason,
            "soaked_s": round(self.checkpoint.soaked_s, 1),
            "ended": self.checkpoint.ended,
            "rounds": dict(self.checkpoint.tally.counts),
            "cut_short": self.checkpoint.tally.cut_short,
            "nets": self.checkpoint.nets,
            "first_failure": first.to_raw() if first else None,
            "night": self.night.to_raw() if self.night else None,
            "nodes": {name: change.to_raw() for name, change in self.changes.items()},
            "notes": list(self.checkpoint.notes),
        }


def weigh(checkpoint: Checkpoint, night: Verdict | None) -> tuple[Outcome, str]:
    """Return outcome and reason. A round that failed stands, whatever came after it."""
    tally = checkpoint.tally
    first = tally.first_failure
    if first:
        said = f"{first.failure.check}: {first.failure.summary}" if first.failure else first.reason
        return (
            "fail",
            f"{tally.counts['fail']} of {tally.total} rounds failed, first round {first.number}: {said}",
        )
    if night and night.outcome == "fail":
        return "fail", f"the night as a whole: {night.reason}"
    if checkpoint.ended != "time":
        return "inconclusive", f"it did not come to its end; {tally.words()}"
    silent = tally.counts["inconclusive"] - tally.cut_short
    if tally.last_silent and silent > _MOST_INCONCLUSIVE * (tally.total - tally.cut_short):
        last = f"the last was round {tally.last_silent.number}: {tally.last_silent.reason}"
        return "inconclusive", f"{silent} of {tally.total} rounds say nothing, {last}"
    if not tally.counts["pass"]:
        return "inconclusive", f"no round was done to its end; {tally.words()}"
    if night and night.outcome == "inconclusive":
        return "inconclusive", f"the night as a whole: {night.reason}"
    return "pass", tally.words()


@dataclass(frozen=True, slots=True)
class GoodNight:
    """An earlier soak that passed."""

    path: Path
    rounds: int
    changes: Mapping[str, Change]


def last_good_night(soak: Path) -> GoodNight | None:
    """Return the newest soak of the same plan and variant that was begun before this one and passed."""
    facts = runs.read_json(soak / SOAK)
    for path in soaks(soak.parent.parent, soak.parent.name, facts.get("variant", "")):
        verdict = runs.read_json(path / runs.VERDICT)
        earlier = runs.read_json(path / SOAK).get("begun_at", 0.0) < facts.get("begun_at", 0.0)
        if earlier and verdict.get("outcome") == "pass":
            found = {name: Change.from_raw(raw) for name, raw in verdict["nodes"].items()}
            return GoodNight(path, sum(verdict["rounds"].values()), found)
    return None
