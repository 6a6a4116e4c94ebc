"""A record as checks and reports read it: what was asked, what was done when, and the figures of nodes over time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from stressnet.errors import UsageError
from stressnet.faults.fault import Fault
from stressnet.faults.presence import Presence
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.clock import Clock, Event
from stressnet.record.journal import read_journal
from stressnet.record.rows import HostSample, LinkSample, NodeSample
from stressnet.record.samples import read, read_metrics

PHASES = ("settle", "baseline", "timeline", "observe")


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run; Unix times."""

    name: str
    begun: float
    ended: float


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of a fault at a time."""

    at: float
    state: str
    achieved: Mapping[str, Any]


@dataclass(slots=True)
class Span:
    """One fault of a run, from when it was on until it was over."""

    step: str
    fault: Fault
    layer: str
    begun: float
    ended: float | None = None
    """None: it is on."""
    looks: list[Look] = field(default_factory=list)
    """What the agent said of it, whenever that was news."""
    achieved: Mapping[str, Any] = field(default_factory=dict)
    """The last that was measured while it was on."""
    measured_at: float | None = None
    """Unix time of the last figures; None where there are none, or they are read anew at every look."""
    hits: int = 0
    by: str = ""
    """What ended it: time, plan, end, itself, agent or kill (of the command); "" while it is on."""
    at_heal: Presence | None = None
    """What was there of it right before it was taken off; None where nobody looked."""

    @property
    def lasted_s(self) -> float:
        """How long it was on; 0 while it is."""
        return 0.0 if self.ended is None else self.ended - self.begun

    def on_at(self, at: float) -> bool:
        """Tell whether it was on at a time."""
        return self.begun <= at and (self.ended is None or at < self.ended)

    def concerns(self, node: str) -> bool:
        """Tell whether it is done to a node, or to a link of it."""
        return node in self.fault.nodes or any(node in link for link in self.fault.links)


class Record:
    """One run, as far as it has come."""

    def __init__(self, path: Path) -> None:
        """Open the folder of a run; UsageError where it is none."""
        self.path = path
        try:
            self.run: Mapping[str, Any] = json.loads((path / runs.RUN).read_text(encoding="utf-8"))
            self.plan = Plan.from_json((path / runs.PLAN).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path} is no record of a run: {error}") from error
        self.events: Sequence[Event] = read_journal(path / runs.JOURNAL)

    @cached_property
    def phases(self) -> Mapping[str, Phase]:
        """The phases that have begun, by name, in order."""
        begun = [(event["phase"], event["time"]) for event in self.events if event["event"] == "phase"]
        ends = [*(at for _, at in begun[1:]), self.now][: len(begun)]
        return {
            name: Phase(name, at, end) for (name, at), end in zip(begun, ends, strict=True) if name in PHASES
        }

    @property
    def over(self) -> bool:
        """Whether the run went on to its end."""
        return any(event["event"] == "phase" and event["phase"] == "over" for event in self.events)

    @property
    def incomplete(self) -> str:
        """Why the run did not go on to its end; empty where it did."""
        stopped = next((event for event in self.events if event["event"] == "stopped"), None)
        return str(stopped["why"]) if stopped else "" if self.over else "it did not come to its end"

    @property
    def collected(self) -> bool:
        """Whether logs and blocks were brought into the record, and nothing is to come."""
        return any(event["event"] == "collected" for event in self.events)

    @cached_property
    def now(self) -> float:
        """The end of what is known, Unix time."""
        sampled = max((rows[-1].at for rows in self.nodes.values() if rows), default=0.0)
        for event in self.events:
            if event["event"] == "phase" and event["phase"] == "over":
                return float(event["time"])
        return max(sampled, *(event["time"] for event in self.events), 0.0) if self.events else sampled

    @cached_property
    def healed_at(self) -> float:
        """When the last fault was over and none was to come; the end of the record where that is not yet so."""
        observe = self.phases.get("observe")
        return observe.begun if observe else self.now

    @cached_property
    def faults(self) -> Sequence[Span]:
        """The faults that were put on, in the order of their beginnings."""
        found: dict[str, Span] = {}
        for event in self.events:
            if event["event"] == "fault on":
                fault = Fault.from_raw(event["fault"])
                found[fault.id] = Span(event["step"], fault, event["layer"], event["time"])
            elif event["event"] == "fault seen" and event["id"] in found:
                span = found[event["id"]]
                span.looks.append(Look(event["time"], event["state"], event["achieved"]))
                span.achieved = (
                    event["achieved"] or span.achieved
                )  # of one that is over nothing is known any more
                if event["achieved"].get("figures"):
                    span.measured_at = event["achieved"].get("at")
                span.hits = event["hits"]
            elif event["event"] == "fault over" and event["id"] in found:
                # Of one that the agent ended while nobody did the run, it is told afterwards.
                found[event["id"]].ended = min(event.get("at", event["time"]), event["time"])
                found[event["id"]].by = str(event.get("by", ""))
                found[event["id"]].at_heal = Presence.from_raw(event)
        return list(found.values())

    @cached_property
    def nodes(self) -> Mapping[str, Sequence[NodeSample]]:
        """The looks at each node of the plan, in the order of time."""
        rows: dict[str, list[NodeSample]] = {node.name: [] for node in self.plan.nodes}
        for row in self._read(NodeSample):
            if row.node in rows:
                rows[row.node].append(row)
        return rows

    @cached_property
    def hosts(self) -> Sequence[HostSample]:
        """The looks at the machine."""
        return list(self._read(HostSample))

    @cached_property
    def links(self) -> Sequence[LinkSample]:
        """The looks at links, each only when it had changed."""
        return list(self._read(LinkSample))

    @cached_property
    def metrics(self) -> Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]:
        """By node and name of the series: (Unix time, sum over its labels)."""
        found: dict[str, dict[str, dict[float, float]]] = {}
        for at, node, series, value in self._told():
            name = series.partition("{")[0]
            sums = found.setdefault(node, {}).setdefault(name, {})
            sums[at] = sums.get(at, 0.0) + value
        return {
            node: {name: list(sums.items()) for name, sums in series.items()}
            for node, series in found.items()
        }

    def _read(self, kind: Any) -> Iterable[Any]:
        try:
            yield from read(self.path / runs.SAMPLES, kind)
        except sqlite3.Error:
            return  # nothing has been sampled yet

    def _told(self) -> Iterable[tuple[float, str, str, float]]:
        try:
            return list(read_metrics(self.path / runs.SAMPLES))
        except sqlite3.Error:
            return ()

    def within(self, node: str, phase: str) -> Sequence[NodeSample]:
        """Return the looks at a node in a phase; none where it has not begun."""
        found = self.phases.get(phase)
        return [row for row in self.nodes[node] if found and found.begun <= row.at < found.ended]

    @cached_property
    def timing(self) -> Clock:
        """The time of its own timeline."""
        return Clock(self.events, float(self.run["begun_at"]))

    def clock(self, at: float) -> str:
        """Write a Unix time as minutes and seconds of the timeline, with a sign."""
        return self.timing.words(at)


def rates(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return how fast a counter rises, a second, at the end of each step; where it begins anew there is none."""
    return [
        (later, (more - less) / (later - earlier))
        for (earlier, less), (later, more) in pairwise(points)
        if later > earlier and more >= less
    ]
