"""The legacy sync: hashes from several servers, the blocks from those that agree, by the clock and by nothing else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence

from .block import HASH_SIZE, Block
from .chain import Chain
from .config import DnsKeys
from .dnsmessages import BLOCK_HASHES, BLOCKS, FAIL, Query, Reply, unsigned
from .dnspeers import DnsPeers, Server
from .errors import InvalidBlock, NodeError, ProtocolError, RequestFailed
from .gossip import Gossip
from .log import Log
from .metrics import Metrics

_DONE, _FAILED, _LIED = "done", "failed", "lied"

Following = tuple[bytes, ...] | None
"""The hashes that follow a block in the chain of a server; None where that block is not in it."""


class DnsClient:
    """The loop that brings the chain up to the servers' tips."""

    def __init__(
        self, chain: Chain, peers: DnsPeers, gossip: Gossip, keys: DnsKeys, log: Log, metrics: Metrics
    ) -> None:
        self.peers = peers
        self.syncing = False
        """Whether this node catches up."""
        self._chain = chain
        self._gossip = gossip
        self._keys = keys
        self._log = log
        self._metrics = metrics

    async def run(self) -> None:
        """Compare heights at each interval, and sync where a server is higher, for ever."""
        pause = recheck = self._keys.recheck
        while True:
            try:
                await self.check()
                pause = recheck
                await asyncio.sleep(self._keys.check_interval)
            except NodeError as error:
                self._metrics.count("syncnode_dns_failed_total", error=type(error).__name__)
                self._log.warn("dns_sync_failed", reason=error, height=self._chain.height)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._keys.check_interval)

    async def check(self) -> int:
        """Sync where a server is higher, and still is a moment later; return how many blocks were taken in."""
        if not await self._ahead():
            return 0
        await asyncio.sleep(self._keys.recheck)  # gossip may have been about to bring the same
        ahead = await self._ahead()
        began, start, target = time.monotonic(), self._chain.height, max(ahead.values(), default=-1)
        self.syncing = bool(ahead)
        try:
            while ahead and self._chain.height < target and await self._pass(list(ahead)):
                self._gossip.adopt_orphans()
                self._gossip.announce_head()
                ahead = await self._ahead()
        finally:
            self.syncing = False
        got = self._chain.height - start
        if got > 0:
            seconds = time.monotonic() - began
            self._log.info("synced", by="dns", blocks=got, height=self._chain.height, seconds=seconds)
        return got

    async def _ahead(self) -> dict[Server, int]:
        """Return the servers that are higher than this node, and how high they are."""
        self.peers.refill()
        heights = await self.peers.heights()
        if not heights:
            raise RequestFailed("no server said how high it is")
        return {server: height for height, server in heights if height > self._chain.height}

    async def _pass(self, servers: Sequence[Server]) -> int:
        """Take in the next blocks that most of the servers agree on; return how many."""
        hashes, group = await self._agreed(servers)
        if not hashes:
            return 0
        blocks = await self._download(hashes, group)
        got = self._take(blocks)
        self._metrics.count("syncnode_dns_blocks_total", got)
        return got

    async def _agreed(self, servers: Sequence[Server]) -> tuple[list[bytes], list[Server]]:
        """Return the hashes that lead on from our chain, and the servers that name them.

        Where most of the servers have not our head, the last block in common is looked for, and their branch
        is followed until it is longer than ours.
        """
        ancestor, back = self._chain.height, 1
        following, group = await self._most_named(self._chain.hash_at(ancestor), servers)
        while following is None:
            if not ancestor or back > self._chain.max_reorg:
                raise RequestFailed("the servers are on another branch, and it left ours too long ago")
            ancestor, back = max(0, self._chain.height - back), back * 2
            following, group = await self._most_named(self._chain.hash_at(ancestor), servers)
        hashes = list(following)
        while True:
            while hashes and self._chain.hash_at(ancestor + 1) == hashes[0]:
                ancestor += 1
                del hashes[0]
            if hashes and ancestor + len(hashes) > self._chain.height:
                return hashes, group
            last = hashes[-1] if hashes else self._chain.hash_at(ancestor)
            following, group = await self._most_named(last, group)
            if not following:
                return [], group
            hashes += following

    async def _most_named(self, start: bytes, servers: Sequence[Server]) -> tuple[Following, list[Server]]:
        """Ask what follows a block; return what most servers say, and those that say it."""
        if not servers:
            raise RequestFailed("no server is left to ask")
        answers = await asyncio.gather(*(self._following(start, server) for server in servers))
        return largest([answer for answer in answers if answer is not None])

    async def _following(self, start: bytes, server: Server) -> tuple[Following, Server] | None:
        query = Query(BLOCK_HASHES, block_hash=start, size=self._keys.hashes)
        try:
            reply = await server.ask(query)
            return (None if reply.kind == FAIL else _checked(reply, query)), server
        except RequestFailed as error:
            self.peers.drop(server, error)
        except ProtocolError as error:
            self.peers.ban(server, error)
        return None

    async def _download(self, hashes: Sequence[bytes], group: Iterable[Server]) -> list[Block]:
        """Fetch the blocks in tasks, each server one at a time; return those up to the first that nobody gave."""
        size, servers = self._keys.task, list(group)
        tasks = [hashes[at : at + size] for at in range(0, len(hashes), size)]
        done: dict[int, list[Block]] = {}
        for attempt in range(self._keys.retries):
            if attempt:
                await asyncio.sleep(self._keys.recheck)
            todo = deque(number for number in range(len(tasks)) if number not in done)
            ends = await asyncio.gather(*(self._work(server, tasks, todo, done) for server in servers))
            # In the next attempt, what is left goes to those that did not fail.
            servers = [
                s for end in (_DONE, _FAILED) for s, how in zip(servers, ends, strict=True) if how == end
            ]
            if len(done) == len(tasks) or not servers:
                break
        blocks: list[Block] = []
        for number in range(len(tasks)):
            if number not in done:
                break
            blocks += done[number]
        if not blocks:
            raise RequestFailed("no blocks came")
        return blocks

    async def _work(
        self, server: Server, tasks: Sequence[Sequence[bytes]], todo: deque[int], done: dict[int, list[Block]]
    ) -> str:
        """Do tasks until none is left or one fails; return how it ended."""
        while todo:
            number = todo.popleft()
            try:
                done[number] = await self._blocks(server, tasks[number])
            except RequestFailed as error:
                self._log.debug("dns_task_failed", address=server.address, reason=error)
                return _FAILED
            except ProtocolError as error:
                self.peers.ban(server, error)
                return _LIED
        return _DONE

    async def _blocks(self, server: Server, hashes: Sequence[bytes]) -> list[Block]:
        """Fetch all blocks of a task, in as many messages as they need, and check what can be without the chain."""
        blocks: list[Block] = []
        while len(blocks) < len(hashes):
            missing = hashes[len(blocks) :]
            reply = await server.ask(Query(BLOCKS, hashes=tuple(missing), with_signatures=True))
            if reply.kind == FAIL or not reply.payload:
                raise RequestFailed("it has not the blocks that it named")
            if len(reply.payload) > len(missing):
                raise ProtocolError(f"{len(reply.payload)} blocks where {len(missing)} were asked for")
            for item, hash_ in zip(reply.payload, missing, strict=False):
                block = Block.decode(*unsigned(item))
                if block.hash != hash_:
                    raise InvalidBlock(f"block {block.height}: not the one that was asked for")
                self._chain.rules.check(block, time.time())
                blocks.append(block)
        return blocks

    def _take(self, blocks: list[Block]) -> int:
        """Take in what has not come by another way meanwhile."""
        fresh = [block for block in blocks if self._chain.hash_at(block.height) != block.hash]
        try:
            if not fresh:
                return 0
            if fresh[0].parent == self._chain.head.hash:
                return self._chain.extend(fresh)
            return len(fresh) if self._chain.switch(fresh) else 0
        except InvalidBlock as error:
            raise RequestFailed(f"the blocks do not continue the chain: {error}") from None


def largest(answers: Sequence[tuple[Following, Server]]) -> tuple[Following, list[Server]]:
    """Return the answer that most servers give, and who gives it; of as large groups the one that names more."""
    groups: dict[Following, list[Server]] = {}
    for following, server in answers:
        groups.setdefault(following, []).append(server)
    if not groups:
        raise RequestFailed("no server said what follows")
    best = min(groups, key=lambda key: (-len(groups[key]), 1 if key is None else -len(key), key or ()))
    return best, groups[best]


def _checked(reply: Reply, query: Query) -> tuple[bytes, ...]:
    if not 0 < len(reply.payload) <= query.size + 1 or reply.payload[0] != query.block_hash:
        raise ProtocolError("the hashes do not begin with the block asked about")
    if any(len(hash_) != HASH_SIZE for hash_ in reply.payload):
        raise ProtocolError("a hash of the wrong size")
    return reply.payload[1:]
