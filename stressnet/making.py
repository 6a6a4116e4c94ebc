"""Records of runs that never were, for those who test checks: what a check reads, as a run would have left it.

making = Making(plan)
making.looks["a"] = lambda at: {"height": int(2 * at)}
making.cut("a", 30, 40)
record = making.made()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stressnet.faults.presence import Presence
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.clock import Event
from stressnet.record.record import Record
from stressnet.record.rows import HostSample, LinkSample, NodeSample
from stressnet.record.samples import Samples

BEGUN = 1_000_000.0
"""Unix time of second 0."""
SETTLE, BASELINE, TIMELINE, OBSERVE, END = 0.0, 10.0, 20.0, 60.0, 100.0
"""When phases begin, unless `phases` says otherwise."""
STEP_S = 0.5

Sampled = Mapping[str, Any] | None
"""Fields of a NodeSample; None: it was not looked at."""
Row = NodeSample | LinkSample | HostSample
Told = tuple[float, str, str, float]
"""(Unix time, node, series, value)."""


def healthy(at: float) -> Sampled:
    """Return a look at a node that gains two blocks a second."""
    return {"height": int(2 * at)}


class MemoryRecord(Record):
    """A record that lies in no folder."""

    def __init__(
        self,
        run: Mapping[str, Any],
        plan: Plan,
        events: Sequence[Event],
        rows: Sequence[Row],
        told: Sequence[Told] = (),
    ) -> None:
        """Events and rows are in the order of time."""
        self.path = Path()
        self.run, self.plan, self.events = run, plan, events
        self._rows, self._series = rows, told

    def _read(self, kind: Any) -> Iterable[Any]:
        return (row for row in self._rows if isinstance(row, kind))

    def _told(self) -> Iterable[Told]:
        return self._series


class Making:
    """A record being made. Seconds count from its beginning."""

    def __init__(self, plan: Plan, folder: Path | None = None) -> None:
        """`folder`: where the record is to lie on disk; None: nowhere."""
        self.plan = plan
        self.path = folder / "run" if folder else None
        self.events: list[dict[str, Any]] = []
        self.looks: dict[str, Callable[[float], Sampled]] = dict.fromkeys(
            (node.name for node in plan.nodes), healthy
        )
        self.metrics: list[Told] = []
        self.links: list[LinkSample] = []
        self.host: Callable[[float], Mapping[str, Any]] = lambda _: {}
        self.file = str(folder / "plan.yaml") if folder else "plan.yaml"
        self.time_scale: float | None = None
        self.faults = 0
        self.until = END
        self.phases()

    def phases(self, **begun: float) -> None:
        """Say when phases begin; without any: as usual."""
        usual = {
            "settle": SETTLE,
            "baseline": BASELINE,
            "timeline": TIMELINE,
            "observe": OBSERVE,
            "over": END,
        }
        self.events = [event for event in self.events if event["event"] != "phase"]
        for name, at in (begun or usual).items():
            self.event(at, "phase", phase=name)

    def event(self, at: float, event: str, **particulars: Any) -> None:
        """Write an event."""
        self.events.append({"time": BEGUN + at, "monotonic": at, "event": event, **particulars})

    def fault(
        self,
        kind: str,
        begun: float,
        ended: float | None,
        nodes: Sequence[str] = (),
        links: Sequence[tuple[str, str]] = (),
        by: str = "time",
        states: Sequence[tuple[float, str, Mapping[str, Any]]] = (),
        hits: int = 0,
        layer: str = "packet",
        parameters: Mapping[str, Any] | None = None,
        at_heal: Presence | None = None,
    ) -> None:
        """Put a fault on; `states` are (second, state, achieved)."""
        self.faults += 1
        name = f"f{self.faults}"
        raw = {
            "id": name,
            "kind": kind,
            "parameters": dict(parameters or {}),
            "links": links,
            "nodes": nodes,
            "ends_at": 0.0,
            "asked": kind,
        }
        self.event(begun, "fault on", id=name, step=kind, layer=layer, fault=raw, notes=[])
        for at, state, achieved in states:
            self.event(at, "fault seen", id=name, state=state, achieved=achieved, hits=hits)
        if ended is not None:
            self.event(ended, "fault over", id=name, by=by, **(at_heal.to_raw() if at_heal else {}))

    def cut(self, name: str, begun: float, ended: float | None, **particulars: Any) -> None:
        """Cut a node off from all others."""
        others = [other for other in self.looks if other != name]
        links = [pair for one in others for pair in ((name, one), (one, name))]
        self.fault("partition", begun, ended, links=links, **particulars)

    def series(
        self, name: str, series: str, value: Callable[[float], float | None], every: float = 2.0
    ) -> None:
        """Let a node tell a series."""
        for number in range(int(self.until / every) + 1):
            found = value(number * every)
            if found is not None:
                self.metrics.append((BEGUN + number * every, name, series, found))

    def made(self) -> Record:
        """Return it as a check gets it; on disk it is written over what was written before."""
        facts: dict[str, Any] = {
            "name": "plan",
            "variant": "",
            "file": self.file,
            "time_scale": self.time_scale,
            "begun_at": BEGUN,
            "checks": [],
        }
        events = sorted(self.events, key=lambda one: one["time"])
        rows = [*self._rows(), *self.links]
        if self.path is None:
            return MemoryRecord(facts, self.plan, events, rows, self.metrics)
        (self.path / runs.LOGS).mkdir(parents=True, exist_ok=True)
        (self.path / runs.SAMPLES).unlink(missing_ok=True)
        runs.write_json(self.path / runs.RUN, facts)
        (self.path / runs.PLAN).write_text(self.plan.to_json())
        (self.path / runs.JOURNAL).write_text("".join(json.dumps(event) + "\n" for event in events))
        samples = Samples(self.path / runs.SAMPLES, "net")
        samples.write(rows, self.metrics)
        samples.close(alone=True)
        return Record(self.path)

    def _rows(self) -> list[Row]:
        rows: list[Row] = []
        for number in range(int(self.until / STEP_S) + 1):
            at = number * STEP_S
            for name, look in self.looks.items():
                seen = look(at)
                if seen is not None:
                    usual = {"state": "ready", "pid": 100, "starts": 1}
                    rows.append(NodeSample(at=BEGUN + at, monotonic=at, node=name, **{**usual, **seen}))
            rows.append(replace(_idle(at), **self.host(at)))
        return rows


def _idle(at: float) -> HostSample:
    return HostSample(
        at=BEGUN + at,
        monotonic=at,
        late_s=0.0,
        clock_jump_s=0.0,
        cpus=2,
        busy_s=0.1 * at,
        steal_s=0.0,
        iowait_s=0.0,
        cpu_pressure_s=None,
        memory_pressure_s=None,
        io_pressure_s=None,
        load=0.5,
        memory_free_bytes=8 << 30,
        disk_free_bytes=8 << 30,
        agent_cpu_s=0.0,
        agent_rss_bytes=0,
        relays_cpu_s=0.0,
        relays_rss_bytes=0,
    )
