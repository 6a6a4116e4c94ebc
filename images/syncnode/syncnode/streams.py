"""The stream manager: keeps the number of sync streams between the caps, one per peer.

Removal below `hard_low_cap` triggers discovery at once, the check every `check_interval` where there are
fewer than `soft_low_cap`. Peers that are connected are tried before new ones are looked for. The cooldown
holds back only peers with which something failed. Two peers that open a stream to each other at once keep
the one that the lower peer id opened; the other is reset, never left open.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from . import frames
from .config import Config
from .connection import Connection
from .discovery import Discovery
from .errors import DialError, NodeError, ProtocolError, RequestFailed, StreamReset
from .limiter import Limiter
from .log import Log
from .metrics import Metrics
from .server import Server
from .stream import Stream
from .swarm import Swarm
from .syncstream import SyncStream


class Streams:
    """All sync streams of a node."""

    def __init__(
        self,
        swarm: Swarm,
        discovery: Discovery,
        server: Server,
        config: Config,
        protocol: str,
        log: Log,
        metrics: Metrics,
        rng: random.Random,
        spawn: Callable[..., object],
    ) -> None:
        self.open: dict[str, SyncStream] = {}
        self.on_change: list[Callable[[], None]] = []
        self._swarm = swarm
        self._discovery = discovery
        self._server = server
        self._keys = config.discovery
        self._sync = config.sync
        self._retry = config.p2p.reconnect_min
        self._protocol = protocol
        self._log = log
        self._metrics = metrics
        self._rng = rng
        self._spawn = spawn
        self._total = Limiter(config.sync.rate_total)
        self._cool: dict[str, float] = {}
        self._opening: set[str] = set()
        self._kick = asyncio.Event()
        if config.sync.enabled:
            swarm.handlers[protocol] = self._inbound
        swarm.on_up.append(self._connected)

    async def run(self) -> None:
        """Check for ever: at every tick, when a stream was lost, when a peer came."""
        pause = self._retry
        while True:
            urgent = self._kick.is_set()
            self._kick.clear()
            if urgent:
                pause = self._retry
            wanted = self._keys.hard_low_cap if urgent else self._keys.soft_low_cap
            if len(self.open) < wanted:
                await self._discover()
            # While there are too few, the first checks come quicker than the interval: a net that starts
            # would otherwise stand still for a whole one.
            short = len(self.open) < self._keys.hard_low_cap
            pause = min(pause * 2, self._keys.check_interval) if short else self._keys.check_interval
            try:
                async with asyncio.timeout(pause * self._rng.uniform(0.9, 1)):
                    await self._kick.wait()
            except TimeoutError:
                continue

    def check(self) -> None:
        """Look at the number of streams now, and from now on at the interval that the configuration says now."""
        self._kick.set()

    def remove(self, stream: SyncStream, reason: str, *, failed: bool = True) -> None:
        """End a stream; one that failed holds its peer back for the cooldown."""
        if self.open.get(stream.peer_id) is stream:
            del self.open[stream.peer_id]
            self._metrics.count("hmy_stream_removed_streams", topic=self._protocol)
            self._log.debug("stream_removed", peer=stream.peer_id, reason=reason)
            if failed:
                self._cooldown(stream.peer_id)
            if len(self.open) < self._keys.hard_low_cap:
                self._kick.set()
            self._changed()
        stream.close()

    def drop(self, stream: SyncStream, reason: str) -> None:
        """Disconnect the peer of a stream: it broke the rules."""
        self.remove(stream, reason)
        self._swarm.drop(stream.peer_id, reason)

    def fault(self, stream: SyncStream, reason: str) -> None:
        """Note a failure that may be the network's; `sync.max_failures` of them end the stream."""
        stream.failures += 1
        if stream.failures >= self._sync.max_failures:
            self.remove(stream, f"too many failures: {reason}")

    def broken_promise(self, stream: SyncStream) -> None:
        """Note that a peer lacks a block that it claims; `sync.max_failures` of them end the stream."""
        stream.promises_broken += 1
        if stream.promises_broken >= self._sync.max_failures:
            self.remove(stream, "it has not the blocks that it claims")

    async def _discover(self) -> None:
        self._metrics.count("hmy_stream_discover", topic=self._protocol)
        batch = min(self._keys.batch, self._keys.high_cap - len(self.open))
        if batch <= 0:
            return
        connected = [c for key, c in self._swarm.peers.items() if key not in self.open and self._ready(key)]
        self._rng.shuffle(connected)
        await asyncio.gather(*(self._setup(connection) for connection in connected[:batch]))
        missing = self._keys.soft_low_cap - len(self.open)
        if missing <= 0:
            return
        # A batch larger than what is missing would give a net more links than its caps ask for.
        found = await self._discovery.find(batch)
        records = [record for record in found if self._ready(record.peer_id)][:missing]
        self._metrics.count("hmy_stream_discover_peers", len(records), topic=self._protocol)
        await asyncio.gather(*(self._dial(record.peer_id, record.address) for record in records))

    async def _dial(self, peer_id: str, address: str) -> None:
        try:
            async with asyncio.timeout(self._keys.connect_timeout):
                connection = await self._swarm.dial(address)
        except (DialError, TimeoutError) as error:
            self._log.debug("dial_failed", address=address, reason=error)
            self._cooldown(peer_id)
            return
        if connection.peer_id != peer_id:
            self._cooldown(peer_id)  # somebody else lives there now
        else:
            await self._setup(connection)

    async def _setup(self, connection: Connection) -> None:
        """Open a sync stream on a connection."""
        peer_id = connection.peer_id
        if peer_id in self._opening or peer_id in self.open:
            return
        self._opening.add(peer_id)
        start = asyncio.get_running_loop().time()
        try:
            stream = await connection.open(self._protocol, self._keys.connect_timeout)
        except StreamReset as error:
            if error.code not in (frames.EXISTS, frames.GOING, frames.DUPLICATE):
                self._cooldown(peer_id)
            return
        except (NodeError, TimeoutError) as error:
            self._log.debug("stream_failed", peer=peer_id, reason=error)
            self._cooldown(peer_id)
            return
        finally:
            self._opening.discard(peer_id)
        self._metrics.observe("hmy_stream_setup_stream_duration", asyncio.get_running_loop().time() - start)
        self._add(stream)

    def _inbound(self, stream: Stream) -> int | None:
        peer_id = stream.connection.peer_id
        lower = self._swarm.hello.peer_id < peer_id
        if peer_id in self._opening and lower:
            return frames.EXISTS
        if len(self.open) >= self._keys.high_cap:
            return frames.REFUSED
        self._add(stream)
        return None

    def _add(self, stream: Stream) -> None:
        peer_id = stream.connection.peer_id
        old = self.open.get(peer_id)
        if old is not None:
            self.remove(old, "replaced", failed=False)
        added = SyncStream(stream, self._sync, self._server, self._total, self._metrics, self._rng)
        self.open[peer_id] = added
        self._metrics.count("hmy_stream_added_streams", topic=self._protocol)
        self._spawn(self._serve(added))
        self._changed()

    async def _serve(self, stream: SyncStream) -> None:
        try:
            await stream.run()
        except ProtocolError as error:
            self.drop(stream, str(error))
        except (NodeError, RequestFailed) as error:
            gone = stream.stream.connection.closed
            self.remove(stream, str(error), failed=not gone)
        finally:
            self.remove(stream, "ended", failed=False)

    def _connected(self, connection: Connection) -> None:
        if len(self.open) < self._keys.hard_low_cap:
            self._kick.set()

    def _ready(self, peer_id: str) -> bool:
        until = self._cool.get(peer_id, 0.0)
        return until <= asyncio.get_running_loop().time() and not self._swarm.banned(peer_id)

    def _cooldown(self, peer_id: str) -> None:
        now = asyncio.get_running_loop().time()
        self._cool = {key: until for key, until in self._cool.items() if until > now}
        self._cool[peer_id] = now + self._keys.cooldown

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()
