"""Samples of a live net: what nodes do is seen from outside, on every backend, whoever dies meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.nets import kill_agent, live, plan_text, python_nodes, status, until

from stressnet.backends.base import Backend
from stressnet.engine.faults import Wish, add
from stressnet.engine.samples import save, summarise
from stressnet.errors import StressnetError, UsageError
from stressnet.plan import Plan
from stressnet.record.samples import HostSample, LinkSample, NodeSample, read, read_metrics
from stressnet.spec.targets import Targets

BUSY = """
import os, socket, subprocess, sys, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
files = [open(os.devnull) for _ in range(40)]
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
while True:
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass
    try:
        socket.create_connection(("still", 9000), 1)
    except OSError:
        pass
    time.sleep(0.05)
"""
STILL = "import time\ntime.sleep(600)"
LIVELY = """
name: contract-metrics
sampling: {every: 200ms, closely: 400ms}
defaults: {kind: syncnode, config: {chain.block_time: 250ms}}
nodes:
  validator: {count: 2}
"""


def rows_of(path: Path, node: str) -> list[NodeSample]:
    return [row for row in read(path, NodeSample) if row.node == node]


async def fetched(backend: Backend, folder: Path) -> Path:
    path = folder / f"{len(list(folder.glob('*.db')))}.db"
    await save(backend, path)
    return path


async def rows_that(
    backend: Backend, folder: Path, holds: Callable[[NodeSample], bool], node: str = "busy"
) -> list[NodeSample]:
    async def found() -> list[NodeSample]:
        return [row for row in rows_of(await fetched(backend, folder), node) if holds(row)]

    return list(await until(found))


def test_what_a_node_does_is_seen_from_outside(backend: str, tmp_path: Path, state_home: Path) -> None:
    """Threads, files, processes, CPU, and connections that nobody accepts; a node that does nothing is still."""
    text = python_nodes("contract-seen", {"busy": BUSY, "still": STILL}, extra="ports: {p2p: 9000}")
    plan = plan_text(tmp_path, text + "sampling: {every: 200ms, closely: 400ms}\n", backend)

    async def scene() -> None:
        async with live(plan) as net:
            seen = await rows_that(
                net, tmp_path, lambda row: (row.processes or 0) > 1 and row.p2p is not None
            )
            assert seen[-1].threads is not None
            assert seen[-1].threads >= 3
            assert seen[-1].fds is not None
            assert seen[-1].fds >= 43
            assert seen[-1].rss_bytes is not None
            assert seen[-1].rss_bytes > 4 * 2**20
            await asyncio.sleep(2)
            found = await summarise(net, ["busy", "still"], 2.0)
            busy, still = found.nodes
            assert busy.cpu is not None
            assert still.cpu is not None
            assert busy.cpu > 0.05 > still.cpu
            assert busy.rates["opens"] > 4
            assert busy.rates["failed_opens"] > 4
            assert still.rates["opens"] == 0
            assert found.host.agent_rss_bytes > 2**20

    asyncio.run(scene())


def test_rows_go_on_whoever_dies(backend: str, tmp_path: Path, state_home: Path) -> None:
    """A killed agent goes on in the same file; a killed node is seen to be away, and to be another afterwards."""
    text = python_nodes("contract-rows", {"n": STILL}) + "sampling: {every: 200ms}\n"
    plan = plan_text(tmp_path, text, backend)

    async def scene() -> None:
        async with live(plan) as net:
            first = (await rows_that(net, tmp_path, lambda row: row.cpu_s is not None, "n"))[-1]
            kill_agent(plan)
            await until(lambda: ready_again())
            path = await fetched(net, tmp_path)
            begun = rows_of(path, "n")[-1].at
            await rows_that(net, tmp_path, lambda row: row.at > begun and row.pid == first.pid, "n")
            await add(net, plan, Wish("kill", (), Targets(on="n"), for_s=1.0), plan.seed)
            away = await rows_that(net, tmp_path, lambda row: row.state == "exited", "n")
            assert away[0].cpu_s is None
            back = await rows_that(net, tmp_path, lambda row: row.starts == 2 and row.cpu_s is not None, "n")
            assert back[-1].pid != first.pid

    async def ready_again() -> bool:
        from stressnet.engine.choose import backend_for

        try:
            return (await status(plan, backend_for(plan.backend, plan.net))).all_ready()
        except StressnetError:
            return False

    asyncio.run(scene())


def test_links_heights_and_metrics_are_kept(backend: str, tmp_path: Path, state_home: Path) -> None:
    """Of real sync nodes: blocks that rise, bytes both ways, and every series of their Prometheus pages."""
    plan = plan_text(tmp_path, LIVELY, backend)

    async def scene() -> None:
        async with live(plan) as net:
            await rows_that(
                net, tmp_path, lambda row: (row.height or 0) >= 4 and bool(row.p2p), "validator-1"
            )
            path = await fetched(net, tmp_path)
            ways = {(row.source, row.target) for row in read(path, LinkSample) if row.bytes > 1000}
            assert ways >= {("validator-1", "validator-2"), ("validator-2", "validator-1")}
            assert all(row.bypassed == 0 for row in read(path, LinkSample))
            named = {(node, series) for _, node, series, _ in read_metrics(path)}
            assert {("validator-1", "syncnode_peers"), ("validator-2", "syncnode_peers")} <= named
            hosts = list(read(path, HostSample))
            assert len(hosts) >= 4
            assert all(row.memory_free_bytes > 0 for row in hosts)
            found = await summarise(net, ["validator-1"], 5.0, ["syncnode_peers"])
            assert found.metrics == {"validator-1": {"syncnode_peers": 1.0}}
            await until(lambda: all_tell_streams(plan, net))

    asyncio.run(scene())


async def all_tell_streams(plan: Plan, net: Backend) -> bool:
    return all(node.streams for node in (await status(plan, net)).nodes)


def test_none_are_kept_where_none_are_wanted(backend: str, tmp_path: Path, state_home: Path) -> None:
    """And a file that is there is not written over."""
    plan = plan_text(tmp_path, python_nodes("contract-none", {"n": STILL}) + "sampling: off\n", backend)

    async def scene() -> None:
        async with live(plan) as net:
            await asyncio.sleep(1.5)
            assert rows_of(await fetched(net, tmp_path), "n") == []
            with pytest.raises(StressnetError, match="two looks"):
                await summarise(net, ["n"], 10.0)
            (tmp_path / "there.db").write_text("mine")
            with pytest.raises(UsageError, match="is there already"):
                await save(net, tmp_path / "there.db")
            assert (tmp_path / "there.db").read_text() == "mine"
            assert list(tmp_path.glob(".*.partial")) == []

    asyncio.run(scene())
