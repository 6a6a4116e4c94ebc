"""The legacy sync of one node, called "dns" after how servers were found: server and client, each where it is on."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine
from typing import Any

from .chain import Chain
from .config import Config
from .dnsclient import DnsClient
from .dnslines import Line, Listener, library
from .dnspeers import DnsPeers
from .dnsserver import DnsServer
from .gossip import Gossip
from .log import Log
from .metrics import Metrics


class Dns:
    """What the section [dns] asks for, which is nothing by default."""

    def __init__(
        self, chain: Chain, gossip: Gossip, config: Config, log: Log, metrics: Metrics, rng: random.Random
    ) -> None:
        keys = config.dns
        self._address = f"{config.p2p.listen.rpartition(':')[0]}:{keys.port}"
        self._listener: Listener | None = None
        self.client: DnsClient | None = None
        if keys.server:
            server = DnsServer(chain, keys, metrics)
            self._listener = Listener(server.answer, keys.max_message)
        if keys.client:
            library("dns.client")  # a node that lacks it says so at once, and not when it first needs it
            others = [address for address in keys.peers if address != self._address]
            peers = DnsPeers(others, keys, lambda address: Line(address, keys), log, rng)
            self.client = DnsClient(chain, peers, gossip, keys, log, metrics)

    @property
    def syncing(self) -> bool:
        """Tell whether the client catches up."""
        return self.client is not None and self.client.syncing

    async def listen(self) -> None:
        """Serve, where the server is on; StartError where it cannot."""
        if self._listener is not None:
            await self._listener.listen(self._address)

    def start(self, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """Begin to sync, where the client is on."""
        if self.client is not None:
            spawn(self.client.run())

    async def close(self) -> None:
        """Stop serving, and give all connections up."""
        if self._listener is not None:
            await self._listener.close()
        if self.client is not None:
            await self.client.peers.close()
