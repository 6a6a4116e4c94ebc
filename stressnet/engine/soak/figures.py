"""How nodes were at the begin of a night and at its end: what a leak shows in first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from stressnet.plan import Node
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample

_WINDOW_S = 300.0
_LONGEST_S = 1800.0
_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Figures:
    """One node over some minutes: medians, and CPUs in use; None where nobody knows."""

    rss_bytes: float | None = None
    cpu: float | None = None
    fds: float | None = None
    streams: float | None = None
    """As its kind says; for kinds that do not: connections on p2p ports."""


@dataclass(frozen=True, slots=True)
class Change:
    """One node at the begin of the night, after the round that warmed it up, and at its end."""

    begin: Figures
    end: Figures
    restarts: int

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Change:
        """Read what `to_raw` wrote."""
        return cls(Figures(**raw["begin"]), Figures(**raw["end"]), raw["restarts"])


def changes(night: Record) -> dict[str, Change]:
    """Return what has changed, by node; of the few minutes at each end, a tenth of the night where it is long."""
    found = {}
    for node in night.plan.nodes:
        looks = [row for row in night.nodes[node.name] if row.pid]
        warm = [
            row for row in looks if night.phases.get("timeline") and row.at >= night.phases["timeline"].begun
        ]
        used = warm or looks
        if used:
            first, last = used[0].at, used[-1].at
            width = min(max(_WINDOW_S, min(_LONGEST_S, (last - first) * _SHARE)), (last - first) / 3)
            restarts = max(row.starts for row in looks) - looks[0].starts
            begin, end = (first, first + width), (last - width, last)
            found[node.name] = Change(
                _over(night, node, used, *begin), _over(night, node, used, *end), restarts
            )
    return found


def _over(night: Record, node: Node, looks: Sequence[NodeSample], since: float, until: float) -> Figures:
    rows = [row for row in looks if since <= row.at <= until]
    return Figures(
        rss_bytes=_middle([row.rss_bytes for row in rows]),
        cpu=_cpu(rows),
        fds=_middle([row.fds for row in rows]),
        streams=_streams(night, node, rows, since, until),
    )


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(median(known)) if known else None


def _cpu(rows: Sequence[NodeSample]) -> float | None:
    """Of the last life in these looks."""
    life = [row for row in rows if row.pid == rows[-1].pid and row.cpu_s is not None]
    seconds = life[-1].monotonic - life[0].monotonic if life else 0.0
    if seconds <= 0:
        return None
    return ((life[-1].cpu_s or 0.0) - (life[0].cpu_s or 0.0)) / seconds


def _streams(
    night: Record, node: Node, rows: Sequence[NodeSample], since: float, until: float
) -> float | None:
    series = node.series.get("streams")
    if series is None:
        return _middle([row.p2p for row in rows])
    points = night.metrics.get(node.name, {}).get(series, ())
    return _middle([value for at, value in points if since <= at <= until])
