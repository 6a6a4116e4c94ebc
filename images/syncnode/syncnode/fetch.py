"""Asking peers for blocks and hashes, and checking what can be checked of the answer without the chain."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from .block import HASH_SIZE, Block
from .errors import InvalidBlock, ProtocolError, RequestFailed
from .messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_HASHES, BLOCKS_BY_NUM, Request, Response
from .requests import Filter, Requests
from .rules import Rules
from .streams import Streams
from .syncstream import SyncStream


class Fetch:
    """Questions to peers whose answers can be used as they come; whoever answers with rubbish is dropped."""

    def __init__(self, requests: Requests, streams: Streams, rules: Rules) -> None:
        self.requests = requests
        self.streams = streams
        self._rules = rules

    async def heights(self, count: int) -> list[tuple[int, SyncStream]]:
        """Ask up to so many different peers for their height."""
        return await self._heights(self.requests.pick(count))

    async def greet(self) -> None:
        """Ask peers for their height that have come since others were asked."""
        strangers = [stream for stream in self.streams.open.values() if stream.height < 0]
        for stream in strangers:
            stream.height = 0
        await self._heights(strangers)

    async def _heights(self, streams: list[SyncStream]) -> list[tuple[int, SyncStream]]:
        answers = await self.requests.ask_each(lambda: Request(BLOCK_NUMBER), streams)
        for response, stream in answers:
            stream.height = response.number
        return [(response.number, stream) for response, stream in answers]

    async def hashes_from_each(
        self, nums: Sequence[int], streams: list[SyncStream], *, urgent: bool = False
    ) -> list[tuple[list[bytes], SyncStream]]:
        """Ask each of several peers for the hashes at some heights; empty where a peer has none."""
        answers = await self.requests.ask_each(lambda: Request(BLOCK_HASHES, nums), streams, urgent=urgent)
        out = []
        for response, stream in answers:
            try:
                out.append((self._hashes(response, len(nums)), stream))
            except ProtocolError as error:
                self.streams.drop(stream, str(error))
        return out

    async def by_number(self, nums: Sequence[int], allow: Filter) -> tuple[list[Block], SyncStream]:
        """Fetch blocks by number; the peer may send fewer, but at least one, and they follow each other."""
        response, stream = await self.requests.ask(Request(BLOCKS_BY_NUM, nums), allow)
        if not response.blocks:
            stream.height = min(stream.height, nums[0] - 1)
            self.streams.broken_promise(stream)

        def expected(place: int, block: Block) -> bool:
            return block.height == nums[place]

        return self._blocks(response, stream, len(nums), expected), stream

    async def by_hashes(self, hashes: Sequence[bytes], allow: Filter) -> tuple[list[Block], SyncStream]:
        """Fetch blocks by hash, ahead of what waits; the peer may send fewer, but at least one, in the order asked."""
        request = Request(BLOCKS_BY_HASHES, hashes=hashes)
        response, stream = await self.requests.ask(request, allow, urgent=True)

        def expected(place: int, block: Block) -> bool:
            return block.hash == hashes[place]

        return self._blocks(response, stream, len(hashes), expected), stream

    def _blocks(
        self, response: Response, stream: SyncStream, most: int, expected: Callable[[int, Block], bool]
    ) -> list[Block]:
        if not response.blocks:
            raise RequestFailed("the peer has none of the blocks")
        stream.promises_broken = 0
        try:
            return self._checked(response, most, expected)
        except ProtocolError as error:
            self.streams.drop(stream, str(error))
            raise RequestFailed(f"the peer sent what is not valid: {error}") from None

    def _checked(self, response: Response, most: int, expected: Callable[[int, Block], bool]) -> list[Block]:
        if not len(response.blocks) == len(response.signatures) <= most:
            raise ProtocolError("the numbers of blocks and signatures do not match the request")
        now, blocks = time.time(), []
        for place, (body, signature) in enumerate(zip(response.blocks, response.signatures, strict=True)):
            block = Block.decode(body, signature)
            if not expected(place, block):
                raise InvalidBlock(f"block {block.height}: not the one that was asked for")
            self._rules.check(block, now)
            blocks.append(block)
        return blocks

    @staticmethod
    def _hashes(response: Response, count: int) -> list[bytes]:
        if len(response.hashes) != count:
            raise ProtocolError(f"{len(response.hashes)} hashes where {count} were asked for")
        if any(len(hash_) not in (0, HASH_SIZE) for hash_ in response.hashes):
            raise ProtocolError("a hash of the wrong size")
        return list(response.hashes)
