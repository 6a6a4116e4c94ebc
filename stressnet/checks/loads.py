"""Loads of a run: what became of their calls, and whether there was anybody who could answer them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stressnet.record.record import Record
from stressnet.record.rows import NodeSample

_CUTS = ("partition", "reject")
"""Faults of links that cut off. Calls take no link, but to answer them a node may need others."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls to nodes in a time; Unix times."""

    step: str
    nodes: Sequence[str]
    begun: float
    ended: float | None
    """None: there is no word of its end, nor of its calls."""
    sent: int = 0
    answered: int = 0
    why: str = ""
    """Why most of those that failed did so."""


def loads(record: Record) -> list[Load]:
    """Return the loads that were put on; those that have no end come last."""
    on: dict[str, Load] = {}
    over: list[Load] = []
    for event in record.events:
        if event["event"] == "load on":  # once more where the run was killed meanwhile, and gone on with
            on[event["step"]] = Load(event["step"], event["nodes"], event["time"], None)
        elif event["event"] == "load over" and event["step"] in on:
            over.append(_ended(on.pop(event["step"]), event["time"], event["calls"]))
    return [*over, *on.values()]


def _ended(load: Load, at: float, calls: Mapping[str, Mapping[str, Any]]) -> Load:
    failed: Counter[str] = Counter()
    for one in calls.values():
        failed.update(one["failed"])
    return Load(
        load.step,
        load.nodes,
        load.begun,
        at,
        sent=sum(one["sent"] for one in calls.values()),
        answered=sum(one["answered"] for one in calls.values()),
        why=next((why for why, _ in failed.most_common(1)), ""),
    )


def could_be_answered(record: Record, load: Load, ended: float) -> bool:
    """Tell whether nothing kept a node that was called from answering, for half of the time or more."""
    looks = ([row for row in record.nodes[name] if load.begun <= row.at <= ended] for name in load.nodes)
    return any(2 * sum(_kept(record, row) for row in rows) <= len(rows) for rows in looks)


def _kept(record: Record, look: NodeSample) -> bool:
    """Tell whether a node could not answer: by a fault of the plan, or by its own doing, which is for other checks."""
    name = look.node
    silent = look.height is None and record.plan.node(name).height is not None
    return (
        look.state == "exited"
        or (look.state == "ready" and silent)
        or any(
            name in span.fault.nodes or (span.fault.kind in _CUTS and span.concerns(name))
            for span in record.faults
            if span.on_at(look.at)
        )
    )
