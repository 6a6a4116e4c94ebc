"""The rounds of a soak as lines, one each, and what they come to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from stressnet.checks.verdict import Verdict
from stressnet.record.record import Record

OUTCOMES = ("pass", "fail", "inconclusive")
_ROUNDS = ("first_failure", "last_silent", "last")


@dataclass(frozen=True, slots=True)
class Failure:
    """The first check that failed in a round."""

    check: str
    nodes: tuple[str, ...]
    at: float | None
    """Unix time of the breach."""
    clock: str
    """The same as minutes and seconds of the round's timeline."""
    summary: str


@dataclass(frozen=True, slots=True)
class Round:
    """One round that is over. Times are Unix; `soaked_s` is how long the soak had gone on at its end."""

    number: int
    seed: int
    net: int
    """Which of the soak's nets; from 1."""
    begun_at: float
    ended_at: float
    soaked_s: float
    outcome: str
    reason: str
    cut_short: bool = False
    """It was not done to its end: the controller died, or was told to stop."""
    failure: Failure | None = None

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Round:
        """Read what `to_raw` wrote; KeyError or TypeError where it is something else."""
        failure = raw.get("failure")
        found = Failure(**{**failure, "nodes": tuple(failure["nodes"])}) if failure else None
        return cls(**{**raw, "failure": found})


def failure_of(record: Record, verdict: Verdict) -> Failure | None:
    """Return what made a round fail; None where it did not."""
    if verdict.outcome != "fail":
        return None
    failed = [one for one in verdict.judgements if one.finding.outcome == "fail"]
    first = min(failed, key=lambda one: one.finding.at or record.now)
    at = first.finding.at
    clock = record.clock(at) if at is not None else ""
    return Failure(first.name, first.finding.nodes, at, clock, first.finding.summary)


@dataclass(frozen=True, slots=True)
class Tally:
    """What rounds come to; as large for a million of them as for one."""

    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    cut_short: int = 0
    """Of those that are inconclusive."""
    first_failure: Round | None = None
    last_silent: Round | None = None
    """The latest that was inconclusive though it was done to its end."""
    last: Round | None = None

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def with_round(self, one: Round) -> Tally:
        """Return the tally with one round more."""
        first = self.first_failure or (one if one.outcome == "fail" else None)
        silent = one if one.outcome == "inconclusive" and not one.cut_short else self.last_silent
        counts = {**self.counts, one.outcome: self.counts[one.outcome] + 1}
        return replace(
            self,
            counts=counts,
            cut_short=self.cut_short + one.cut_short,
            first_failure=first,
            last_silent=silent,
            last=one,
        )

    def words(self) -> str:
        """Say it in short."""
        rounds = f"{self.total} round{'s' if self.total != 1 else ''}"
        return f"{rounds}: " + ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in OUTCOMES)

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        rounds = {name: getattr(self, name) for name in _ROUNDS}
        found = {name: one.to_raw() if one else None for name, one in rounds.items()}
        return {"counts": dict(self.counts), "cut_short": self.cut_short, **found}

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Tally:
        """Read what `to_raw` wrote."""
        rounds = {name: Round.from_raw(raw[name]) if raw.get(name) else None for name in _ROUNDS}
        counts = {outcome: int(raw["counts"].get(outcome, 0)) for outcome in OUTCOMES}
        return cls(counts, int(raw.get("cut_short", 0)), **rounds)


def append(file: Path, one: Round) -> None:
    """Add a round's line; it is on the disk when this returns."""
    with file.open("ab") as lines:
        if lines.tell() and not _ends_whole(file):  # a kill tore the last one
            lines.write(b"\n")
        lines.write(json.dumps(one.to_raw(), ensure_ascii=False).encode() + b"\n")
        lines.flush()
        os.fsync(lines.fileno())


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as lines:
        lines.seek(-1, os.SEEK_END)
        return lines.read(1) == b"\n"


def read_rounds(file: Path) -> Iterator[Round]:
    """Yield the rounds of a file; a torn line is passed over."""
    if not file.exists():
        return
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield Round.from_raw(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue


def tally_of(file: Path) -> Tally:
    """Return what the rounds of a file come to."""
    found = Tally()
    for one in read_rounds(file):
        found = found.with_round(one)
    return found
