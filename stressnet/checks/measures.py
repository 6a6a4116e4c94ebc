"""What a run took, to be compared with other runs: no verdict, only how long, how much CPU, how many bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise

from stressnet.checks.progress import IN_STEP, STEP_S, Heights, heights
from stressnet.checks.series import cpu_steps, of_one_life
from stressnet.record.record import Record

MEASURES: Mapping[str, str] = {
    "catch_up_s": "seconds from its start until the last of the late nodes was at the head for the first time",
    "recovery_s": "seconds from the heal until the last node was at the head and stayed there",
    "cpu_s": "CPU seconds of all nodes, from the timeline's begin on",
    "sent_bytes": "bytes that all nodes sent, from the timeline's begin on",
    "opens": "TCP connections that all nodes tried to open, from the timeline's begin on",
}
"""What is measured, in SI, and what it means."""
_BEHIND_S = 3.0
"""Who has what the highest had so long ago is at the head: of a fast chain some blocks are always under way."""
BUSY_S = 5.0
"""Over which it is taken how busy a run was."""
_SLACK = 1.0
"""Seconds: who is there this long after the first look has not started late."""


def measures(record: Record) -> dict[str, float]:
    """Return what a run took; what cannot be known is left out."""
    seen = heights(record)
    found: dict[str, float | None] = {
        "catch_up_s": _slowest(_catch_up(record, seen)),
        "recovery_s": _slowest(_recovery(record, seen)),
        "cpu_s": _spent(record, "cpu_s"),
        "sent_bytes": _spent(record, "tx_bytes"),
        "opens": _spent(record, "opens"),
    }
    return {name: value for name, value in found.items() if value is not None}


def busy(record: Record) -> tuple[float, ...]:
    """Return how many CPUs nodes, agent and relays used together in each BUSY_S since the run's begin: none until the
    net had settled, and nothing at all where that was not looked at."""
    settled = record.phases.get("baseline")
    hosts = [row for row in record.hosts if settled and row.at >= settled.begun]
    if not hosts:
        return ()
    used = [one for one in cpu_steps(record) if one[0] >= hosts[0].monotonic]
    used += [
        (after.monotonic, after.harness_cpu_s - before.harness_cpu_s)
        for before, after in pairwise(hosts)
        if after.harness_cpu_s >= before.harness_cpu_s  # else another agent has begun
    ]
    begun = hosts[0].monotonic - (hosts[0].at - record.run["begun_at"])
    found: defaultdict[int, float] = defaultdict(float)
    for ended, seconds in used:
        found[int((ended - begun) // BUSY_S)] += seconds / BUSY_S
    return tuple(found[place] for place in range(max(found, default=-1) + 1))


def _slowest(took: Iterator[float | None]) -> float | None:
    """Return the longest; None where one has not come to an end, or there is none."""
    known = list(took)
    return max((one for one in known if one is not None), default=None) if None not in known else None


def _catch_up(record: Record, seen: Heights) -> Iterator[float | None]:
    for name, rows in record.nodes.items():
        running = [row.at for row in rows if row.state in ("starting", "ready")]
        if running and rows and running[0] > rows[0].at + _SLACK:
            yield next((at - running[0] for at in _at_head(seen, name, running[0]) if at is not None), None)


def _recovery(record: Record, seen: Heights) -> Iterator[float | None]:
    observe = record.phases.get("observe")
    if observe is not None and record.faults:
        for name in record.nodes:
            moments = list(_at_head(seen, name, observe.begun))
            last = max((place for place, at in enumerate(moments) if at is None), default=-1)
            yield moments[last + 1] - observe.begun if last + 1 < len(moments) else None  # type: ignore[operator]


def _at_head(seen: Heights, name: str, since: float) -> Iterator[float | None]:
    """Yield each moment from a time on; None in its place where the node was not at the head then."""
    back = round(_BEHIND_S / STEP_S)
    for place, at in enumerate(seen.times):
        if at >= since:
            own, before = seen.nodes[name][place], seen.highest(max(0, place - back))
            lag = seen.lag(name, place)
            near = own is not None and ((before is not None and own >= before) or (lag or 0) <= IN_STEP)
            yield at if near else None


def _spent(record: Record, field: str) -> float | None:
    """Return by how much a counter of all nodes rose; a node that is started again counts anew."""
    timeline = record.phases.get("timeline")
    if timeline is None:
        return None
    total, known = 0.0, False
    for rows in record.nodes.values():
        for before, after in of_one_life([row for row in rows if row.at >= timeline.begun]):
            less, more = getattr(before, field), getattr(after, field)
            if less is not None and more is not None:
                total, known = total + max(0.0, more - less), True
    return total if known else None
