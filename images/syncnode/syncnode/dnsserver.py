"""Answers the questions of the legacy sync out of the chain, within the caps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from . import wire
from .chain import Chain
from .config import DnsKeys
from .dnsmessages import (
    BLOCK_HASHES,
    BLOCKS,
    BY_HEIGHT,
    FAIL,
    HEADERS,
    HEIGHT,
    NAMES,
    Query,
    Reply,
    signed,
)
from .metrics import Metrics

Raw = tuple[bytes, bytes]
Key = TypeVar("Key", bytes, int)

_ROOM = 65536
"""Of the largest message, left for what is no block."""


class DnsServer:
    """Makes the reply to a query."""

    def __init__(self, chain: Chain, keys: DnsKeys, metrics: Metrics) -> None:
        self._chain = chain
        self._keys = keys
        self._metrics = metrics

    def answer(self, buffer: bytes) -> bytes:
        """Return the encoded reply to an encoded query; ProtocolError where it is none."""
        return self.reply(Query.decode(buffer)).encode()

    def reply(self, query: Query) -> Reply:
        """Return the reply; it says FAIL where there is nothing to tell, or too much was asked for."""
        self._metrics.count("hmy_dns_server_request_count", method=NAMES.get(query.kind, "unknown"))
        if query.kind == HEIGHT:
            return Reply(height=self._chain.height)
        if query.kind == BLOCK_HASHES:
            return self._hashes(query)
        if query.kind == BLOCKS:
            return self._blocks(query, query.hashes, self._chain.raw_of)
        if query.kind == BY_HEIGHT:
            return self._blocks(query, query.heights, self._chain.raw_at)
        if query.kind == HEADERS:
            return self._headers(query)
        return Reply(kind=FAIL)  # it pushes no new blocks, so there is nothing to register for

    def _hashes(self, query: Query) -> Reply:
        """Name the block asked about, and those that follow it in the chain."""
        start = self._chain.height_of(query.block_hash)
        if start < 0 or not 0 < query.size <= self._keys.hashes:
            return Reply(kind=FAIL)
        last = min(start + query.size, self._chain.height)
        return Reply(tuple(self._chain.hash_at(height) for height in range(start, last + 1)))

    def _headers(self, query: Query) -> Reply:
        if not 0 < len(query.hashes) <= self._keys.hashes:
            return Reply(kind=FAIL)
        found = [self._chain.raw_of(hash_) for hash_ in query.hashes]
        return Reply(tuple(wire.Message(raw[0]).data(1) for raw in found if raw is not None))

    def _blocks(self, query: Query, wanted: Sequence[Key], find: Callable[[Key], Raw | None]) -> Reply:
        """Give blocks up to the first that is missing, as many as one message holds, but at least one."""
        if not 0 < len(wanted) <= self._keys.hashes:
            return Reply(kind=FAIL)
        room, payload = self._keys.max_message - _ROOM, []
        for key in wanted:
            raw = find(key)
            if raw is None or (payload and len(raw[0]) > room):
                break
            room -= len(raw[0])
            payload.append(signed(*raw) if query.with_signatures else raw[0])
        return Reply(tuple(payload)) if payload else Reply(kind=FAIL)
