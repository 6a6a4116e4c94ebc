"""Finding peers: a registry that every node serves and that the boot nodes are asked first.

Each query is a short stream of its own (open, ask, answer, close), so its cost is visible, as that of a
DHT's queries is. A node that serves answers from what was registered with it and from its own connections.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from . import frames, wire
from .config import DiscoveryKeys
from .connection import Connection
from .errors import NodeError, ProtocolError
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
        swarm.handlers[self._protocol] = self._serve
        swarm.on_up.append(self._connected)

    async def find(self, limit: int) -> list[Record]:
        """Ask up to three servers, boot nodes first, until one knows peers that are not connected."""
        servers = list(self._swarm.peers.values())
        self._rng.shuffle(servers)
        servers.sort(key=lambda server: not self._is_boot(server))
        found: dict[str, Record] = {}
        for server in servers[:3]:
            try:
                for record in await self._query(server, limit):
                    if (
                        record.peer_id not in self._swarm.peers
                        and record.peer_id != self._swarm.hello.peer_id
                    ):
                        found[record.peer_id] = record
            except ProtocolError as error:
                self._swarm.drop(server.peer_id, str(error))
            except (NodeError, TimeoutError) as error:
                self._log.debug("find_failed", peer=server.remote and server.remote.name, reason=error)
            if found:
                break
        return list(found.values())[:limit]

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

    def _is_boot(self, connection: Connection) -> bool:
        return connection.remote is not None and connection.remote.address in self._boot

    def _connected(self, connection: Connection) -> None:
        if self._is_boot(connection):
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


def reachable(connection: Carrier) -> str:
    """Return the address that others can dial: what the peer says, but the host seen for 0.0.0.0."""
    assert connection.remote is not None
    host, _, port = connection.remote.address.rpartition(":")
    return f"{connection.host}:{port}" if host in ("0.0.0.0", "") else connection.remote.address  # noqa: S104
