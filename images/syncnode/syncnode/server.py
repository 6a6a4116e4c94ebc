"""Answers the sync requests of peers out of the chain, within the caps."""

from __future__ import annotations

from collections.abc import Iterable

from .block import HASH_SIZE
from .chain import Chain
from .config import SyncKeys
from .errors import ProtocolError
from .faults import Faults
from .messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_NUM, NAMES, OTHERS, Request, Response


class Server:
    """Makes the response to a request."""

    def __init__(self, chain: Chain, keys: SyncKeys, faults: Faults) -> None:
        self._chain = chain
        self._keys = keys
        self.faults = faults

    def answer(self, request: Request) -> Response:
        """Return the response to a request that was checked, with the faults that are on."""
        return self.faults.reply(request, self._right(request))

    def check(self, request: Request) -> None:
        """Check a request when it comes, before it waits for its turn; ProtocolError where it exceeds a cap."""
        most, what = {
            BLOCK_HASHES: (self._keys.max_hashes, "hashes"),
            BLOCKS_BY_NUM: (self._keys.max_blocks_by_number, "blocks by number"),
        }.get(request.kind, (self._keys.max_blocks_by_hashes, "blocks by hash"))
        count = len(request.nums) + len(request.hashes)
        if count > most:
            raise ProtocolError(f"a request for {count} {what}, above the cap of {most}")
        if any(len(hash_) != HASH_SIZE for hash_ in request.hashes):
            raise ProtocolError("a hash of the wrong size")

    def _right(self, request: Request) -> Response:
        if request.kind not in NAMES:
            return Response(request.kind, request.req_id, error=f"{OTHERS[request.kind]}: not served here")
        if request.kind == BLOCK_NUMBER:
            return Response(request.kind, request.req_id, number=self._chain.height)
        if request.kind == BLOCK_HASHES:
            hashes = [self._chain.hash_at(number) for number in request.nums]
            return Response(request.kind, request.req_id, hashes=hashes)
        if request.kind == BLOCKS_BY_NUM:
            return self._blocks(request, (self._chain.raw_at(number) for number in request.nums))
        return self._blocks(request, (self._chain.raw_of(hash_) for hash_ in request.hashes))

    def _blocks(self, request: Request, found: Iterable[tuple[bytes, bytes] | None]) -> Response:
        """Answer with blocks up to the first that is missing, or until the soft limit is passed."""
        blocks, signatures, size = [], [], 0
        for raw in found:
            if raw is None or size >= self._keys.response_limit:
                break
            blocks.append(raw[0])
            signatures.append(raw[1])
            size += len(raw[0])
        return Response(request.kind, request.req_id, blocks=blocks, signatures=signatures)
