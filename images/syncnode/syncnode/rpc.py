"""JSON-RPC 2.0 over HTTP POST, and GET /health."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from . import VERSION
from .block import Block
from .chain import Chain
from .config import Config
from .downloader import Downloader
from .faults import Faults, WrongFault
from .gossip import Gossip
from .http import Answer
from .insync import InSync
from .keeper import Keeper
from .metrics import Metrics
from .stacks import stacks
from .streams import Streams
from .swarm import Swarm

_JSON = "application/json"
_MOST_CALLS = 100  # of one batch: each may be answered with far more than it takes to ask


class Parts(Protocol):
    """The parts of a node that calls ask about."""

    ready: bool
    config: Config
    metrics: Metrics
    chain: Chain
    swarm: Swarm
    gossip: Gossip
    streams: Streams
    downloader: Downloader
    keeper: Keeper
    faults: Faults
    insync: InSync

    @property
    def syncing(self) -> bool:
        """Tell whether the node catches up."""
        ...


class BadParamsError(Exception):
    """The parameters of a call are wrong."""


class Rpc:
    """Answers calls about one node."""

    def __init__(self, node: Parts) -> None:
        self._node = node
        self.methods: dict[str, Callable[[list[Any]], object]] = {
            "net_version": lambda _: str(node.config.node.shard + 1),
            "hmyv2_blockNumber": lambda _: node.chain.height,
            "hmyv2_latestHeader": lambda _: header(node.chain.head),
            "hmyv2_getBlockByNumber": self._block,
            "hmyv2_getNodeMetadata": lambda _: self._metadata(),
            "hmyv2_getPeerInfo": lambda _: self._peers(),
            "hmy_inSync": lambda _: node.insync.in_sync(),
            "hmyv2_inSync": lambda _: node.insync.in_sync(),
            "hmyv2_syncing": lambda _: self._syncing(lambda height: height),
            "hmy_syncing": lambda _: self._syncing(hex),
            "eth_syncing": lambda _: self._syncing(hex),
            "debug_setFault": lambda params: self._set_fault(params, 2),
            "debug_clearFault": lambda params: self._set_fault(params, 1),
            "debug_faults": lambda _: node.faults.on,
            "debug_stacks": lambda _: stacks(asyncio.all_tasks()),
        }

    async def route(self, method: str, path: str, body: bytes) -> Answer:
        """Serve one HTTP request."""
        if method == "GET" and path == "/health":
            ready = self._node.ready
            return (200 if ready else 503), _JSON, json.dumps({"ready": ready}).encode()
        if method == "POST" and path == "/":
            return 200, _JSON, await self._post(body)
        return 405 if path in ("/", "/health") else 404, _JSON, b"{}"

    async def _post(self, body: bytes) -> bytes:
        try:
            call = json.loads(body)
        except (ValueError, RecursionError):
            return _error(None, -32700, "the body is no JSON")
        if isinstance(call, list):
            if len(call) > _MOST_CALLS:
                return _error(None, -32600, f"more than {_MOST_CALLS} calls at once")
            return b"[" + b",".join([await self._call(item) for item in call]) + b"]"
        return await self._call(call)

    async def _call(self, call: object) -> bytes:
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _error(None, -32600, "no JSON-RPC call")
        method = self.methods.get(call["method"])
        self._node.metrics.count("hmy_rpc2_request_count", method=call["method"] if method else "unknown")
        if method is None:
            self._node.metrics.count("hmy_rpc2_err_count")
            return _error(call.get("id"), -32601, f"there is no method {call['method']}")
        params = call.get("params") or []
        try:
            result = method(params if isinstance(params, list) else [params])
            if isinstance(result, Awaitable):
                result = await result
        except BadParamsError as error:
            self._node.metrics.count("hmy_rpc2_err_count")
            return _error(call.get("id"), -32602, str(error))
        return json.dumps({"jsonrpc": "2.0", "id": call.get("id"), "result": result}).encode()

    def _block(self, params: list[Any]) -> object:
        number = params[0] if params else None
        if number == "latest":
            number = self._node.chain.height
        if isinstance(number, str):
            try:
                number = int(number, 16 if number.startswith("0x") else 10)
            except ValueError:
                number = None
        if not isinstance(number, int):
            raise BadParamsError('a block number is needed, or "latest"')
        block = self._node.chain.block_at(number)
        return None if block is None else header(block)

    async def _syncing(self, number: Callable[[int], object]) -> object:
        """Return false, or an object with heights written as this version of the interface writes numbers."""
        syncing = await self._node.insync.syncing()
        return False if syncing is None else {key: number(height) for key, height in syncing.items()}

    def _set_fault(self, params: list[Any], count: int) -> object:
        if len(params) != count:
            raise BadParamsError(
                "a fault's name is needed" + (", and its parameters by name" if count == 2 else "")
            )
        faults = self._node.faults
        try:
            if count == 2:
                faults.set(*params)
            else:
                faults.clear(*params)
        except WrongFault as error:
            raise BadParamsError(str(error)) from None
        return faults.on

    def _metadata(self) -> dict[str, object]:
        node = self._node
        known = len(
            set(node.keeper.addresses) | {c.remote.address for c in node.swarm.peers.values() if c.remote}
        )
        connected = len(node.swarm.peers)
        return {
            "version": VERSION,
            "network": node.config.node.network,
            "shard-id": node.config.node.shard,
            "role": node.config.node.role,
            "name": node.config.node.name,
            "peerid": node.swarm.hello.peer_id,
            "current-block-number": node.chain.height,
            "syncing": node.syncing,
            "p2p-connectivity": {
                "total-known-peers": known,
                "connected": connected,
                "not-connected": max(0, known - connected),
            },
            "sync-peers": {f"shard-{node.config.node.shard}": len(node.streams.open)},
            "defects": node.config.defects,
        }

    def _peers(self) -> list[dict[str, object]]:
        node = self._node
        return [
            {
                "id": peer_id,
                "name": connection.remote.name if connection.remote else "",
                "address": connection.remote.address if connection.remote else "",
                "direction": "outbound" if connection.dialled else "inbound",
                "streams": sorted(stream.protocol for stream in connection.streams.values()),
                "sync": peer_id in node.streams.open,
                "height": node.gossip.neighbours[peer_id].height
                if peer_id in node.gossip.neighbours
                else None,
            }
            for peer_id, connection in sorted(node.swarm.peers.items())
        ]


def header(block: Block) -> dict[str, object]:
    """Return what the RPC tells of a block."""
    return {
        "blockNumber": block.height,
        "blockHash": "0x" + block.hash.hex(),
        "parentHash": "0x" + block.parent.hex(),
        "slot": block.slot,
        "proposer": block.proposer,
        "payloadHash": "0x" + block.payload_hash.hex(),
        "size": len(block.payload),
    }


def _error(call_id: object, code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}}).encode()
