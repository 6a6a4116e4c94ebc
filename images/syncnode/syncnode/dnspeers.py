"""The servers that the legacy sync asks: a few by chance out of those that are configured."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from .config import DnsKeys
from .dnsmessages import HEIGHT, SUCCESS, Query, Reply
from .errors import RequestFailed
from .log import Log


class Server(Protocol):
    """The way to one server."""

    address: str

    async def ask(self, query: Query) -> Reply:
        """Send a query; RequestFailed where no usable reply comes."""
        ...

    async def close(self) -> None:
        """Give the connection up."""
        ...


class DnsPeers:
    """Keeps `least_peers` to `most_peers` of the servers, and others in the place of those that fail."""

    def __init__(
        self,
        addresses: Iterable[str],
        keys: DnsKeys,
        connect: Callable[[str], Server],
        log: Log,
        rng: random.Random,
    ) -> None:
        self.kept: list[Server] = []
        self._addresses = list(dict.fromkeys(addresses))
        self._keys = keys
        self._connect = connect
        self._log = log
        self._rng = rng
        self._lines: dict[str, Server] = {}
        self._failed: set[str] = set()
        self._bans: dict[str, float] = {}

    def refill(self) -> None:
        """Choose servers in the place of those that failed, rather others than the same again."""
        kept, usable = {server.address for server in self.kept}, self._usable()
        others = [address for address in usable if address not in kept]
        self._rng.shuffle(others)
        others.sort(key=self._failed.__contains__)
        missing = wanted(len(usable), self._keys) - len(self.kept)
        for address in others[: max(0, missing)]:
            self.kept.append(self._line(address))
            self._failed.discard(address)

    def drop(self, server: Server, reason: object) -> None:
        """Keep a server no longer, because it failed."""
        if server in self.kept:
            self.kept.remove(server)
            self._failed.add(server.address)
            self._log.debug("dns_peer_dropped", address=server.address, reason=reason)

    def ban(self, server: Server, reason: object) -> None:
        """Ask a server no more for `dns.ban`, because it broke the rules."""
        self.drop(server, reason)
        self._bans[server.address] = time.monotonic() + self._keys.ban
        self._log.warn("dns_peer_banned", address=server.address, reason=reason)

    async def heights(self, *, everyone: bool = False) -> list[tuple[int, Server]]:
        """Ask the servers that are kept, or every one there is, how high they are; those that answer count."""
        asked = [self._line(address) for address in self._usable()] if everyone else list(self.kept)
        answers = await asyncio.gather(*map(self._height, asked))
        return [(height, server) for height, server in zip(answers, asked, strict=True) if height >= 0]

    async def highest(self, *, everyone: bool = False) -> int:
        """Return the greatest height that a server tells; -1 where none answers."""
        self.refill()
        return max((height for height, _ in await self.heights(everyone=everyone)), default=-1)

    async def close(self) -> None:
        """Give all connections up."""
        await asyncio.gather(*(line.close() for line in self._lines.values()))

    async def _height(self, server: Server) -> int:
        try:
            reply = await server.ask(Query(HEIGHT))
        except RequestFailed as error:
            self.drop(server, error)
            return -1
        return reply.height if reply.kind == SUCCESS else -1

    def _usable(self) -> list[str]:
        now = time.monotonic()
        return [address for address in self._addresses if self._bans.get(address, now) <= now]

    def _line(self, address: str) -> Server:
        if address not in self._lines:
            self._lines[address] = self._connect(address)
        return self._lines[address]


def wanted(count: int, keys: DnsKeys) -> int:
    """Return how many of so many servers are kept: half of them, within the limits, and no more than there are."""
    return min(count, max(keys.least_peers, min(keys.most_peers, count // 2)))
