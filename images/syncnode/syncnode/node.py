"""One node: its parts, put together, started and stopped."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from . import VERSION
from .chain import Chain
from .config import Config
from .discovery import Discovery
from .dns import Dns
from .downloader import Downloader
from .faults import Faults
from .fetch import Fetch
from .frames import Hello
from .gossip import Gossip
from .http import Answer, HttpServer
from .identity import peer_id
from .insync import InSync
from .keeper import Keeper
from .log import Log
from .metrics import Metrics
from .requests import Requests
from .rpc import Rpc
from .rules import Rules
from .server import Server
from .store import Store
from .streams import Streams
from .swarm import Swarm
from .validator import Validator

_SIDE_BYTES = 16 * 1024 * 1024


class Node:
    """The running program."""

    def __init__(self, config: Config, home: Path) -> None:
        self.config = config
        self.ready = False
        self.log = Log(config.log.level)
        self.metrics = Metrics()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        rng = random.Random(f"{config.node.seed}/{config.node.name}")  # noqa: S311 (chance that can be repeated)
        chain = config.chain
        self.rules = Rules(
            config.node.network,
            config.node.shard,
            config.node.seed,
            chain.validators,
            chain.block_time,
            chain.max_clock_drift,
        )
        store = Store(home / "data" / "blocks.log", self.rules.genesis, chain.fsync_interval)
        if store.cut_bytes:
            self.log.warn("torn_tail_cut", bytes=store.cut_bytes, height=len(store) - 1)
        # Side blocks are kept in memory: with large payloads only a few.
        max_side = max(8, min(256, _SIDE_BYTES // (chain.payload + 1)))
        self.chain = Chain(store, self.rules, max_reorg=chain.max_reorg, max_side=max_side)
        self.swarm = Swarm(config.p2p, self._hello(), self.log, self.metrics, rng)
        self.gossip = Gossip(self.swarm, self.chain, config, self.log, self.metrics, rng, self.spawn)
        protocol = self.rules.protocol("sync")
        boot = config.p2p.bootnodes
        discovery = Discovery(
            self.swarm, config.discovery, protocol, boot, self.log, self.metrics, rng, self.spawn
        )
        self.faults = Faults(config.discovery, self.metrics, rng)
        server = Server(self.chain, config.sync, self.faults)
        self.streams = Streams(
            self.swarm, discovery, server, config, protocol, self.log, self.metrics, rng, self.spawn
        )
        self.faults.on_interval.append(self.streams.check)
        self.requests = Requests(self.streams, config.sync, rng)
        fetch = Fetch(self.requests, self.streams, self.rules)
        self.downloader = Downloader(
            self.chain, self.gossip, fetch, config, self.log, self.metrics, self.spawn
        )
        self.dns = Dns(self.chain, self.gossip, config, self.log, self.metrics, rng)
        self.insync = self._in_sync_status()
        self.keeper = Keeper(self.swarm, [*boot, *config.p2p.peers], self.log, rng)
        self._rpc = HttpServer(Rpc(self).route)
        self._metrics_server = HttpServer(self._metrics_route)
        self._gauges(protocol)

    @property
    def syncing(self) -> bool:
        """Tell whether this node catches up, by streams or by the legacy sync."""
        return self.downloader.syncing or self.dns.syncing

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the rest until it or the node ends; an unforeseen error ends the node."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, stop: asyncio.Event) -> None:
        """Start, serve until told to stop, and stop."""
        try:
            await self.swarm.listen()
            await self._rpc.listen(self.config.rpc.listen, "rpc.listen")
            await self._metrics_server.listen(self.config.metrics.listen, "metrics.listen")
            await self.dns.listen()
            self._start()
            stopping = asyncio.ensure_future(stop.wait())
            await asyncio.wait((stopping, self._failed), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if self._failed.done():
                self._failed.result()
        except OSError as error:
            self.log.error("failed", reason=error)
            raise
        finally:
            await self.close()

    async def close(self) -> None:
        """Close every connection and the chain."""
        self.ready = False
        self.swarm.close()
        self._rpc.close()
        self._metrics_server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dns.close()
        self.chain.close()
        self.log.info("stopped", height=self.chain.height)

    def _start(self) -> None:
        node = self.config.node
        self.ready = True
        self.log.info(
            "started",
            name=node.name,
            role=node.role,
            peerid=self.swarm.hello.peer_id,
            listen=self.config.p2p.listen,
            height=self.chain.height,
            version=VERSION,
        )
        if not self.rules.validators:
            self.log.warn("no_validators", effect="no block can be made or taken in")
        for address in self.keeper.addresses:
            self.spawn(self.keeper.keep(address))
        if self.config.sync.enabled:
            self.spawn(self.streams.run())
        if self._downloads:
            self.spawn(self.downloader.run())
        self.dns.start(self.spawn)
        if node.name in self.rules.validators:
            validator = Validator(
                self.chain, self.gossip, self.downloader, self.config, self.log, self.metrics
            )
            self.spawn(validator.run())

    @property
    def _downloads(self) -> bool:
        return self.config.sync.enabled and self.config.sync.downloader

    def _in_sync_status(self) -> InSync:
        rpc, defects, client = self.config.rpc, self.config.defects, self.dns.client
        validates = self.config.node.name in self.rules.validators
        return InSync(
            lambda: self.chain.height,
            self.downloader,
            client.peers if client is not None else None,
            active=self._downloads,
            tolerance=rpc.in_sync_tolerance,
            cache_s=rpc.in_sync_cache if validates else rpc.in_sync_cache_others,
            redirect_in_sync="redirect_in_sync" in defects,
            inverted_in_sync="inverted_in_sync" in defects,
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _hello(self) -> Hello:
        node, p2p = self.config.node, self.config.p2p
        return Hello(
            peer_id(node.seed, node.name),
            node.name,
            p2p.advertise or p2p.listen,
            self.rules.genesis.hash,
            int.from_bytes(os.urandom(8)) >> 1,  # tells two runs of one node apart, so it must not repeat
            0,
        )

    async def _metrics_route(self, method: str, path: str, body: bytes) -> Answer:
        if method == "GET" and path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self.metrics.text().encode()
        return 404, "text/plain", b"see /metrics\n"

    def _gauges(self, protocol: str) -> None:
        gauge, started = self.metrics.gauge, time.time()
        gauge("syncnode_chain_height", lambda: self.chain.height)
        gauge("syncnode_peers", lambda: len(self.swarm.peers))
        gauge("syncnode_reorgs_total", lambda: self.chain.reorgs, "counter")
        gauge("syncnode_open_streams", lambda: sum(len(c.streams) for c in self.swarm.peers.values()))
        gauge("syncnode_tasks", lambda: len(asyncio.all_tasks()))
        gauge("syncnode_syncing", lambda: self.syncing)
        gauge("hmy_stream_num_streams", lambda: len(self.streams.open), topic=protocol)
        gauge("hmy_stream_num_waiting_requests", lambda: self.requests.waiting)
        gauge("hmy_stream_num_pending_requests", lambda: self.requests.pending)
        gauge("hmy_stream_request_manager_num_connected_streams", lambda: len(self.streams.open))
        gauge(
            "hmy_stream_request_manager_num_available_streams",
            lambda: len(self.streams.open) - self.requests.pending,
        )
        gauge("process_start_time_seconds", lambda: started)
        gauge("process_resident_memory_bytes", _resident)
        gauge("process_cpu_seconds_total", time.process_time, "counter")
        gauge("process_open_fds", lambda: len(os.listdir("/proc/self/fd")))


def _resident() -> float:
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
