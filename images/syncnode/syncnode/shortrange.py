"""Short-range sync: the next hashes from several peers, then the blocks by hash from those who agree."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from .block import Block
from .chain import Chain
from .config import SyncKeys
from .defects import Defect
from .errors import InvalidBlock, NoStreams, RequestFailed
from .fetch import Fetch
from .log import Log
from .metrics import Metrics
from .requests import only
from .syncstream import SyncStream


class NotContinued(RequestFailed):
    """The blocks that came do not continue the chain."""


_ENDLESS = frozenset({Defect.DEAD_WHITELIST_LOOP, Defect.REENTRANT_LOCK})
"""With these, nothing in a pass looks at its time-out."""


class ShortRange:
    """One pass over the next `sync.hashes` blocks."""

    def __init__(
        self,
        chain: Chain,
        fetch: Fetch,
        keys: SyncKeys,
        log: Log,
        metrics: Metrics,
        defects: Sequence[str] = (),
    ) -> None:
        self._defects = defects
        self._lock = asyncio.Lock()
        self._chain = chain
        self._fetch = fetch
        self._keys = keys
        self._log = log
        self._metrics = metrics

    async def run(self) -> int:
        """Take in up to `sync.hashes` blocks; return how many; RequestFailed where none could be had."""
        endless = not _ENDLESS.isdisjoint(self._defects)
        async with asyncio.timeout(None if endless else self._keys.short_range_timeout):
            first = self._chain.height + 1
            nums = range(first, first + self._keys.hashes)
            streams = self._fetch.requests.pick(self._keys.concurrency)
            answers = await self._fetch.hashes_from_each(nums, streams, urgent=True)
            hashes, agreeing = vote(answers)
            if not hashes:
                return 0
            blocks = await self._bodies(hashes, agreeing)
            return self._take(blocks)

    async def _bodies(self, hashes: list[bytes], agreeing: set[SyncStream]) -> list[Block]:
        """Fetch the blocks in parallel from the peers that named them, and from others where those fail."""
        size = max(3, min(self._keys.max_blocks_by_hashes, -(-len(hashes) // max(1, len(agreeing)))))
        parts = [hashes[at : at + size] for at in range(0, len(hashes), size)]
        got = await asyncio.gather(*(self._part(part, agreeing) for part in parts))
        blocks: list[Block] = []
        for part, found in zip(parts, got, strict=True):
            blocks += found
            if len(found) < len(part):
                break  # what comes after a gap cannot be taken in
        return blocks

    async def _part(self, part: list[bytes], agreeing: set[SyncStream]) -> list[Block]:
        if Defect.DEAD_WHITELIST_LOOP in self._defects:
            return await self._part_by_whitelist(part, agreeing)
        found: list[Block] = []
        failed: set[SyncStream] = set()
        for _ in range(self._keys.max_failures):
            try:
                blocks, _ = await self._fetch.by_hashes(part[len(found) :], only(agreeing - failed))
                found += blocks
            except NoStreams:
                if agreeing <= failed:
                    break
                failed |= agreeing  # they are all gone: whoever is left may have the blocks
                agreeing = set(self._fetch.streams.open.values())
            except RequestFailed as error:
                self._log.debug("part_failed", reason=error)
                await self._note_failure()
            if len(found) == len(part):
                break
        return found

    async def _part_by_whitelist(self, part: list[bytes], agreeing: set[SyncStream]) -> list[Block]:
        """Ask only those who agreed, until all is there: an error that no stream made takes nobody off the list."""
        found: list[Block] = []
        while len(found) < len(part):
            try:
                blocks, _ = await self._fetch.by_hashes(part[len(found) :], only(agreeing))
                found += blocks
            except (NoStreams, RequestFailed):
                await asyncio.sleep(0)
        return found

    async def _note_failure(self) -> None:
        if Defect.REENTRANT_LOCK in self._defects:
            async with self._lock, self._lock:  # a lock that its holder cannot take again
                return

    def _take(self, blocks: list[Block]) -> int:
        if not blocks:
            raise RequestFailed("no blocks came")
        try:
            count = self._chain.extend(blocks)
        except InvalidBlock as error:
            raise NotContinued(f"the blocks do not continue the chain: {error}") from None
        self._metrics.observe("hmy_downloader_num_blocks_inserted_short_range", count)
        return count


def vote(answers: list[tuple[list[bytes], SyncStream]]) -> tuple[list[bytes], set[SyncStream]]:
    """Return the chain of hashes with the most votes height by height, and who voted for all of it.

    At each height only those count who voted for all before; of hashes with as many votes the lowest wins.
    """
    agreeing = {stream: hashes for hashes, stream in answers}
    chosen: list[bytes] = []
    for place in range(max((len(hashes) for hashes in agreeing.values()), default=0)):
        votes = Counter(hashes[place] for hashes in agreeing.values() if hashes[place])
        if not votes:
            break
        winner = min(votes, key=lambda hash_: (-votes[hash_], hash_))
        agreeing = {stream: hashes for stream, hashes in agreeing.items() if hashes[place] == winner}
        chosen.append(winner)
    return chosen, set(agreeing)
