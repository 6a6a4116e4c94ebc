"""Long-range sync: batches of blocks by number over several streams at once, taken in in order.

Before it starts, one peer is asked whether this node's head is on its chain. Where it is not, the last common
block is looked for and the other branch is fetched from that peer until it wins over ours.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence

from .block import Block
from .chain import Chain
from .config import SyncKeys
from .errors import InvalidBlock, NoStreams, RequestFailed
from .fetch import Fetch
from .log import Log
from .metrics import Metrics
from .requests import Filter, only
from .syncstream import SyncStream

_FARTHEST = 10_000
"""Blocks of one pass: what peers claim must not decide how much is planned ahead."""


class Forked(RequestFailed):
    """The blocks that came do not continue our chain: the peers asked are on another branch."""


class LongRange:
    """One pass towards a target height."""

    def __init__(self, chain: Chain, fetch: Fetch, keys: SyncKeys, log: Log, metrics: Metrics) -> None:
        self._metrics = metrics
        self._chain = chain
        self._fetch = fetch
        self._keys = keys
        self._log = log
        self._target = 0
        self._sources: set[SyncStream] | None = None
        self._todo: list[tuple[int, int]] = []
        self._done: dict[int, list[Block]] = {}
        self._fetching = 0
        self._progress = asyncio.Event()

    async def run(self, target: int, guide: SyncStream, *, alone: bool) -> int:
        """Sync up to a height; return how many blocks were taken in.

        `guide` is asked about the branch, and with `alone` for everything else too: that is how a pass goes
        on when the peers turned out to be on different branches.
        """
        start = self._chain.height
        ancestor = await self._ancestor(guide)
        if ancestor < start:
            return await self._adopt_branch(ancestor, target, guide)
        self._target = target = min(target, start + _FARTHEST)
        self._sources = {guide} if alone else None
        size = self._keys.blocks_by_number
        self._todo = [(n, min(size, target - n + 1)) for n in range(start + 1, target + 1, size)]
        self._done = {}
        self._fetching = 0
        workers = [asyncio.ensure_future(self._work()) for _ in range(self._keys.concurrency)]
        try:
            await self._insert(workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._done = {}
        return self._chain.height - start

    async def _work(self) -> None:
        """Fetch batches, lowest first, until nothing is left."""
        while True:
            while not self._todo or self._full():
                if not self._todo and not self._fetching:
                    return
                await self._changed()
            await self._fetch.greet()
            if not self._todo:
                continue
            first, count = heapq.heappop(self._todo)
            got: list[Block] = []
            self._fetching += 1
            try:
                got, _ = await self._fetch.by_number(range(first, first + count), self._allowed(first))
                self._done[first] = got
            except NoStreams:
                raise
            except RequestFailed as error:
                self._metrics.count(
                    "hmy_downloader_num_blocks_failed_long_range", count, error=type(error).__name__
                )
                self._log.debug("batch_failed", first=first, reason=error)
                await asyncio.sleep(self._keys.retry / 50)
            finally:
                self._fetching -= 1
                if len(got) < count:
                    heapq.heappush(self._todo, (first + len(got), count - len(got)))
                self._tell()

    async def _insert(self, workers: Sequence[asyncio.Future[None]]) -> None:
        """Take in what has come, in order and in batches, until the target is reached."""
        while self._chain.height < self._target:
            batch = self._ready()
            if batch:
                self._take(batch)
                self._tell()
                await asyncio.sleep(0)
                continue
            if self._next() > self._target:
                return
            for worker in workers:
                if worker.done() and not worker.cancelled() and (error := worker.exception()) is not None:
                    raise error
            changed = asyncio.ensure_future(self._changed())
            await asyncio.wait(
                (changed, *(w for w in workers if not w.done())), return_when=asyncio.FIRST_COMPLETED
            )
            changed.cancel()

    def _full(self) -> bool:
        """Tell whether enough waits to be taken in; the batch that all wait for may always be fetched."""
        return len(self._done) >= self._keys.soft_queue_cap and self._todo[0][0] > self._next()

    def _next(self) -> int:
        return self._chain.height + 1

    def _ready(self) -> list[Block]:
        """Return the blocks that follow the head without a gap, up to one insert batch."""
        batch: list[Block] = []
        following = self._next()
        for first in sorted(self._done):
            blocks = self._done[first]
            if first > following or len(batch) >= self._keys.insert_batch:
                break
            del self._done[first]
            batch += blocks[following - first :]
            following = max(following, first + len(blocks))
        return batch

    def _take(self, batch: list[Block]) -> None:
        try:
            self._chain.extend(batch)
        except InvalidBlock as error:
            raise Forked(str(error)) from None

    def _allowed(self, first: int) -> Filter:
        sources = self._sources

        def allow(stream: SyncStream) -> bool:
            return stream.height >= first if sources is None else stream in sources

        return allow

    def _tell(self) -> None:
        self._progress.set()
        self._progress = asyncio.Event()

    async def _changed(self) -> None:
        await self._progress.wait()

    async def _ancestor(self, guide: SyncStream) -> int:
        """Return the height of the last block that this node and a peer have in common."""
        high = self._chain.height
        if await self._same(guide, high):
            return high
        step, low = 1, 0
        while high - step > 0:
            if await self._same(guide, high - step):
                low = high - step
                break
            high, step = high - step, step * 2
        while high - low > 1:
            middle = (low + high) // 2
            if await self._same(guide, middle):
                low = middle
            else:
                high = middle
        return low

    async def _same(self, guide: SyncStream, height: int) -> bool:
        answers = await self._fetch.hashes_from_each([height], [guide])
        if not answers:
            raise RequestFailed("the peer did not say which branch it is on")
        return answers[0][0][0] == self._chain.hash_at(height)

    async def _adopt_branch(self, ancestor: int, target: int, guide: SyncStream) -> int:
        depth = self._chain.height - ancestor
        self._log.info("fork_found", ancestor=ancestor, depth=depth, peer=guide.peer_id)
        if depth > self._chain.max_reorg:
            raise RequestFailed(f"the other branch left ours {depth} blocks ago, more than chain.max_reorg")
        branch: list[Block] = []
        parent = self._chain.block_at(ancestor)
        assert parent is not None
        while not branch or not branch[-1].better_than(self._chain.height, self._chain.head.hash):
            first = ancestor + 1 + len(branch)
            count = min(self._keys.blocks_by_number, target - first + 1)
            if count <= 0:
                raise RequestFailed("the other branch does not win over ours")
            got, _ = await self._fetch.by_number(range(first, first + count), only((guide,)))
            for block in got:
                self._chain.rules.check_link(block, parent)
                parent = block
            branch += got
        if not self._chain.switch(branch):
            raise RequestFailed("the chain has changed meanwhile")
        self._log.info("fork_resolved", height=self._chain.height, depth=depth)
        return len(branch)
