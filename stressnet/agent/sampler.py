"""Look at every node and at the machine, again and again, and keep what was seen in `samples.db`.

A look costs some 0.1 ms a node. What costs more (sockets by state, shared memory, links, metrics) is done at closer
looks, for some nodes at every look, so that the agent never stands still for long.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stressnet.agent import processes
from stressnet.agent.diagnosis import open_diagnosis
from stressnet.agent.hostfigures import HostFigures
from stressnet.agent.interposition import Counts, Interposition
from stressnet.agent.journal import Note
from stressnet.agent.nodefigures import NodeFigures
from stressnet.agent.runtime import Runtime
from stressnet.agent.scraper import Scraper, Value
from stressnet.agent.supervisor import Supervisor
from stressnet.plan import Node, Sampling
from stressnet.record.samples import HostSample, LinkSample, NodeSample, Samples

FILE = "samples.db"
_AT_A_TIME = 20
"""Nodes that are looked at before others get their turn in the agent."""
_DROP_EVERY_S = 300.0
_FOR_STATUS_S = 1.0
"""Between two looks where none are kept: `status` shows CPU and memory all the same."""


@dataclass(slots=True)
class _Watched:
    """One life of a node."""

    figures: NodeFigures
    cpu_before: tuple[float, float] | None = None
    """When it was looked at last (monotonic), and its CPU seconds then."""


class Sampler:
    """Samples one net."""

    def __init__(
        self, supervisor: Supervisor, runtime: Runtime, links: Interposition, directory: Path, note: Note
    ) -> None:
        self._supervisor = supervisor
        self._runtime = runtime
        self._links = links
        self._path = directory / FILE
        self._note = note
        self._host = HostFigures(directory)
        self._watched: dict[str, _Watched] = {}
        self._carried: Counts = {}
        self._scraper = Scraper(supervisor)
        self._samples: Samples | None = None
        self._writing = asyncio.Lock()
        self._lost = 0
        """Looks that could not be written since the last that could."""
        self._dropped_at = 0.0

    @property
    def _pace(self) -> Sampling:
        return self._supervisor.plan.sampling

    async def run(self) -> None:
        """Look in step until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_in_step())
                group.create_task(self._scraper.run())
        finally:
            self._close()

    async def _look_in_step(self) -> None:
        due, number = time.monotonic(), 0
        while True:
            await self._look(number, late_s=time.monotonic() - due)
            number += 1
            due = max(due + (self._pace.every_s or _FOR_STATUS_S), time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _look(self, number: int, late_s: float) -> None:
        every_s, closely_s = self._pace.every_s, self._pace.closely_s
        turns = max(1, round(closely_s / every_s)) if every_s and closely_s else 0
        if turns and number % turns == 0:
            self._find_members()
        rows: list[NodeSample | LinkSample | HostSample] = []
        for place, node in enumerate(self._supervisor.plan.nodes):
            if node.name in self._supervisor.observed:  # else it left the plan while others had their turn
                rows.append(self._look_at(node, closely=bool(turns) and (number + place) % turns == 0))
            if place % _AT_A_TIME == _AT_A_TIME - 1:
                await asyncio.sleep(0)
        if not every_s:
            return
        rows.append(self._host.look(late_s, self._links.relays.pids()))
        if turns and number % turns == 0:
            rows.extend(self._look_at_links())
        await self._keep(rows)

    # Nodes.

    def _look_at(self, node: Node, *, closely: bool) -> NodeSample:
        now = self._supervisor.observed[node.name]
        height, peers = self._supervisor.told(node.name, "height"), self._supervisor.told(node.name, "peers")
        sample = NodeSample(
            time.time(), time.monotonic(), node.name, now.state, now.pid, now.starts, height, peers
        )
        watched = self._watch(node, now.pid)
        if watched is None:
            return sample
        try:
            watched.figures.look(sample)
            if closely:
                inside = self._supervisor.inside
                watched.figures.look_closely(sample, lambda: inside(node.name, open_diagnosis))
        except OSError:
            return sample  # it has ended; the supervisor will know in a moment
        now.rss_bytes = sample.rss_bytes
        if sample.cpu_s is not None:
            before, watched.cpu_before = watched.cpu_before, (sample.monotonic, sample.cpu_s)
            if before and sample.monotonic > before[0] and sample.cpu_s >= before[1]:
                now.cpu = (sample.cpu_s - before[1]) / (sample.monotonic - before[0])
        return sample

    def _watch(self, node: Node, pid: int) -> _Watched | None:
        watched = self._watched.get(node.name)
        if watched is not None and watched.figures.pid == pid:
            return watched
        self._forget(node.name)
        if not pid:
            return None
        try:
            figures = NodeFigures(
                pid, (port.number for port in node.p2p_ports()), self._runtime.groups(node.name)
            )
        except OSError:
            return None
        self._watched[node.name] = made = _Watched(figures)
        return made

    def _forget(self, name: str) -> None:
        watched = self._watched.pop(name, None)
        if watched is not None:
            watched.figures.close()

    def _find_members(self) -> None:
        """Learn which processes belong to which node; and forget who has left the plan."""
        families = processes.families(watched.figures.pid for watched in self._watched.values())
        for watched in self._watched.values():
            pid = watched.figures.pid
            watched.figures.members = (pid, *(one for one in families[pid] if one != pid))
        for gone in self._watched.keys() - {node.name for node in self._supervisor.plan.nodes}:
            self._forget(gone)

    # Links.

    def _look_at_links(self) -> Iterable[LinkSample]:
        if self._links.problem:
            return
        at, counted = time.time(), self._links.counted()
        before, self._carried = self._carried, counted
        for (source, target), count in counted.items():
            if before.get((source, target)) != count:
                yield LinkSample(
                    at,
                    source,
                    target,
                    count.carried,
                    count.bytes,
                    count.connections,
                    count.dropped,
                    count.bypassed,
                )

    # The file.

    async def _keep(self, rows: Iterable[NodeSample | LinkSample | HostSample]) -> None:
        metrics = self._scraper.take()
        async with self._writing:
            try:
                await asyncio.to_thread(self._write, list(rows), metrics)
            except (sqlite3.Error, OSError) as error:
                self._lost += 1
                if self._lost == 1:
                    self._note("samples are lost", why=str(error))
                return
        if self._lost:
            self._note("samples are kept again", lost=self._lost)
            self._lost = 0

    def _opened(self) -> Samples:
        if self._samples is None:
            self._samples = Samples(self._path, self._supervisor.plan.net)
        return self._samples

    def _write(
        self,
        rows: Sequence[NodeSample | LinkSample | HostSample],
        metrics: Iterable[Value],
    ) -> None:
        samples = self._opened()
        samples.write(rows, metrics)
        if self._pace.keep_s and time.monotonic() > self._dropped_at + _DROP_EVERY_S:
            self._dropped_at = time.monotonic()
            samples.forget_before(time.time() - self._pace.keep_s)

    async def copy_to(self, path: Path, since: float) -> None:
        """Write the samples from a moment on (Unix seconds) into a new file; OSError where that cannot be."""
        async with self._writing:
            try:
                await asyncio.to_thread(self._copy, path, since)
            except sqlite3.Error as error:
                raise OSError(f"the samples cannot be copied: {error}") from error

    def _copy(self, path: Path, since: float) -> None:
        self._opened().copy_to(path, since)

    def _close(self) -> None:
        for name in list(self._watched):
            self._forget(name)
        if self._samples is not None:
            self._samples.close()
