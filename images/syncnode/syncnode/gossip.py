"""Spreading new blocks: pushed whole to a few peers, announced by hash to the others.

One stream per connection, opened by the end that dialled. The first message each way is the sender's tip, so
both know at once who is behind.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable

from . import frames, wire
from .block import HASH_SIZE, Block, better
from .chain import EXTENDED, ORPHAN, SIDE, SWITCHED, Chain
from .config import Config
from .connection import Connection
from .errors import NodeError, ProtocolError
from .framing import Framed
from .log import Log
from .metrics import Metrics
from .neighbours import Neighbour, Neighbours
from .stream import Stream
from .swarm import Swarm

TIP, BLOCK, HAVE, WANT = 1, 2, 3, 4
_ORPHAN_BYTES = 16 * 1024 * 1024
_MOST_PARTS = 16  # nodes send one; each may cost a look through the whole chain


class Gossip:
    """Sends and receives new blocks, and knows the tip of each peer."""

    def __init__(
        self,
        swarm: Swarm,
        chain: Chain,
        config: Config,
        log: Log,
        metrics: Metrics,
        rng: random.Random,
        spawn: Callable[..., object],
    ) -> None:
        self.neighbours = Neighbours(chain, config.gossip.patience)
        self.on_behind: Callable[[], None] = lambda: None
        self._swarm = swarm
        self._chain = chain
        self._config = config
        self._log = log
        self._metrics = metrics
        self._rng = rng
        self._spawn = spawn
        self._protocol = chain.rules.protocol("gossip")
        self._most_orphans = max(4, min(config.gossip.orphans, _ORPHAN_BYTES // (config.chain.payload + 1)))
        self._orphans: OrderedDict[bytes, Block] = OrderedDict()
        self._wanted: dict[bytes, tuple[asyncio.TimerHandle, list[str]]] = {}
        swarm.handlers[self._protocol] = self._inbound
        swarm.on_up.append(self._connected)

    def publish(self, block: Block) -> None:
        """Send a block that this node has taken in to every peer that lacks it."""
        targets = [n for n in self.neighbours.values() if not n.knows(block.hash)]
        self._rng.shuffle(targets)
        push = self._config.gossip.push
        if targets[:push]:
            whole = wire.data(BLOCK, wire.data(1, block.body()) + wire.data(2, block.signature))
            for neighbour in targets[:push]:
                self._send(neighbour, whole, "block")
        if targets[push:]:
            short = wire.data(HAVE, _tip(block.height, block.hash))
            for neighbour in targets[push:]:
                self._send(neighbour, short, "have")

    def announce_head(self) -> None:
        """Tell peers that are behind about the head; called when a sync pass has ended."""
        head = self._chain.head
        for neighbour in self.neighbours.values():
            if head.better_than(neighbour.height, neighbour.hash) and not neighbour.knows(head.hash):
                self._send(neighbour, wire.data(HAVE, _tip(head.height, head.hash)), "have")

    def adopt_orphans(self) -> None:
        """Take in the orphans whose parent has come since."""
        for hash_ in sorted(self._orphans, key=lambda key: self._orphans[key].height):
            block = self._orphans.get(hash_)
            if block is not None and (block.height <= self._chain.height + 1):
                del self._orphans[hash_]
                try:
                    self._chain.add(block)
                except ProtocolError as error:
                    self._log.debug("orphan_refused", reason=error)

    def _connected(self, connection: Connection) -> None:
        if connection.dialled:
            self._spawn(self._outbound(connection))

    async def _outbound(self, connection: Connection) -> None:
        try:
            stream = await connection.open(self._protocol, self._config.discovery.connect_timeout)
        except (NodeError, TimeoutError) as error:
            self._log.debug("gossip_open_failed", reason=error)
            if not connection.closed:
                connection.close(frames.CANCELLED, "no gossip")
            return
        await self._run(stream)

    def _inbound(self, stream: Stream) -> int | None:
        peer_id = stream.connection.peer_id
        if self._swarm.peers.get(peer_id) is not stream.connection:
            return frames.REFUSED
        greeted = self.neighbours.get(peer_id)
        if greeted is not None and greeted.framed.stream.connection is stream.connection:
            return frames.EXISTS
        self._spawn(self._run(stream))
        return None

    async def _run(self, stream: Stream) -> None:
        neighbour = self.neighbours.greet(Framed(stream, self._config.sync.max_message))
        head = self._chain.head
        self._send(neighbour, wire.data(TIP, _tip(head.height, head.hash)), "tip")
        try:
            while True:
                self._receive(neighbour, await neighbour.framed.receive())
        except ProtocolError as error:
            self._swarm.drop(neighbour.peer_id, str(error))
        except NodeError as error:
            self._log.debug("gossip_ended", peer=neighbour.peer_id, reason=error)
            stream.reset()
        finally:
            if self.neighbours.get(neighbour.peer_id) is neighbour:
                del self.neighbours[neighbour.peer_id]
            if not stream.connection.closed:
                stream.connection.close(frames.CANCELLED, "gossip ended")

    def _receive(self, neighbour: Neighbour, message: bytes) -> None:
        for place, (kind, value) in enumerate(wire.fields(message)):
            if not isinstance(value, bytes) or place >= _MOST_PARTS:
                raise ProtocolError("a gossip message that is no message")
            if kind == BLOCK:
                self._receive_block(neighbour, value)
            elif kind in (TIP, HAVE):
                self._receive_tip(neighbour, value)
            elif kind == WANT:
                self._receive_want(neighbour, value)

    def _receive_block(self, neighbour: Neighbour, value: bytes) -> None:
        message = wire.Message(value)
        block = Block.decode(message.data(1), message.data(2))
        self._metrics.count("syncnode_gossip_received_total", kind="block")
        neighbour.saw_tip(block.height, block.hash)
        wanted = self._wanted.pop(block.hash, None)
        if wanted is not None:
            wanted[0].cancel()
        if block.hash in self._orphans:
            return
        if not self._config.gossip.blocks:
            if not self._chain.knows(block.height, block.hash):
                self.on_behind()
            return
        outcome = self._chain.add(block)
        if outcome in (EXTENDED, SWITCHED, SIDE):
            self._log.debug(
                "block", height=block.height, slot=block.slot, outcome=outcome, proposer=block.proposer
            )
            if self._fresh(block):
                self.publish(block)
            self.adopt_orphans()
        elif outcome == ORPHAN:
            self._keep_orphan(block)
            self.on_behind()

    def _receive_tip(self, neighbour: Neighbour, value: bytes) -> None:
        message = wire.Message(value)
        height, hash_ = message.number(1), message.data(2)
        if len(hash_) != HASH_SIZE:
            raise ProtocolError("a hash of the wrong size")
        self._metrics.count("syncnode_gossip_received_total", kind="have")
        neighbour.saw_tip(height, hash_)
        if self._chain.knows(height, hash_) or hash_ in self._orphans:
            return
        if height <= self._chain.height + 1 and self._config.gossip.blocks:
            self._want(hash_, neighbour.peer_id)
        elif better(height, hash_, self._chain.height, self._chain.head.hash):
            self.on_behind()

    def _receive_want(self, neighbour: Neighbour, hash_: bytes) -> None:
        if len(hash_) != HASH_SIZE:
            raise ProtocolError("a hash of the wrong size")
        raw = self._chain.raw_of(hash_)
        if raw is not None and raw[1]:
            self._send(neighbour, wire.data(BLOCK, wire.data(1, raw[0]) + wire.data(2, raw[1])), "block")

    def _want(self, hash_: bytes, peer_id: str) -> None:
        """Ask for a block in a moment, unless somebody pushes it before."""
        if hash_ in self._wanted:
            if peer_id not in self._wanted[hash_][1]:
                self._wanted[hash_][1].append(peer_id)
        elif len(self._wanted) < self._config.gossip.orphans:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._config.gossip.fetch_delay, self._fetch, hash_)
            self._wanted[hash_] = (timer, [peer_id])

    def _fetch(self, hash_: bytes) -> None:
        _, peers = self._wanted.pop(hash_)
        neighbours = [self.neighbours[peer] for peer in peers if peer in self.neighbours]
        if not neighbours or self._chain.raw_of(hash_) is not None:
            return
        self._send(neighbours[0], wire.data(WANT, hash_), "want")
        if neighbours[1:]:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._config.gossip.fetch_timeout, self._fetch, hash_)
            self._wanted[hash_] = (timer, [n.peer_id for n in neighbours[1:]])

    def _keep_orphan(self, block: Block) -> None:
        self._orphans[block.hash] = block
        while len(self._orphans) > self._most_orphans:
            self._orphans.popitem(last=False)

    def _fresh(self, block: Block) -> bool:
        rules = self._chain.rules
        return rules.slot(time.time()) - block.slot <= self._config.gossip.max_age

    def _send(self, neighbour: Neighbour, message: bytes, kind: str) -> None:
        self._metrics.count("syncnode_gossip_sent_total", kind=kind)
        if neighbour.sender is None and neighbour.framed.send_now(message):
            return
        if len(neighbour.queue) >= self._config.gossip.max_waiting:
            self._metrics.count("syncnode_gossip_lost_total")
            return
        neighbour.queue.append(message)
        if neighbour.sender is None:
            neighbour.sender = self._spawn(self._drain(neighbour))

    async def _drain(self, neighbour: Neighbour) -> None:
        """Send what did not fit at once."""
        try:
            while neighbour.queue:
                await neighbour.framed.send(neighbour.queue.pop(0))
        except NodeError:
            neighbour.queue.clear()
        neighbour.sender = None


def _tip(height: int, hash_: bytes) -> bytes:
    return wire.number(1, height) + wire.data(2, hash_)
