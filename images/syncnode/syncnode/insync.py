"""Whether this node is in step with its peers, as JSON-RPC tells it.

Who says how high the others are: with an active stream downloader the tips that peers claim, otherwise the servers
of the legacy sync, otherwise the tips again. The servers are asked at most once in a while, whatever the number of
calls. Where nobody says anything the answer is no: a node that is cut off cannot know.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol


class Tips(Protocol):
    """What the stream downloader knows."""

    @property
    def syncing(self) -> bool:
        """Tell whether it catches up."""
        ...

    @property
    def target(self) -> int:
        """Return the greatest height that a peer claims; -1 where there is none."""
        ...


class Servers(Protocol):
    """The servers of the legacy sync."""

    async def highest(self, *, everyone: bool = False) -> int:
        """Ask those that are kept, or every one there is; return the greatest height, -1 where none answers."""
        ...


class Status(NamedTuple):
    """An answer of a provider."""

    in_sync: bool
    height: int
    """Of the highest of all."""
    lag: float
    """Blocks that this node lacks; infinite where nobody says."""


class InSync:
    """The status of one node, from whichever provider counts.

    `active` tells whether the stream downloader runs; `servers` are None where the legacy client is off. Two defects
    can be switched on. `redirect_in_sync`: without an active downloader each call asks every server.
    `inverted_in_sync`: the downloader answers (does it sync, target, 0), which is read as (in sync, height, lag).
    """

    def __init__(
        self,
        height: Callable[[], int],
        tips: Tips,
        servers: Servers | None,
        *,
        active: bool,
        tolerance: int,
        cache_s: float,
        clock: Callable[[], float] = time.monotonic,
        redirect_in_sync: bool = False,
        inverted_in_sync: bool = False,
    ) -> None:
        self._height = height
        self._tips = tips
        self._servers = servers
        self._active = active
        self._tolerance = tolerance
        self._cache_s = cache_s
        self._clock = clock
        self._redirect = redirect_in_sync
        self._inverted = inverted_in_sync
        self._known = -1
        self._known_until = -math.inf
        self._asking: asyncio.Future[int] | None = None
        self._starting = height()

    async def status(self) -> Status:
        """Return what the provider that counts says now."""
        if not self._active and self._servers is not None:
            return self._read(await self._of_servers(self._servers))
        if self._active and self._inverted:
            return Status(self._tips.syncing, self._tips.target, 0)
        return self._read(self._tips.target)

    async def in_sync(self) -> bool:
        """Tell whether this node has all but the last few blocks."""
        status = await self._noted()
        return status.in_sync or status.lag <= self._tolerance

    async def syncing(self) -> dict[str, int] | None:
        """Return from where to where this node catches up, None where it is in step."""
        status = await self._noted()
        if status.in_sync:
            return None
        return {
            "startingBlock": self._starting,
            "currentBlock": self._height(),
            "highestBlock": status.height,
        }

    async def _noted(self) -> Status:
        status = await self.status()
        if status.in_sync:
            self._starting = self._height()
        return status

    def _read(self, highest: int) -> Status:
        own = self._height()
        lag = max(0, highest - own) if highest >= 0 else math.inf
        return Status(lag <= self._tolerance, max(own, highest), lag)

    async def _of_servers(self, servers: Servers) -> int:
        if self._redirect:
            return await servers.highest(everyone=True)
        if self._asking is None and self._clock() >= self._known_until:
            self._asking = asyncio.ensure_future(self._ask(servers))
        if self._asking is not None:
            # All that call meanwhile wait for one question; that one of them goes away does not end it.
            await asyncio.shield(self._asking)
        return self._known

    async def _ask(self, servers: Servers) -> int:
        try:
            self._known = await servers.highest()
            return self._known
        finally:
            self._known_until = self._clock() + self._cache_s
            self._asking = None
