"""The messages of the sync protocol, `harmony.stream.sync.message`: sync.proto by hand."""

from __future__ import annotations

from collections.abc import Sequence

from . import wire
from .errors import ProtocolError

BLOCK_NUMBER, BLOCK_HASHES, BLOCKS_BY_NUM, BLOCKS_BY_HASHES = 2, 3, 4, 5
_REQUEST, _RESPONSE = 1, 2
_ERROR = 2  # in a response the error comes first, and the kinds follow one higher

NAMES = {
    BLOCK_NUMBER: "getBlockNumber",
    BLOCK_HASHES: "getBlockHashes",
    BLOCKS_BY_NUM: "getBlocksByNumber",
    BLOCKS_BY_HASHES: "getBlocksByHashes",
}
UNKNOWN = 0
OTHERS = {
    6: "getNodeData",
    7: "getReceipts",
    8: "getAccountRange",
    9: "getStorageRanges",
    10: "getByteCodes",
    11: "getTrieNodes",
    UNKNOWN: "unknown",
}
"""What others may ask and this node has not: accounts, receipts, code, and whatever has been added since."""
_KINDS = range(BLOCK_NUMBER, 12)
_ANSWERS = range(_ERROR, 13)


class Request:
    """One question: kind, and numbers or hashes as the kind needs."""

    __slots__ = ("hashes", "kind", "nums", "req_id")

    def __init__(
        self, kind: int, nums: Sequence[int] = (), hashes: Sequence[bytes] = (), req_id: int = 0
    ) -> None:
        self.kind = kind
        self.nums = tuple(nums)
        self.hashes = tuple(hashes)
        self.req_id = req_id

    def encode(self) -> bytes:
        """Return the whole Message."""
        if self.kind in (BLOCK_HASHES, BLOCKS_BY_NUM):
            body = wire.packed(1, self.nums)
        else:
            body = b"".join(wire.data(1, hash_) for hash_ in self.hashes)
        return wire.data(1, wire.number(1, self.req_id) + wire.data(self.kind, body))


class Response:
    """One answer: an error, or what the kind of request asks for."""

    __slots__ = ("blocks", "error", "hashes", "kind", "number", "req_id", "signatures")

    def __init__(
        self,
        kind: int,
        req_id: int,
        *,
        error: str = "",
        number: int = 0,
        hashes: Sequence[bytes] = (),
        blocks: Sequence[bytes] = (),
        signatures: Sequence[bytes] = (),
    ) -> None:
        self.kind = kind
        self.req_id = req_id
        self.error = error
        self.number = number
        self.hashes = tuple(hashes)
        self.blocks = tuple(blocks)
        self.signatures = tuple(signatures)

    def encode(self) -> bytes:
        """Return the whole Message."""
        if self.error:
            field, body = _ERROR, wire.data(1, self.error.encode())
        else:
            field, body = self.kind + 1, self._body()
        return wire.data(2, wire.number(1, self.req_id) + wire.data(field, body))

    def _body(self) -> bytes:
        if self.kind == BLOCK_NUMBER:
            return wire.number(1, self.number)
        if self.kind == BLOCK_HASHES:
            return b"".join(wire.data(1, hash_) for hash_ in self.hashes)
        return b"".join(wire.data(1, block) for block in self.blocks) + b"".join(
            wire.data(2, signature) for signature in self.signatures
        )


def decode(buffer: bytes) -> Request | Response:
    """Read one Message; ProtocolError where it is none."""
    message = wire.Message(buffer)
    which = message.one_of((_REQUEST, _RESPONSE))
    if which == _REQUEST:
        return _request(wire.Message(message.data(_REQUEST)))
    if which == _RESPONSE:
        return _response(wire.Message(message.data(_RESPONSE)))
    raise ProtocolError("a message that neither asks nor answers")


def _request(message: wire.Message) -> Request:
    kind = message.one_of(_KINDS)
    if kind not in NAMES:
        return Request(kind, req_id=message.number(1))
    body = wire.Message(message.data(kind))
    if kind in (BLOCK_HASHES, BLOCKS_BY_NUM):
        return Request(kind, nums=body.numbers(1), req_id=message.number(1))
    return Request(kind, hashes=body.all(1), req_id=message.number(1))


def _response(message: wire.Message) -> Response:
    req_id = message.number(1)
    field = message.one_of(_ANSWERS)
    kind = field - 1
    if field == _ERROR:
        return Response(UNKNOWN, req_id, error=wire.Message(message.data(field)).text(1) or "unknown error")
    if kind not in NAMES:
        raise ProtocolError("a response of no kind that is asked for")
    body = wire.Message(message.data(field))
    if kind == BLOCK_NUMBER:
        return Response(kind, req_id, number=body.number(1))
    if kind == BLOCK_HASHES:
        return Response(kind, req_id, hashes=body.all(1))
    return Response(kind, req_id, blocks=body.all(1), signatures=body.all(2))
