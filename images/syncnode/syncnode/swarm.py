"""The connections of a node: one per peer, whoever dialled.

Two peers that dial each other at once get two connections; both ends keep the one that the lower peer id
dialled. A second connection in the same direction, or from a new run of the peer, replaces the first: the
peer would not have dialled if its old one still lived.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from . import frames
from .config import P2PKeys
from .connection import Connection, Handler
from .errors import DialError, StartError
from .log import Log
from .metrics import Metrics

_MOST_BANS = 4096
_MOST_STRANGERS = 128  # honest peers greet at once: more than these have not been heard of only under attack


class Swarm:
    """Listens, dials, and keeps at most one connection to each peer."""

    def __init__(
        self, keys: P2PKeys, hello: frames.Hello, log: Log, metrics: Metrics, rng: random.Random
    ) -> None:
        self.keys = keys
        self.hello = hello
        self.handlers: dict[str, Handler] = {}
        self.peers: dict[str, Connection] = {}
        self.on_up: list[Callable[[Connection], None]] = []
        self.on_down: list[Callable[[Connection], None]] = []
        self._all: set[Connection] = set()
        self._strangers: dict[Connection, None] = {}
        """Connections from outside that have not greeted, the oldest first."""
        self._bans: dict[str, float] = {}
        self._dials = 0
        self._waiting: dict[Connection, asyncio.Future[Connection]] = {}
        self._server: asyncio.Server | None = None
        self._log = log
        self._metrics = metrics
        self._rng = rng
        self._stopped = False

    async def listen(self) -> None:
        """Accept connections; StartError where the address cannot be had."""
        host, _, port = self.keys.listen.rpartition(":")
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: self._connection(dialled=False), host, int(port))
        except OSError as error:
            raise StartError(f"p2p.listen: cannot listen on {self.keys.listen}: {error}") from None

    async def dial(self, address: str) -> Connection:
        """Connect, greet, and return the connection kept with that peer; DialError says why none is."""
        host, _, port = address.rpartition(":")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Connection] = loop.create_future()
        connection = self._connection(dialled=True)
        self._waiting[connection] = done
        try:
            async with asyncio.timeout(self.keys.handshake_timeout):
                await loop.create_connection(lambda: connection, host, int(port))
                return await done
        except (OSError, TimeoutError, ValueError, OverflowError) as error:  # a peer may name any address
            connection.abort("the dial failed")
            raise DialError(f"{address}: {error or 'no answer'}") from None
        except asyncio.CancelledError:
            connection.abort("the dial was given up")
            raise
        finally:
            self._waiting.pop(connection, None)
            if done.done() and not done.cancelled():
                done.exception()

    def drop(self, peer_id: str, reason: str) -> None:
        """Disconnect a peer that broke the rules, and keep it away for `p2p.ban`."""
        self._ban(peer_id, reason)
        connection = self.peers.get(peer_id)
        if connection is not None:
            connection.close(frames.BAD_DATA, reason)

    def banned(self, peer_id: str) -> bool:
        """Tell whether a peer is kept away now."""
        until = self._bans.get(peer_id)
        if until is None:
            return False
        if until < asyncio.get_running_loop().time():
            del self._bans[peer_id]
            return False
        return True

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._stopped = True
        if self._server is not None:
            self._server.close()
        for connection in list(self._all):
            connection.close(frames.GOING)

    def _ban(self, peer_id: str, reason: str) -> None:
        self._bans.pop(peer_id, None)  # the last to be banned is the last to be forgotten
        if len(self._bans) >= _MOST_BANS:
            del self._bans[next(iter(self._bans))]
        self._bans[peer_id] = asyncio.get_running_loop().time() + self.keys.ban
        self._metrics.count("syncnode_peers_dropped_total")
        self._log.warn("peer_dropped", peer=peer_id, reason=reason)

    def _connection(self, *, dialled: bool) -> Connection:
        self._dials += dialled
        hello = self.hello
        connection = Connection(
            dialled=dialled,
            hello=frames.Hello(
                hello.peer_id,
                hello.name,
                hello.address,
                hello.genesis,
                hello.instance,
                self._dials if dialled else 0,
            ),
            handlers=self.handlers,
            on_hello=self._greeted,
            on_close=self._closed,
            window=self.keys.window,
            keepalive=(self.keys.keepalive_interval, self.keys.keepalive_timeout),
            handshake_timeout=self.keys.handshake_timeout,
            max_streams=self.keys.max_streams,
        )
        self._all.add(connection)
        if not dialled:
            self._strangers[connection] = None
            if len(self._strangers) > _MOST_STRANGERS:
                next(iter(self._strangers)).abort("too many that do not greet")
        return connection

    def _greeted(self, connection: Connection) -> None:
        assert connection.remote is not None
        self._strangers.pop(connection, None)
        refusal = self._refusal(connection.remote)
        if refusal is not None:
            name, why = connection.remote.name, frames.reason(refusal)
            self._log.info("peer_refused", peer=name, host=connection.host, reason=why)
            connection.close(refusal)
            return
        old = self.peers.get(connection.peer_id)
        if old is not None and not self._replaces(connection, old):
            old.probe()
            self._settle(connection, old)
            connection.close(frames.DUPLICATE)
            return
        self.peers[connection.peer_id] = connection
        if old is not None:
            old.close(frames.DUPLICATE)
        self._settle(connection, connection)
        self._announce(connection)

    def _refusal(self, remote: frames.Hello) -> int | None:
        if self._stopped:
            return frames.GOING
        if remote.genesis != self.hello.genesis:
            return frames.OTHER_NET
        if remote.peer_id == self.hello.peer_id:
            return frames.DUPLICATE
        if self.banned(remote.peer_id):
            return frames.BANNED
        if len(self.peers) >= self.keys.max_connections and remote.peer_id not in self.peers:
            return frames.FULL
        return None

    def _replaces(self, new: Connection, old: Connection) -> bool:
        assert new.remote is not None
        assert old.remote is not None
        if new.remote.instance != old.remote.instance:
            return True
        if new.dialled != old.dialled:
            return new.dialled == (self.hello.peer_id < new.peer_id)
        return _dial_number(new) > _dial_number(old)

    def _settle(self, connection: Connection, kept: Connection) -> None:
        done = self._waiting.get(connection)
        if done is not None and not done.done():
            done.set_result(kept)

    def _announce(self, connection: Connection) -> None:
        assert connection.remote is not None
        self._metrics.count("syncnode_connections_total", direction="out" if connection.dialled else "in")
        self._log.info(
            "peer_connected",
            peer=connection.remote.name,
            id=connection.peer_id,
            address=connection.remote.address,
            direction="out" if connection.dialled else "in",
        )
        for callback in self.on_up:
            callback(connection)

    def _closed(self, connection: Connection) -> None:
        self._all.discard(connection)
        self._metrics.count("syncnode_bytes_read_total", connection.bytes_read)
        self._metrics.count("syncnode_bytes_written_total", connection.bytes_written)
        done = self._waiting.get(connection)
        if done is not None and not done.done():
            kept = self.peers.get(connection.peer_id)
            if connection.close_code == frames.DUPLICATE and kept is not None:
                done.set_result(kept)
            else:
                done.set_exception(DialError(connection.close_reason))
        if connection.remote is None:
            if connection in self._strangers:
                del self._strangers[connection]
                self._log.info("stranger_gone", host=connection.host, reason=connection.close_reason)
            return
        if connection.to_blame:
            self._ban(connection.peer_id, connection.close_reason)
        if self.peers.get(connection.peer_id) is connection:
            del self.peers[connection.peer_id]
            self._log.info("peer_disconnected", peer=connection.remote.name, reason=connection.close_reason)
        for callback in self.on_down:
            callback(connection)


def _dial_number(connection: Connection) -> int:
    """Return the count of dials of whichever end dialled."""
    greeting = connection.local if connection.dialled else connection.remote
    assert greeting is not None
    return greeting.dial
