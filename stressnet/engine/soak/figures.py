"""How nodes were at the begin of a night and at its end: what a leak shows in first."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from stressnet.record import runs
from stressnet.record.record import Record
from stressnet.record.rows import NodeSample
from stressnet.record.samples import read, read_metrics

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


@dataclass(slots=True)
class _Ends:
    """Where the night of one node begins and ends, Unix times, and how often it had been started."""

    first: float
    last: float
    warm: bool
    starts_before: int
    starts: int

    def windows(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the few minutes at each end, a tenth of the night where it is long."""
        lasted = self.last - self.first
        width = min(max(_WINDOW_S, min(_LONGEST_S, lasted * _SHARE)), lasted / 3)
        return (self.first, self.first + width), (self.last - width, self.last)


@dataclass(slots=True)
class _Window:
    """What was seen of one node in one of its windows."""

    looks: list[NodeSample] = field(default_factory=list)
    streams: dict[float, float] = field(default_factory=dict)
    """By time, summed over labels."""


def changes(night: Record) -> dict[str, Change]:
    """Return what has changed, by node.

    The looks are gone through twice and never held all at once: they get more all night, and the heap of who does the
    soak would grow with them.
    """
    ends = _ends(night)
    seen = {name: (_Window(), _Window()) for name in ends}
    for look in _looks(night):
        for window in _those_at(ends, seen, look.node, look.at):
            window.looks.append(look)
    wanted = {node.name: node.series.get("streams") for node in night.plan.nodes}
    for at, name, series, value in _told(night):
        if series.partition("{")[0] == wanted.get(name):
            for window in _those_at(ends, seen, name, at):
                window.streams[at] = window.streams.get(at, 0.0) + value
    return {
        name: Change(
            begin=_figures(begin, wanted[name]),
            end=_figures(end, wanted[name]),
            restarts=ends[name].starts - ends[name].starts_before,
        )
        for name, (begin, end) in seen.items()
    }


def _looks(night: Record) -> Iterator[NodeSample]:
    """Yield the looks at nodes of the plan that ran; nothing where there are no samples yet."""
    names = {node.name for node in night.plan.nodes}
    with suppress(sqlite3.Error):
        yield from (
            one for one in read(night.path / runs.SAMPLES, NodeSample) if one.pid and one.node in names
        )


def _told(night: Record) -> Iterator[tuple[float, str, str, float]]:
    with suppress(sqlite3.Error):
        yield from read_metrics(night.path / runs.SAMPLES)


def _ends(night: Record) -> dict[str, _Ends]:
    """Return from when on nodes were warm; of those that never were, all of it."""
    begun = [event["time"] for event in night.events if event.get("phase") == "timeline"]
    warm_at = begun[0] if begun else math.inf
    found: dict[str, _Ends] = {}
    for look in _looks(night):
        warm = look.at >= warm_at
        one = found.setdefault(look.node, _Ends(look.at, look.at, warm, look.starts, look.starts))
        if warm and not one.warm:
            one.first, one.warm = look.at, True
        one.last, one.starts = look.at, max(one.starts, look.starts)
    return found


def _those_at(
    ends: Mapping[str, _Ends], seen: Mapping[str, tuple[_Window, _Window]], name: str, at: float
) -> Iterator[_Window]:
    if name in ends:
        for window, (since, until) in zip(seen[name], ends[name].windows(), strict=True):
            if since <= at <= until:
                yield window


def _figures(window: _Window, streams: str | None) -> Figures:
    looks = window.looks
    counted = [look.p2p for look in looks] if streams is None else list(window.streams.values())
    return Figures(
        rss_bytes=_middle([look.rss_bytes for look in looks]),
        cpu=_cpu(looks),
        fds=_middle([look.fds for look in looks]),
        streams=_middle(counted),
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
