"""From a record and its verdict to the page that shows them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from stressnet.checks.progress import Heights, heights
from stressnet.checks.verdict import Judgement as Judged
from stressnet.checks.verdict import Verdict
from stressnet.record import runs
from stressnet.record.clock import Clock
from stressnet.record.record import Record, Span, rates
from stressnet.record.rows import NodeSample
from stressnet.report.events import event_text
from stressnet.report.figures import achieved
from stressnet.report.page import (
    Achieved,
    Band,
    Chart,
    Effect,
    Entry,
    Evidence,
    Judgement,
    Line,
    Page,
    Phase,
    Point,
    Unit,
)
from stressnet.spec.units import format_duration, format_size

_EVIDENCE_BYTES = 64 << 10
"""Of each file of evidence, its end: the page should open on a telephone."""
_SERIES = {"streams": "Streams", "tasks": "Tasks", "pending_requests": "Pending requests"}
"""Words of kinds for their series of Prometheus, and the titles of their charts."""
_OPENED = {"streams_opened": "Streams opened", "discoveries": "Discoveries"}
"""The same, of counters."""


def page_of(record: Record, verdict: Verdict) -> Page:
    """Return all that the report of a run shows."""
    clock = record.timing
    variant = record.run["variant"]
    return Page(
        title=record.run["name"] + (f" · {variant}" if variant else ""),
        outcome=verdict.outcome,
        reason=verdict.reason,
        begun_at=clock.begun,
        asked=tuple(_asked(record)),
        command=shlex.join(record.run["command"]),
        phases=[
            Phase(one.name, clock.seconds(one.begun), clock.seconds(one.ended))
            for one in record.phases.values()
        ],
        bands=[_band(span, clock) for span in record.faults],
        charts=list(_charts(record, clock)),
        regions=list(dict.fromkeys(node.region for node in record.plan.nodes if node.region)),
        judgements=[_judgement(one, clock, record.path) for one in verdict.judgements],
        asked_achieved=[_effect(record, span) for span in record.faults],
        journal=[Entry(clock.seconds(one["time"]), one["event"], event_text(one)) for one in record.events],
        evidence=list(_evidence(record.path)),
    )


def _asked(record: Record) -> Iterator[tuple[str, str]]:
    run, plan = record.run, record.plan
    if run.get("description"):
        yield "about", str(run["description"])
    yield "fault plan", str(run["file"])
    groups: dict[str, int] = {}
    for node in plan.nodes:
        groups[f"{node.group} ({node.kind})"] = groups.get(f"{node.group} ({node.kind})", 0) + 1
    yield "nodes", ", ".join(f"{count} {name}" for name, count in groups.items())
    yield "backend", plan.backend
    yield "seed", str(run["seed"])
    if run["time_scale"]:
        yield "time scale", f"{run['time_scale']:g} times as fast"
    for phase in record.phases.values():
        yield phase.name, _lasted(record.timing, phase.begun, phase.ended)
    host = run["host"]
    memory = format_size(host["memory_bytes"])
    yield "host", f"{host['system']} {host['machine']}, {host['cpus']} CPUs, {memory}, load {host['load']}"
    yield "versions", ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    for image, digest in run["images"].items():
        yield f"image {image}", digest


def _band(span: Span, clock: Clock) -> Band:
    nodes = span.fault.nodes or tuple(dict.fromkeys(name for link in span.fault.links for name in link))
    ended = None if span.ended is None else clock.seconds(span.ended)
    return Band(span.fault.asked, span.fault.kind, clock.seconds(span.begun), ended, nodes, _state(span))


def _state(span: Span) -> Achieved:
    if any(state in ("not achieved", "failed") for state in (look.state for look in span.looks)):
        return "not achieved"
    return "achieved" if span.achieved.get("figures") or span.hits else "not measured"


def _effect(record: Record, span: Span) -> Effect:
    figures = [one for one in span.achieved.get("figures", ()) if one["unit"] != "count" and one["asked"]]
    worst = max(figures, key=lambda one: abs(one["error"]) / one["asked"], default=None)
    deviation = "" if worst is None else f"{worst['error'] / worst['asked']:+.1%}"
    hits = f"{span.hits} hits" if span.hits else ""
    words = achieved(span.achieved)
    ended = record.now if span.ended is None else span.ended
    what = f"{record.clock(span.begun)} for {_lasted(record.timing, span.begun, ended)}"
    return Effect(
        span.step, what, span.fault.asked, words if words != "–" else hits or "–", deviation, _state(span)
    )


def _lasted(clock: Clock, begun: float, ended: float) -> str:
    return format_duration(round(clock.seconds(ended) - clock.seconds(begun), 1))


def _judgement(one: Judged, clock: Clock, path: Path) -> Judgement:
    found = one.finding
    prefix = f"{one.name}-"
    return Judgement(
        check=one.name,
        outcome=found.outcome,
        summary=found.summary,
        detail=found.lines,
        nodes=found.nodes,
        at_s=None if found.at is None else clock.seconds(found.at),
        numbers=[
            (key, _number(value))
            for key, value in found.numbers.items()
            if not isinstance(value, list | dict)
        ],
        evidence=[title for title, file in _files(path) if file.name.startswith(prefix)],
    )


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _files(path: Path) -> list[tuple[str, Path]]:
    files = (path / runs.EVIDENCE).glob("*")
    titles = {".txt": "", ".pcap": "-packets"}
    return sorted((file.stem + titles[file.suffix], file) for file in files if file.suffix in titles)


def _evidence(path: Path) -> Iterator[Evidence]:
    for title, file in _files(path):
        if file.suffix == ".pcap":
            size = format_size(file.stat().st_size)
            where = file.relative_to(path)
            yield Evidence(title, f"{size} in {where} of the record, for tcpdump or Wireshark")
            continue
        raw = file.read_bytes()
        cut = (
            f"(the last {_EVIDENCE_BYTES >> 10} KiB of {len(raw) >> 10})\n"
            if len(raw) > _EVIDENCE_BYTES
            else ""
        )
        yield Evidence(title, cut + raw[-_EVIDENCE_BYTES:].decode(errors="replace"))


# Charts: one figure of all nodes over time.


def _charts(record: Record, clock: Clock) -> Iterator[Chart]:
    def chart(
        title: str, unit: Unit, points: Callable[[str, Sequence[NodeSample]], list[Point]], note: str = ""
    ) -> Chart:
        found = [
            Line(node.name, node.region, points(node.name, record.nodes[node.name]))
            for node in record.plan.nodes
        ]
        lines = [line for line in found if any(value is not None for _, value in line.points)]
        return Chart(title, unit, lines, note)

    def field(name: str) -> Callable[[str, Sequence[NodeSample]], list[Point]]:
        return lambda _, rows: [(clock.seconds(row.at), getattr(row, name)) for row in rows]

    def rate(name: str) -> Callable[[str, Sequence[NodeSample]], list[Point]]:
        return lambda _, rows: _rates(rows, name, clock)

    yield chart("Height", "blocks", field("height"))
    seen = heights(record)
    yield chart("Lag behind the highest", "blocks", lambda name, _: _lags(seen, name, clock))
    for word, title in _SERIES.items():
        made = chart(title, "count", lambda name, _, word=word: _series(record, name, word, clock))  # type: ignore[misc]
        if made.lines:
            yield made
    yield chart("Peers, as the node counts them", "count", field("peers"))
    yield chart("Connection attempts", "a second", rate("opens"))
    for word, title in _OPENED.items():
        made = chart(title, "a second", lambda name, _, word=word: _counter(record, name, word, clock))  # type: ignore[misc]
        if made.lines:
            yield made
    yield chart("CPU", "CPUs", rate("cpu_s"))
    yield chart("Memory", "bytes", field("rss_bytes"), "resident")
    yield chart("Open files", "count", field("fds"))


def _rates(rows: Sequence[NodeSample], name: str, clock: Clock) -> list[Point]:
    """Return how fast a counter rises, by lives: a node that is started again counts anew."""
    found: list[Point] = []
    for before, after in pairwise(rows):
        first, then = getattr(before, name), getattr(after, name)
        whole = first is not None and then is not None and before.pid == after.pid and after.at > before.at
        found.append((clock.seconds(after.at), (then - first) / (after.at - before.at) if whole else None))
    return found


def _lags(seen: Heights, name: str, clock: Clock) -> list[Point]:
    return [(clock.seconds(at), seen.lag(name, place)) for place, at in enumerate(seen.times)]


def _series(record: Record, name: str, word: str, clock: Clock) -> list[Point]:
    series = record.plan.node(name).series.get(word, "")
    return [(clock.seconds(at), value) for at, value in record.metrics.get(name, {}).get(series, ())]


def _counter(record: Record, name: str, word: str, clock: Clock) -> list[Point]:
    series = record.plan.node(name).series.get(word, "")
    return [(clock.seconds(at), value) for at, value in rates(record.metrics.get(name, {}).get(series, ()))]
