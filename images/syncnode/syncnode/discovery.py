"""Finding peers: a registry that every node serves, and a walk through the net that asks it, as in a DHT.

Each query is a short stream of its own (open, ask, answer, close), and peers that an answer names are dialled to be
asked too: what it costs to look for peers is seen where real networks show it, in dials, streams, CPU and sockets. A
node that serves answers from what was registered with it and from its own connections.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256

from . import frames, wire
from .config import DiscoveryKeys
from .connection import Connection
from .errors import DialError, NodeError, ProtocolError
from .framing import Framed
from .log import Log
from .metrics import Metrics
from .stream import Carrier, Stream
from .swarm import Swarm

_LIMIT = 256 * 1024
_MOST = 256  # records in one answer
_MOST_REGISTERED = 4096


class Record:
    """Where a peer can be reached."""

    __slots__ = ("address", "name", "peer_id")

    def __init__(self, peer_id: str, name: str, address: str) -> None:
        self.peer_id = peer_id
        self.name = name
        self.address = address

    def encode(self) -> bytes:
        """Return the record as a message."""
        return (
            wire.data(1, self.peer_id.encode())
            + wire.data(2, self.name.encode())
            + wire.data(3, self.address.encode())
        )

    @classmethod
    def decode(cls, buffer: bytes) -> Record:
        """Read what `encode` wrote."""
        message = wire.Message(buffer)
        return cls(message.text(1), message.text(2), message.text(3))


class _Walk:
    """What one look for peers has seen: whom to ask next, nearest first, and who was found.

    Near is a peer whose hash differs from the namespace's only in low bits, as in Kademlia. Boot nodes are asked before
    all others; who is connected is asked in any case, who is not only where nearer than all that have answered.
    """

    def __init__(self, swarm: Swarm, namespace: str, boot: set[str]) -> None:
        self.before = {swarm.hello.peer_id, *swarm.peers}
        self.found: dict[str, Record] = {}
        self.made: list[Connection] = []
        self._target = _number(namespace)
        self._nearest = 1 << 256
        self._boot = {peer_id for peer_id, server in swarm.peers.items() if _lives_at(server, boot)}
        self._todo = [
            (-1 if peer_id in self._boot else self._distance(peer_id), peer_id) for peer_id in swarm.peers
        ]
        heapq.heapify(self._todo)

    def next(self) -> str:
        """Return whom to ask next; empty where nobody is left."""
        while self._todo:
            distance, peer_id = heapq.heappop(self._todo)
            if peer_id in self.before or distance < self._nearest:
                return peer_id
        return ""

    def hear(self, peer_id: str, records: list[Record]) -> None:
        """Take in whom a peer has named."""
        if peer_id not in self._boot:
            self._nearest = min(self._nearest, self._distance(peer_id))
        for record in records:
            if record.peer_id not in self.before and record.peer_id not in self.found:
                self.found[record.peer_id] = record
                heapq.heappush(self._todo, (self._distance(record.peer_id), record.peer_id))

    def _distance(self, peer_id: str) -> int:
        return _number(peer_id) ^ self._target


class Discovery:
    """Registers this node, answers queries, and asks them."""

    def __init__(
        self,
        swarm: Swarm,
        keys: DiscoveryKeys,
        namespace: str,
        boot: list[str],
        log: Log,
        metrics: Metrics,
        rng: random.Random,
        spawn: Callable[..., object],
    ) -> None:
        self._swarm = swarm
        self._keys = keys
        self._namespace = namespace
        self._protocol = namespace.replace("/sync/", "/disc/")
        self._boot = set(boot)
        self._log = log
        self._metrics = metrics
        self._rng = rng
        self._spawn = spawn
        self._registered: dict[str, tuple[float, Record]] = {}
        self.asking: set[str] = set()
        """Peers that are dialled, or connected, for no more than to be asked."""
        swarm.handlers[self._protocol] = self._serve
        swarm.on_up.append(self._connected)

    @asynccontextmanager
    async def find(self, limit: int) -> AsyncIterator[list[Record]]:
        """Look for up to so many peers that are not connected.

        Connections that were made only to ask end with the context, but those that have got a sync stream by then.
        """
        walk = _Walk(self._swarm, self._namespace, self._boot)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._keys.timeout):
                    await self._follow(walk, limit)
            # As they were named: if all preferred the nearest, these few would have the whole net for peers.
            yield list(walk.found.values())[:limit]
        finally:
            self.asking.clear()
            for connection in walk.made:
                if not any(stream.protocol == self._namespace for stream in connection.streams.values()):
                    connection.close(frames.CANCELLED, "asked for peers")

    async def _follow(self, walk: _Walk, limit: int) -> None:
        """Ask several at a time, and go on to whom they name, until enough are found or nobody nearer is left."""
        tasks: set[asyncio.Task[None]] = set()
        left = self._keys.max_queries
        try:
            while len(walk.found) < limit:
                while left and len(tasks) < self._keys.concurrency and (peer_id := walk.next()):
                    tasks.add(asyncio.ensure_future(self._visit(walk, peer_id, limit)))
                    left -= 1
                if not tasks:
                    break
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _visit(self, walk: _Walk, peer_id: str, limit: int) -> None:
        try:
            server = self._swarm.peers.get(peer_id) or await self._dial(walk, peer_id)
            records = await self._query(server, limit)
        except ProtocolError as error:
            self._swarm.drop(peer_id, str(error))
        except (NodeError, TimeoutError) as error:
            self._log.debug("find_failed", peer=peer_id, reason=error)
        else:
            walk.hear(peer_id, [record for record in records if not self._swarm.banned(record.peer_id)])

    async def _dial(self, walk: _Walk, peer_id: str) -> Connection:
        record = walk.found.get(peer_id)
        if record is None:
            raise DialError("it has gone since")
        self._metrics.count("syncnode_discovery_dials_total")
        self.asking.add(record.peer_id)
        connection = await self._swarm.dial(record.address)
        if connection.dialled and connection.peer_id not in walk.before:
            walk.made.append(connection)
        if connection.peer_id != record.peer_id:
            raise DialError(f"{record.address}: somebody else lives there now")
        return connection

    async def _query(self, server: Connection, limit: int) -> list[Record]:
        self._metrics.count("syncnode_discovery_queries_total")
        request = wire.data(1, self._namespace.encode()) + wire.number(2, limit)
        answer = wire.Message(await self._ask(server, request))
        return [Record.decode(item) for item in answer.all(1)][:_MOST]

    async def _ask(self, server: Connection, request: bytes) -> bytes:
        async with asyncio.timeout(self._keys.timeout):
            stream = await server.open(self._protocol, self._keys.timeout)
            try:
                framed = Framed(stream, _LIMIT)
                await framed.send(request)
                stream.close()
                answer = await framed.receive()
            except BaseException:
                stream.reset()
                raise
        if not stream.connection.closed:
            stream.reset()  # no more than one answer; where the server has closed too, this does nothing
        return answer

    def _connected(self, connection: Connection) -> None:
        if _lives_at(connection, self._boot):
            self._spawn(self._advertise(connection))

    async def _advertise(self, server: Connection) -> None:
        """Register with a boot node for as long as it is connected."""
        hello = self._swarm.hello
        own = Record(hello.peer_id, hello.name, hello.address).encode()
        pause = self._swarm.keys.reconnect_min
        while not server.closed:
            try:
                await self._ask(server, wire.data(1, self._namespace.encode()) + wire.data(3, own))
                pause = self._keys.advertise_interval
            except (NodeError, TimeoutError) as error:
                self._log.debug("register_failed", reason=error)
                pause = min(pause * 2, self._keys.advertise_interval)
            await asyncio.sleep(pause * self._rng.uniform(0.8, 1))

    def _serve(self, stream: Stream) -> int | None:
        self._spawn(self._answer(stream))
        return None

    async def _answer(self, stream: Stream) -> None:
        try:
            async with asyncio.timeout(self._keys.timeout):
                framed = Framed(stream, _LIMIT)
                message = wire.Message(await framed.receive())
                if message.text(1) != self._namespace:
                    raise ProtocolError("a query for another namespace")
                if 3 in message:
                    self._register(stream.connection, Record.decode(message.data(3)))
                records = self._sample(stream.connection.peer_id, min(message.number(2), _MOST))
                await framed.send(b"".join(wire.data(1, record.encode()) for record in records))
                stream.close()
        except ProtocolError as error:
            stream.reset(frames.BAD_DATA)
            self._swarm.drop(stream.connection.peer_id, str(error))
        except (NodeError, TimeoutError):
            stream.reset()

    def _register(self, connection: Carrier, record: Record) -> None:
        if record.peer_id != connection.peer_id:
            raise ProtocolError("a registration for somebody else")
        until = asyncio.get_running_loop().time() + self._keys.register_ttl
        self._registered.pop(record.peer_id, None)  # the last to register is the last to be forgotten
        if len(self._registered) >= _MOST_REGISTERED:
            del self._registered[next(iter(self._registered))]
        self._registered[record.peer_id] = (until, Record(record.peer_id, record.name, reachable(connection)))

    def _sample(self, asker: str, limit: int) -> list[Record]:
        now = asyncio.get_running_loop().time()
        self._registered = {key: item for key, item in self._registered.items() if item[0] > now}
        known = {key: record for key, (_, record) in self._registered.items()}
        for peer_id, connection in self._swarm.peers.items():
            if connection.remote is not None and connection.remote.address:
                known.setdefault(peer_id, Record(peer_id, connection.remote.name, reachable(connection)))
        known.pop(asker, None)
        return self._rng.sample(list(known.values()), min(limit, len(known)))


def _number(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest())


def _lives_at(connection: Connection, addresses: set[str]) -> bool:
    return connection.remote is not None and connection.remote.address in addresses


def reachable(connection: Carrier) -> str:
    """Return the address that others can dial: what the peer says, but the host seen for 0.0.0.0."""
    assert connection.remote is not None
    host, _, port = connection.remote.address.rpartition(":")
    return f"{connection.host}:{port}" if host in ("0.0.0.0", "") else connection.remote.address  # noqa: S104
