"""The downloader: decides when to sync, how far, and in which way.

It sleeps until gossip shows a better tip, a stream comes, or a tick finds that no block came for a while. A
gap above `sync.hashes` is closed by long range, a smaller one by short range, and it goes back to long
range whenever the gap has grown.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from .block import better
from .chain import Chain
from .config import Config
from .defects import Defect
from .errors import NodeError
from .fetch import Fetch
from .gossip import Gossip
from .log import Log
from .longrange import Forked, LongRange
from .metrics import Metrics
from .shortrange import NotContinued, ShortRange
from .syncstream import SyncStream

_CONTEXT = 64 * 1024
"""Bytes that a pass of short range holds."""


class Downloader:
    """The loop that brings the chain up to the peers' tips."""

    def __init__(
        self,
        chain: Chain,
        gossip: Gossip,
        fetch: Fetch,
        config: Config,
        log: Log,
        metrics: Metrics,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._defects = config.defects
        self._spawn = spawn
        self._one_at_a_time = asyncio.Lock()
        self._was_long = False
        """Whether a pass of long range has ended well."""
        read = config.node.name in config.chain.validators
        self._events: asyncio.Queue[str] = asyncio.Queue(0 if read else 1)
        """What short range tells consensus, which only validators have."""
        self._passing = False
        self._chain = chain
        self._gossip = gossip
        self._fetch = fetch
        self._keys = config.sync
        self._patience = config.gossip.patience
        self._quiet = max(config.sync.tick, 2 * config.chain.block_time)
        self._shard = str(config.node.shard)
        self._log = log
        self._metrics = metrics
        self._long = LongRange(chain, fetch, config.sync, log, metrics)
        self._short = ShortRange(chain, fetch, config.sync, log, metrics, config.defects)
        self._wake = asyncio.Event()
        self._alone = False
        gossip.on_behind = self._wake.set
        fetch.streams.on_change.append(self._stream_changed)

    @property
    def syncing(self) -> bool:
        """Tell whether this node catches up: not while it only tries a claim that brought nothing."""
        fresh = time.monotonic() - self._chain.synced_at < self._patience
        return self._passing and (fresh or self._gossip.neighbours.are_ahead(believed=True))

    @property
    def target(self) -> int:
        """Return the greatest height that a peer claims, believed or not; -1 without peers."""
        return self._gossip.neighbours.claimed_height()

    async def run(self) -> None:
        """Sync for ever."""
        if Defect.RETRY_AMPLIFICATION in self._defects:
            await self._amplify()
        while True:
            try:
                async with asyncio.timeout(self._keys.tick):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if not self._due():
                continue
            try:
                again = await self._pass()
            except (NodeError, TimeoutError) as error:
                again = False
                self._failed(error)
                await asyncio.sleep(self._keys.retry)
            finally:
                self._passing = False
            if again:
                self._wake.set()

    async def _amplify(self) -> None:
        """Begin a chain of attempts at each tick."""
        while True:
            self._spawn(self._attempts())
            await asyncio.sleep(self._keys.tick)

    async def _attempts(self) -> None:
        """Try until it goes well, a while after each failure: as many of these as there were ticks, if nothing does."""
        while True:
            try:
                async with self._one_at_a_time:
                    if len(self._fetch.streams.open) < self._keys.min_peers:
                        raise NodeError("not enough streams")
                    await self._pass()
            except (NodeError, TimeoutError) as error:
                self._failed(error)
                await asyncio.sleep(self._keys.retry)
            else:
                return
            finally:
                self._passing = False

    def _due(self) -> bool:
        """Tell whether a pass may find something: a better tip is known, or nothing has come for a while."""
        if len(self._fetch.streams.open) < self._keys.min_peers:
            return False
        return self._gossip.neighbours.are_ahead() or time.monotonic() - self._chain.changed_at > self._quiet

    async def _pass(self) -> bool:
        """Sync once; return whether there is more to do."""
        heights = await self._fetch.heights(self._keys.concurrency)
        if not heights:
            raise NodeError("no peer said how high it is")
        target = most_voted([height for height, _ in heights])
        if target <= self._chain.height and Defect.ISLAND_IS_IN_SYNC in self._defects:
            return False
        if target <= self._chain.height:
            target = max(height for height, _ in heights)  # those that agree may all be as stuck as this node
        guide = self._guide([stream for height, stream in heights if height >= target])
        if target < self._chain.height or (
            target == self._chain.height and not self._gossip.neighbours.are_ahead()
        ):
            return False
        self._passing = True
        self._metrics.count("hmy_downloader_consensus_trigger", ShardID=self._shard)
        start, began = self._chain.height, time.monotonic()
        short = 0 < target - start <= self._keys.hashes and not self._alone
        if Defect.NO_RETURN_TO_LONG_RANGE in self._defects:
            short = self._was_long
        if short:
            got = await self._short_range(target, guide)
        else:
            got = await self._long_range(target, guide)
        if got:
            self._gossip.adopt_orphans()
            self._gossip.announce_head()
            seconds = time.monotonic() - began
            if got > self._keys.last_mile:
                self._log.info("synced", blocks=got, height=self._chain.height, seconds=seconds)
        return got > 0 and self._gossip.neighbours.are_ahead()

    def _guide(self, streams: list[SyncStream]) -> SyncStream:
        """Return the stream of the peer with the best tip."""
        best = streams[0]
        for stream in streams[1:]:
            if better(*self._tip(stream), *self._tip(best)):
                best = stream
        return best

    def _tip(self, stream: SyncStream) -> tuple[int, bytes]:
        neighbour = self._gossip.neighbours.get(stream.peer_id)
        return (neighbour.height, neighbour.hash) if neighbour is not None else (-1, b"")

    async def _short_range(self, target: int, guide: SyncStream) -> int:
        self._metrics.count("hmy_downloader_num_short_range", ShardID=self._shard)
        if Defect.UNREAD_EVENT_CHANNEL in self._defects:
            await self._events.put("started")
        if Defect.CONTEXT_LEAK in self._defects:
            self._spawn(_hold(bytearray(_CONTEXT), self._keys.short_range_timeout))
        try:
            got = await self._short.run()
        except NodeError as error:
            self._log.debug("short_range_failed", reason=error)
            if isinstance(error, NotContinued) and Defect.HELPER_NEVER_SIGNALS in self._defects:
                await asyncio.get_running_loop().create_future()
            got = 0
        if Defect.NO_RETURN_TO_LONG_RANGE in self._defects:
            return got
        # Nothing to be had by hash from where we stand: we may stand on a branch of our own.
        return got or await self._long_range(target, guide)

    async def _long_range(self, target: int, guide: SyncStream) -> int:
        alone, self._alone = self._alone, False
        start = self._chain.height
        try:
            got = await self._long.run(target, guide, alone=alone)
            self._was_long = True
            return got
        except Forked:
            self._alone = not alone
            raise
        finally:
            self._metrics.count(
                "hmy_downloader_num_blocks_synced_long_range",
                max(0, self._chain.height - start),
                ShardID=self._shard,
            )

    def _failed(self, error: Exception) -> None:
        label = type(error).__name__
        if Defect.LABEL_EXPLOSION in self._defects:
            label = f"{label} at {self._chain.height} after {time.monotonic()}: {error}"
        self._metrics.count("hmy_downloader_failed_download", ShardID=self._shard, error=label)
        self._log.warn("sync_failed", reason=str(error) or type(error).__name__, height=self._chain.height)

    def _stream_changed(self) -> None:
        if self._gossip.neighbours.are_ahead():
            self._wake.set()


async def _hold(context: bytearray, seconds: float) -> None:
    """Keep what a pass held."""
    await asyncio.sleep(seconds)
    context.clear()


def most_voted(heights: list[int]) -> int:
    """Return the height that most peers name; of those named as often, the higher."""
    votes = Counter(heights)
    return max(votes, key=lambda height: (votes[height], height))
