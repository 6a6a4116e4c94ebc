"""Keeps the node connected to the peers that its configuration names."""

from __future__ import annotations

import asyncio
import random
import time

from .connection import Connection
from .errors import DialError
from .log import Log
from .swarm import Swarm


class Keeper:
    """Dials each configured address, and again with growing pauses whenever the connection is lost."""

    def __init__(self, swarm: Swarm, addresses: list[str], log: Log, rng: random.Random) -> None:
        self.addresses = list(
            dict.fromkeys(a for a in addresses if a not in (swarm.keys.listen, swarm.hello.address))
        )
        self._swarm = swarm
        self._log = log
        self._rng = rng
        self._lost: dict[str, asyncio.Event] = {}
        swarm.on_down.append(self._down)

    async def keep(self, address: str) -> None:
        """Stay connected to one address for ever."""
        keys = self._swarm.keys
        pause = keys.reconnect_min
        while True:
            if (peer_id := self._connected(address)) is not None:
                await self._until_lost(peer_id)
                pause = keys.reconnect_min
                await asyncio.sleep(pause * self._rng.uniform(0.1, 1))
                continue
            try:
                connection = await self._swarm.dial(address)
                if connection.closed:
                    raise DialError("closed at once")
                since = time.monotonic()
                await self._until_lost(connection.peer_id)
                if time.monotonic() - since > keys.reconnect_max:
                    pause = keys.reconnect_min  # otherwise it may be a peer that takes us and throws us out
            except DialError as error:
                self._log.debug("dial_failed", address=address, reason=error)
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1))
            pause = min(pause * 2, keys.reconnect_max)

    def _connected(self, address: str) -> str | None:
        for peer_id, connection in self._swarm.peers.items():
            if connection.remote is not None and connection.remote.address == address:
                return peer_id
        return None

    async def _until_lost(self, peer_id: str) -> None:
        while peer_id in self._swarm.peers:
            await self._lost.setdefault(peer_id, asyncio.Event()).wait()

    def _down(self, connection: Connection) -> None:
        event = self._lost.pop(connection.peer_id, None)
        if event is not None:
            event.set()
