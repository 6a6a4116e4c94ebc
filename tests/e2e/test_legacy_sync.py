"""Old and new sync in one net: each brings its node to the tip, and both nodes say honestly whether they are there."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from contract.nets import live, plan_text, status, until

from stressnet.backends.base import Backend
from stressnet.engine.faults import Wish, add, heal
from stressnet.engine.forward import listen
from stressnet.spec.targets import Targets

pytestmark = pytest.mark.usefixtures("state_home")

LATE = "start: {height: 30, of: validator}"
NET = f"""\
name: contract-legacy
defaults: {{kind: syncnode, config: {{chain.block_time: 200ms}}}}
nodes:
  validator: {{count: 2, ports: {{p2p-dns: 6000/tcp}}, config: {{dns.server: true}}}}
  streams: {{{LATE}, config: {{gossip.blocks: false}}}}
  grpc:
    {LATE}
    config:
      gossip.blocks: false
      sync.enabled: false
      dns: {{client: true, peers: "{{knows:p2p-dns}}"}}
"""
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

TOLERANCE = 10
KEPT = 8
"""Blocks of the 1.2 s for which a node that is no validator keeps what servers said, and of the asking."""


class Node:
    """The JSON-RPC and the metrics of one node, over a connection each: in containers a new one takes long."""

    def __init__(self, rpc: Connection, metrics: Connection) -> None:
        self._rpc, self._metrics = rpc, metrics

    async def call(self, method: str, *params: object) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = json.loads(await ask(self._rpc, "POST /", body))
        assert "error" not in answer, answer
        return answer["result"]

    async def height(self) -> int:
        return int(await self.call("hmyv2_blockNumber"))

    async def hash(self, height: int) -> str:
        return str((await self.call("hmyv2_getBlockByNumber", height))["blockHash"])

    async def counted(self, name: str) -> float:
        """Return the sum of a counter over its labels."""
        lines = (await ask(self._metrics, "GET /metrics", "")).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def ask(connection: Connection, what: str, body: str) -> str:
    reader, writer = connection
    writer.write(f"{what} HTTP/1.1\r\nHost: node\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    size = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
    return (await reader.readexactly(size)).decode()


async def reach(net: Backend, names: tuple[str, ...], stack: AsyncExitStack) -> dict[str, Node]:
    """Return nodes by name, for as long as the stack stands."""
    nodes = {}
    for name in names:
        connections = []
        for port in (9500, 9900):
            server = await stack.enter_async_context(
                await listen(net, 0, print, "dial", node=name, port=port)
            )
            connections.append(await asyncio.open_connection(*server.sockets[0].getsockname()))
            stack.callback(connections[-1][1].close)
        nodes[name] = Node(*connections)
    return nodes


async def honest(node: Node, tip: Node) -> bool:
    """Ask whether a node is in sync, fail where that is not so, and return what it said."""
    own_before, tip_before = await node.height(), await tip.height()
    said = await node.call("hmyv2_inSync")
    own, highest = await node.height(), await tip.height()
    if said:
        assert tip_before - own <= TOLERANCE + KEPT, f"in sync at {own}, where the tip was {tip_before}"
    else:
        assert highest - own_before > TOLERANCE - KEPT, f"not in sync at {own_before}, the tip is {highest}"
    return bool(said)


def test_both_syncs_reach_the_tip_and_say_so(backend: str, tmp_path: Path) -> None:
    """Without blocks by gossip, one node syncs by streams alone and one by gRPC alone; what spoils streams leaves gRPC
    alone, and the node that it holds back says that it lags until it has caught up."""
    plan = plan_text(tmp_path, NET, backend)
    names = ("validator-1", "validator-2", "streams", "grpc")

    async def story() -> None:
        async with live(plan) as net, AsyncExitStack() as stack:

            async def ready() -> bool:
                return all(node.state == "ready" for node in (await status(plan, net)).nodes)

            await until(ready, 40)
            nodes = await reach(net, names, stack)
            tip, streams, grpc = nodes["validator-1"], nodes["streams"], nodes["grpc"]

            async def in_sync(node: Node) -> bool:
                return await honest(node, tip)

            await until(lambda: in_sync(streams))
            assert await streams.call("hmyv2_syncing") is False
            await until(lambda: in_sync(grpc))
            assert await grpc.call("eth_syncing") is False

            wish = Wish("stream_error", ("probability=100%",), Targets(on="validator"), 0)
            fault, _ = await add(net, plan, wish, 1)
            held = await streams.height()

            async def lags() -> bool:
                return not await in_sync(streams)

            await until(lags)
            behind = await streams.call("hmyv2_syncing")
            assert behind["currentBlock"] - held <= 10
            assert behind["highestBlock"] - behind["currentBlock"] > TOLERANCE
            before = await grpc.height()

            async def goes_on() -> bool:
                return await grpc.height() > before + 20

            await until(goes_on)
            said = {await in_sync(grpc) for _ in range(100) if not await asyncio.sleep(0.08)}
            assert said == {True, False}, "between two comparisons of heights it falls behind, and says so"
            assert await streams.height() - held <= 10
            await heal(net, [fault.id], everything=False)
            await until(lambda: in_sync(streams))

            common = min([await node.height() for node in nodes.values()])
            assert len({await node.hash(common) for node in nodes.values()}) == 1
            assert await grpc.counted("hmy_stream_added_streams") == 0
            assert await streams.counted("syncnode_dns_blocks_total") == 0
            for name in ("validator-1", "validator-2"):
                assert await nodes[name].counted('hmy_dns_server_request_count{method="block"}') > 0

    asyncio.run(story())
