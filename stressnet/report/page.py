"""What the report of a run shows, and nothing about how: plain data that any form of report can be made from.

Moments (`at_s`, `begin_s`, `end_s` and those of points) are seconds of the timeline, below 0 before it begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["pass", "fail", "inconclusive"]
Achieved = Literal["achieved", "not achieved", "not measured"]
Unit = Literal["blocks", "CPUs", "bytes", "a second", "count", "seconds"]
Point = tuple[float, float | None]
"""A moment, and the value then; None is what could not be looked at, and leaves a gap."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run: settle, baseline, timeline, observe."""

    name: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Band:
    """One fault while it was on."""

    label: str
    """As one would type it: `partition --between follower rest`."""
    kind: str
    begin_s: float
    end_s: float | None
    """None: it was on when the record ended."""
    nodes: Sequence[str] = ()
    achieved: Achieved = "not measured"


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of one node over time, in the order of time."""

    node: str
    region: str
    """Empty where the topology has no regions."""
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of all nodes over time."""

    title: str
    unit: Unit
    lines: Sequence[Line]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one check says, and what it rests on."""

    check: str
    outcome: Outcome
    summary: str
    detail: Sequence[str] = ()
    nodes: Sequence[str] = ()
    """Nodes that it is about: they stand out in the charts."""
    at_s: float | None = None
    numbers: Sequence[tuple[str, str]] = ()
    """Labels and values, with units."""
    evidence: Sequence[str] = ()
    """Titles of the page's evidence."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a step of the timeline asked beside what was achieved."""

    step: str
    what: str
    asked: str
    achieved: str
    deviation: str
    state: Achieved


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal."""

    at_s: float
    event: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Text that judgements rest on: lines of a log, stacks."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that the report of one run shows."""

    title: str
    """The fault plan and its variant."""
    outcome: Outcome
    reason: str
    """One sentence."""
    begun_at: float
    """Unix seconds."""
    asked: Sequence[tuple[str, str]] = ()
    """Labels and values: topology, nodes, seed, backend, time scale, duration, versions, host."""
    command: str = ""
    """The one command that does it again."""
    phases: Sequence[Phase] = ()
    bands: Sequence[Band] = ()
    charts: Sequence[Chart] = ()
    regions: Sequence[str] = ()
    """In the order in which they are shown; regions of lines that are missing here come after."""
    judgements: Sequence[Judgement] = ()
    asked_achieved: Sequence[Effect] = ()
    journal: Sequence[Entry] = ()
    evidence: Sequence[Evidence] = ()
