"""Records of runs that never were: what a check reads, written as a run would have written it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from some_plan import some_plan

from stressnet.checks.check import Finding
from stressnet.checks.registry import CHECKS
from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.record.rows import HostSample, LinkSample, NodeSample
from stressnet.record.samples import Samples

BEGUN = 1_000_000.0
"""Unix time of second 0."""
SETTLE, BASELINE, TIMELINE, OBSERVE, END = 0.0, 10.0, 20.0, 60.0, 100.0
STEP_S = 0.5

Sampled = Mapping[str, Any] | None
"""Fields of a NodeSample; None: it was not looked at."""


def healthy(at: float) -> Sampled:
    """Two blocks a second."""
    return {"height": int(2 * at)}


class Making:
    """A record being made. Seconds count from its beginning."""

    def __init__(self, folder: Path, nodes: Sequence[str] = ("us-1", "us-2", "us-3")) -> None:
        plan = some_plan()
        self.plan = replace(plan, nodes=tuple(plan.node(name) for name in nodes))
        self.path = folder / "run"
        (self.path / runs.LOGS).mkdir(parents=True)
        self.events: list[dict[str, Any]] = []
        self.looks: dict[str, Callable[[float], Sampled]] = dict.fromkeys(nodes, healthy)
        self.metrics: list[tuple[float, str, str, float]] = []
        self.links: list[LinkSample] = []
        self.host: Callable[[float], Mapping[str, Any]] = lambda _: {}
        self.file = str(folder / "plan.yaml")
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
    ) -> None:
        """Put a fault on; `states` are (second, state, achieved)."""
        self.faults += 1
        name = f"f{self.faults}"
        raw = {
            "id": name,
            "kind": kind,
            "parameters": {},
            "links": links,
            "nodes": nodes,
            "ends_at": 0.0,
            "asked": kind,
        }
        self.event(begun, "fault on", id=name, step=kind, layer="packet", fault=raw, notes=[])
        for at, state, achieved in states:
            self.event(at, "fault seen", id=name, state=state, achieved=achieved, hits=hits)
        if ended is not None:
            self.event(ended, "fault over", id=name, by=by)

    def cut(self, name: str, begun: float, ended: float | None) -> None:
        """Cut a node off from all others."""
        others = [other for other in self.looks if other != name]
        self.fault(
            "partition", begun, ended, links=[pair for one in others for pair in ((name, one), (one, name))]
        )

    def series(
        self, name: str, series: str, value: Callable[[float], float | None], every: float = 2.0
    ) -> None:
        """Let a node tell a series."""
        for number in range(int(self.until / every) + 1):
            found = value(number * every)
            if found is not None:
                self.metrics.append((BEGUN + number * every, name, series, found))

    def made(self) -> Record:
        """Write it, over what was written before, and return it as a check gets it."""
        (self.path / runs.SAMPLES).unlink(missing_ok=True)
        facts = {
            "name": "plan",
            "variant": "",
            "file": self.file,
            "time_scale": self.time_scale,
            "begun_at": BEGUN,
            "checks": [],
        }
        runs.write_json(self.path / runs.RUN, facts)
        (self.path / runs.PLAN).write_text(self.plan.to_json())
        lines = [json.dumps(event) + "\n" for event in sorted(self.events, key=lambda one: one["time"])]
        (self.path / runs.JOURNAL).write_text("".join(lines))
        samples = Samples(self.path / runs.SAMPLES, "net")
        samples.write([*self._rows(), *self.links], self.metrics)
        samples.close(alone=True)
        return Record(self.path)

    def _rows(self) -> list[NodeSample | HostSample]:
        rows: list[NodeSample | HostSample] = []
        for number in range(int(self.until / STEP_S) + 1):
            at = number * STEP_S
            for name, look in self.looks.items():
                seen = look(at)
                if seen is not None:
                    usual = {"state": "ready", "pid": 100, "starts": 1}
                    rows.append(NodeSample(at=BEGUN + at, monotonic=at, node=name, **{**usual, **seen}))
            rows.append(self._host(at))
        return rows

    def _host(self, at: float) -> HostSample:
        idle = HostSample(
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
        return replace(idle, **self.host(at))


def found(record: Record, check: str, **parameters: Any) -> Finding:
    """Ask a check, with its parameters as a fault plan has them."""
    one = CHECKS[check]
    return one.judge(record, one.parameters.model_validate(parameters))
