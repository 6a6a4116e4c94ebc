"""Figures of a live net over time: fetched from its agent, and summed up."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from stressnet.backends.base import Backend
from stressnet.errors import StressnetError, UsageError
from stressnet.record.samples import HostSample, NodeSample, read, read_metrics

_CLOSELY_S = 30.0
"""Within this time there was a closer look, also on a busy machine."""
_COUNTERS = ("opens", "accepts", "failed_opens", "resets", "retransmits", "rx_bytes", "tx_bytes")


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """One node over a window: rates are per second, over as much of it as the same process ran."""

    node: str
    state: str
    span_s: float
    """What the rates are over; 0: there was one look, so there are none."""
    height: int | None
    peers: int | None
    cpu: float | None
    """CPUs in use."""
    rss_bytes: int | None
    rss_max_bytes: int | None
    pss_bytes: int | None
    processes: int | None
    threads: int | None
    fds: int | None
    established: int | None
    p2p: int | None
    syn_sent: int | None
    close_wait: int | None
    time_wait: int | None
    rates: Mapping[str, float]
    """Of the counters of `NodeSample`: opens, accepts, failed_opens, resets, retransmits, rx_bytes, tx_bytes."""
    throttled: float | None
    """Share of the time that its limit of CPU kept it from running."""
    oom_kills: int | None


@dataclass(frozen=True, slots=True)
class HostSummary:
    """The machine over a window; shares from 0 to 1, of all its CPUs."""

    cpus: int
    busy: float
    steal: float
    pressure: Mapping[str, float]
    """Share of the time in which something waited for cpu, memory or io; only what the kernel tells."""
    late_s: float
    """How late a look was at most."""
    clock_jump_s: float
    """The largest by its amount."""
    memory_free_bytes: int
    disk_free_bytes: int
    agent_cpu: float
    """CPUs."""
    agent_rss_bytes: int
    relays_cpu: float
    relays_rss_bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A net over a window."""

    begun_at: float
    """Unix seconds of the first look, and of the last."""
    ended_at: float
    nodes: tuple[NodeSummary, ...]
    host: HostSummary
    metrics: Mapping[str, Mapping[str, float]]
    """By node: the latest value of each series that was asked for."""


async def save(backend: Backend, path: Path) -> int:
    """Write all samples of a net into a new file; return its size in bytes."""
    if path.exists():
        raise UsageError(f"{path} is there already", hints=("name another file",))
    partial = path.with_name(f".{path.name}.partial")
    try:
        size = await fetch(backend, partial, 0.0)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return size


async def summarise(
    backend: Backend, names: Sequence[str], last_s: float, metrics: Collection[str] = ()
) -> Summary:
    """Sum up the last seconds of these nodes; `metrics` are globs for names of series."""
    async with await backend.connect() as agent:
        now = (await agent.call("status"))["now"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples.db"
        await fetch(backend, path, now - max(last_s, _CLOSELY_S))
        hosts = [row for row in read(path, HostSample) if row.at >= now - last_s]
        if len(hosts) < 2:
            raise StressnetError(
                f"there are not two looks within the last {last_s:g} s yet",
                hints=(
                    "wait a moment, or ask for a longer time with --last",
                    "does the topology say `sampling: off`?",
                ),
            )
        rows: dict[str, list[NodeSample]] = {name: [] for name in names}
        for row in read(path, NodeSample):
            if row.node in rows:
                rows[row.node].append(row)
        values: dict[str, dict[str, float]] = {}
        for _, node, series, value in read_metrics(path):
            if node in rows and any(fnmatchcase(series, glob) for glob in metrics):
                values.setdefault(node, {})[series] = value
    nodes = tuple(
        of_node(name, recent, seen)
        for name, seen in rows.items()
        if (recent := [row for row in seen if row.at >= now - last_s])
    )
    return Summary(hosts[0].at, hosts[-1].at, nodes, of_host(hosts), values)


async def fetch(backend: Backend, path: Path, since: float) -> int:
    """Write the samples of a net from a moment on (Unix seconds) into a file; return its size in bytes."""
    async with await backend.connect() as agent:
        size = int(await agent.call("samples", since=since))
        with path.open("wb") as file:
            await agent.receive(size, file)
    return size


def of_node(name: str, rows: Sequence[NodeSample], closer: Sequence[NodeSample] = ()) -> NodeSummary:
    """Sum up looks at one node, in the order of time; at least one. `closer` are those of a longer time, for what
    only every tenth or so finds out."""
    last = rows[-1]
    closely = [row for row in closer or rows if row.pid == last.pid]
    run = [row for row in rows if row.pid == last.pid and row.cpu_s is not None]
    span = run[-1].monotonic - run[0].monotonic if len(run) > 1 else 0.0

    def rate(field: str) -> float | None:
        first, final = (getattr(row, field) for row in (run[0], run[-1])) if span else (None, None)
        return None if first is None or final is None else (final - first) / span

    rates = {field: found for field in _COUNTERS if (found := rate(field)) is not None}
    return NodeSummary(
        node=name,
        state=last.state,
        span_s=span,
        height=last.height,
        peers=last.peers,
        cpu=rate("cpu_s"),
        rss_bytes=last.rss_bytes,
        rss_max_bytes=max((row.rss_bytes for row in run if row.rss_bytes is not None), default=None),
        processes=last.processes,
        threads=last.threads,
        fds=last.fds,
        established=last.established,
        time_wait=last.time_wait,
        **{field: _latest(closely, field) for field in ("pss_bytes", "p2p", "syn_sent", "close_wait")},
        rates=rates,
        throttled=rate("throttled_s"),
        oom_kills=last.oom_kills,
    )


def _latest(rows: Sequence[NodeSample], field: str) -> int | None:
    """Return what the latest of the closer looks has found."""
    return next((found for row in reversed(rows) if (found := getattr(row, field)) is not None), None)


def of_host(rows: Sequence[HostSample]) -> HostSummary:
    """Sum up looks at the machine, in the order of time; at least two."""
    first, last = rows[0], rows[-1]
    span = last.monotonic - first.monotonic

    def share(field: str) -> float:
        return float(getattr(last, field) - getattr(first, field)) / span

    pressures = {
        resource: share(f"{resource}_pressure_s")
        for resource in ("cpu", "memory", "io")
        if getattr(first, f"{resource}_pressure_s") is not None
    }
    return HostSummary(
        cpus=last.cpus,
        busy=share("busy_s") / last.cpus,
        steal=share("steal_s") / last.cpus,
        pressure=pressures,
        late_s=_most(row.late_s for row in rows),
        clock_jump_s=_most(row.clock_jump_s for row in rows[1:]),
        memory_free_bytes=last.memory_free_bytes,
        disk_free_bytes=last.disk_free_bytes,
        agent_cpu=max(0.0, share("agent_cpu_s")),
        agent_rss_bytes=last.agent_rss_bytes,
        relays_cpu=max(0.0, share("relays_cpu_s")),
        relays_rss_bytes=last.relays_rss_bytes,
    )


def _most(values: Iterable[float]) -> float:
    return max(values, key=abs)
