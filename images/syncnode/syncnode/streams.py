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
from .defects import Defect, Remedy
from .discovery import Discovery
from .errors import DialError, NodeError, ProtocolError, RequestFailed, StreamReset
from .limiter import Limiter
from .log import Log
from .metrics import Metrics
from .server import Server
from .stream import Stream
from .swarm import Swarm
from .syncstream import SyncStream

_COLLISIONS = frozenset({Defect.INIT_COLLISION_RESET, Defect.INIT_COLLISION_SILENT})
_LEFT_OPEN = frozenset(
    {Defect.REFUSED_STREAM_LEFT_OPEN, Defect.DUPLICATE_DIAL_LEAK, Defect.INIT_COLLISION_SILENT}
)
"""With these, a stream that is refused is neither reset nor closed, and a peer keeps the one that it has."""
_AT_ONCE_S = 0.01
_SAME_MOMENT = 0.05
"""How often a removal is taken to fall together with a tick."""


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
        self._defects = config.defects
        self._remedies = config.remedies
        self._setbacks: dict[str, int] = {}
        """How often a stream with each peer has ended, for who holds that against them."""
        self._stuck = False
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
            await self._tick()
            urgent = self._kick.is_set()
            self._kick.clear()
            if urgent:
                pause = self._retry
            wanted = self._keys.hard_low_cap if urgent else self._keys.soft_low_cap
            found = len(self.open) < wanted and await self._discover()
            # While there are too few, the first checks come quicker than the interval: a net that starts
            # would otherwise stand still for a whole one.
            short = len(self.open) < self._keys.hard_low_cap
            pause = min(pause * 2, self._keys.check_interval) if short else self._keys.check_interval
            if short and Defect.IMMEDIATE_REDISCOVERY in self._defects:
                pause = self._at_once(found=found)
            try:
                async with asyncio.timeout(pause * self._rng.uniform(0.9, 1)):
                    await self._kick.wait()
            except TimeoutError:
                continue

    async def _tick(self) -> None:
        """Begin a round."""
        removed = self._kick.is_set()
        if Defect.BLOCKING_TICK_SEND in self._defects and removed and self._rng.random() < _SAME_MOMENT:
            # The removal has filled the channel, and this loop, which alone empties it, waits to put its tick there.
            self._stuck = True
            await asyncio.get_running_loop().create_future()

    def _at_once(self, *, found: bool) -> float:
        """Return how long to wait for the next round where nothing but a remedy holds it back."""
        if Remedy.COOLDOWN_GLOBAL in self._remedies and not found:
            self._kick.clear()
            return self._keys.cooldown
        return _AT_ONCE_S

    def check(self) -> None:
        """Look at the number of streams now, and from now on at the interval that the configuration says now."""
        self._kick.set()

    def remove(self, stream: SyncStream, reason: str, *, failed: bool = True) -> None:
        """End a stream; one that failed holds its peer back for the cooldown."""
        if self._stuck:
            return
        if self.open.get(stream.peer_id) is stream:
            del self.open[stream.peer_id]
            self._metrics.count("hmy_stream_removed_streams", topic=self._protocol)
            self._log.debug("stream_removed", peer=stream.peer_id, reason=reason)
            if failed or Defect.OVER_COOLDOWN in self._defects:
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

    async def _discover(self) -> bool:
        """Look for streams once; return whether there was anybody to try."""
        self._metrics.count("hmy_stream_discover", topic=self._protocol)
        batch = min(self._keys.batch, self._keys.high_cap - len(self.open))
        if batch <= 0:
            return False
        connected = [c for key, c in self._swarm.peers.items() if self._lacks(key) and self._ready(key)]
        self._rng.shuffle(connected)
        await asyncio.gather(*(self._setup(connection) for connection in connected[:batch]))
        missing = self._keys.soft_low_cap - len(self.open)
        if missing <= 0:
            return True
        # A batch larger than what is missing would give a net more links than its caps ask for.
        async with self._discovery.find(batch) as found:
            records = [record for record in found if self._ready(record.peer_id)][:missing]
            self._metrics.count("hmy_stream_discover_peers", len(records), topic=self._protocol)
            await asyncio.gather(*(self._dial(record.peer_id, record.address) for record in records))
        return bool(connected or records)

    def _lacks(self, peer_id: str) -> bool:
        return peer_id not in self.open or Defect.DUPLICATE_DIAL_LEAK in self._defects

    async def _dial(self, peer_id: str, address: str) -> None:
        try:
            async with asyncio.timeout(self._keys.connect_timeout):
                connection = self._swarm.peers.get(peer_id) or await self._swarm.dial(address)
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
        if peer_id in self._opening or not self._lacks(peer_id):
            return
        self._opening.add(peer_id)
        start = asyncio.get_running_loop().time()
        try:
            stream = await connection.open(self._protocol, self._keys.connect_timeout)
        except StreamReset as error:
            harmless = error.code in (frames.EXISTS, frames.GOING, frames.DUPLICATE)
            if not harmless or Remedy.COOLDOWN_PER_PEER in self._remedies:
                self._cooldown(peer_id)
            return
        except (NodeError, TimeoutError) as error:
            self._log.debug("stream_failed", peer=peer_id, reason=error)
            self._cooldown(peer_id)
            return
        finally:
            self._opening.discard(peer_id)
        self._metrics.observe("hmy_stream_setup_stream_duration", asyncio.get_running_loop().time() - start)
        if not (self._stuck or (peer_id in self.open and not self._replaces)):
            self._add(stream)

    @property
    def _replaces(self) -> bool:
        """Tell whether a further stream with a peer takes the place of the one before, and not its chance."""
        return not _LEFT_OPEN.intersection(self._defects)

    def _inbound(self, stream: Stream) -> int | None:
        refusal = self._refusal(stream.connection.peer_id)
        if refusal is None and not self._stuck:
            self._add(stream)
        if self._stuck or not self._replaces:
            return None  # left open, and served by nobody
        return refusal

    def _refusal(self, peer_id: str) -> int | None:
        """Return why a peer may not have a stream that it opens, None where it may."""
        if peer_id in self._opening:
            self._metrics.count("syncnode_collisions_total")
            lower = self._swarm.hello.peer_id < peer_id
            agreed = Remedy.TIE_BREAK in self._remedies or not _COLLISIONS.intersection(self._defects)
            if lower or not agreed:
                return frames.EXISTS
        if peer_id in self.open and not self._replaces:
            return frames.EXISTS
        if len(self.open) >= self._keys.high_cap:
            return frames.REFUSED
        return None

    def _add(self, stream: Stream) -> None:
        peer_id = stream.connection.peer_id
        old = self.open.get(peer_id)
        if old is not None:
            self.remove(old, "replaced", failed=False)
        added = SyncStream(
            stream, self._sync, self._server, self._total, self._metrics, self._rng, self._defects
        )
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
        # Connections that a round makes to look for peers must not begin the next one, here or at the far end.
        peer_id = connection.peer_id
        usable = self._ready(peer_id) and peer_id not in self._discovery.asking
        if usable and len(self.open) < self._keys.hard_low_cap:
            self._kick.set()

    def _ready(self, peer_id: str) -> bool:
        if Defect.COOLDOWN_NEVER_EXPIRES in self._defects:
            return peer_id not in self._cool
        until = self._cool.get(peer_id, 0.0)
        return until <= asyncio.get_running_loop().time() and not self._swarm.banned(peer_id)

    def _cooldown(self, peer_id: str) -> None:
        now = asyncio.get_running_loop().time()
        self._cool = {key: until for key, until in self._cool.items() if until > now}
        if Defect.IMMEDIATE_REDISCOVERY in self._defects and Remedy.COOLDOWN_PER_PEER not in self._remedies:
            return
        times = 1
        if Defect.OVER_COOLDOWN in self._defects:
            self._setbacks[peer_id] = self._setbacks.get(peer_id, 0) + 1
            times = min(5 * self._setbacks[peer_id], 60)
        self._cool[peer_id] = now + self._keys.cooldown * times

    def _changed(self) -> None:
        for callback in self.on_change:
            callback()
