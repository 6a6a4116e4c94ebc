"""A peer that lies is refused and dropped, and the chain stays what it was."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import resource
import time

import pytest
from loopback import address, until
from syncnode import frames, wire
from syncnode.block import Block
from syncnode.config import P2PKeys
from syncnode.discovery import Record
from syncnode.framing import Framed
from syncnode.identity import peer_id
from syncnode.log import Log
from syncnode.messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_NUM, NAMES, Request, Response, decode
from syncnode.metrics import Metrics
from syncnode.rules import Rules
from syncnode.stream import Stream
from syncnode.swarm import Swarm


def rogue(rules: Rules) -> Swarm:
    keys = P2PKeys(listen=f"{address()}:9000")
    hello = frames.Hello(peer_id(5, "rogue"), "rogue", keys.listen, rules.genesis.hash, 1, 0)
    return Swarm(keys, hello, Log("error"), Metrics(), random.Random(1))


def changed(block: Block, payload: bytes) -> Block:
    """Return the block with another payload under the same header."""
    return Block(block.header, payload, block.signature)


def now_slot(rules: Rules, name: str) -> int:
    slot = rules.slot(time.time())
    return next(n for n in range(slot, slot - 10, -1) if rules.proposer(n) == name)


def bad_blocks(rules: Rules) -> dict[str, Block]:
    slot = now_slot(rules, "v0")
    good = rules.propose("v0", rules.genesis, slot, 10)
    forged = rules.propose("v0", rules.genesis, slot, 10)
    forged.signature = bytes(32)
    return {
        "payload": changed(good, b"other"),
        "signature": forged,
        "turn": rules.propose("v1", rules.genesis, slot, 10),
        "future": rules.propose("v0", rules.genesis, slot + 200, 10),
    }


@pytest.mark.parametrize("fault", ["payload", "signature", "turn", "future"])
def test_a_bad_block_by_gossip_is_refused_and_its_peer_dropped(make_net, fault):
    net = make_net(["f"], ["v0", "v1"])
    net.start()
    until(lambda: net["f"].height() == 0, what="the node runs")
    rules = Rules("localnet", 0, 5, ["v0", "v1"], 1.0)

    async def lie() -> None:
        swarm = rogue(rules)
        swarm.handlers[rules.protocol("sync")] = lambda stream: None
        connection = await swarm.dial(f"{net['f'].host}:9000")
        gossip = Framed(await connection.open(rules.protocol("gossip"), 2), 1 << 20)
        block = bad_blocks(rules)[fault]
        await gossip.send(wire.data(2, wire.data(1, block.body()) + wire.data(2, block.signature)))
        async with asyncio.timeout(3):
            while not connection.closed:  # noqa: ASYNC110 (there is no event for what the far end does)
                await asyncio.sleep(0.01)
        assert connection.close_code == frames.BAD_DATA
        swarm.close()

    asyncio.run(lie())
    assert net["f"].height() == 0
    assert net["f"].peers() == []
    assert "syncnode_peers_dropped_total 1" in net["f"].get("/metrics", 9900)
    assert fault in net["f"].log()


def test_a_good_block_by_gossip_is_taken_in(make_net):
    net = make_net(["f"], ["v0", "v1"])
    net.start()
    until(lambda: net["f"].height() == 0, what="the node runs")
    rules = Rules("localnet", 0, 5, ["v0", "v1"], 1.0)

    async def tell() -> None:
        swarm = rogue(rules)
        connection = await swarm.dial(f"{net['f'].host}:9000")
        gossip = Framed(await connection.open(rules.protocol("gossip"), 2), 1 << 20)
        block = rules.propose("v0", rules.genesis, now_slot(rules, "v0"), 10)
        await gossip.send(wire.data(2, wire.data(1, block.body()) + wire.data(2, block.signature)))
        await asyncio.to_thread(until, lambda: net["f"].height() == 1, 3, "the block is taken in")
        swarm.close()

    asyncio.run(tell())


def test_bad_blocks_by_sync_are_refused_and_an_honest_peer_serves(make_net):
    net = make_net(["v0", "f"], ["v0"], "block_time = 0.03")
    net.start("v0")
    until(lambda: net["v0"].height() >= 30, what="blocks are made")
    net["v0"].end()
    rules = Rules("localnet", 0, 5, ["v0"], 0.03)

    async def lie() -> None:
        swarm = rogue(rules)
        tasks: list[asyncio.Future[None]] = []
        asked: list[str] = []

        async def serve(stream: Stream) -> None:
            framed = Framed(stream, 1 << 20)
            try:
                while True:
                    request = decode(await framed.receive())
                    if isinstance(request, Request):
                        asked.append(NAMES[request.kind])
                        await framed.send(false_answer(rules, request).encode())
            except Exception:
                return

        def accept(stream: Stream) -> None:
            tasks.append(asyncio.ensure_future(serve(stream)))

        swarm.handlers[rules.protocol("sync")] = accept
        swarm.handlers[rules.protocol("gossip")] = lambda stream: None
        await swarm.listen()
        config = net["f"].home / "config.toml"
        config.write_text(config.read_text().replace("peers = [", f'peers = ["{swarm.keys.listen}", '))
        net.start("f")
        await asyncio.to_thread(
            until, lambda: "event=peer_dropped" in net["f"].log(), 5, "the liar is dropped"
        )
        net.start("v0")
        await asyncio.to_thread(until, lambda: net["f"].height() >= 30, 8, "the honest peer serves")
        assert "getBlocksByNumber" in asked
        swarm.close()
        for task in tasks:
            await task

    asyncio.run(lie())
    assert net.agree()


def false_answer(rules: Rules, request: Request) -> Response:
    """Claim a long chain and send blocks of it that nobody signed."""
    if request.kind == BLOCK_NUMBER:
        return Response(request.kind, request.req_id, number=1000)
    if request.kind == BLOCK_HASHES:
        hashes = [rules.genesis.hash if n == 0 else bytes(32) for n in request.nums]
        return Response(request.kind, request.req_id, hashes=hashes)
    blocks = [Block.build(n, n, bytes(32), "v0", b"false") for n in request.nums]
    return Response(
        request.kind,
        request.req_id,
        blocks=[b.body() for b in blocks],
        signatures=[bytes(32) for _ in blocks],
    )


def test_a_height_beyond_reason_is_not_planned_for(make_net):
    """However high a peer says that it is, a node needs no more memory for it."""
    net = make_net(["f"], ["v0"])
    rules = Rules("localnet", 0, 5, ["v0"], 1.0)
    asked: list[int] = []

    async def lie() -> None:
        swarm = rogue(rules)
        tasks: list[asyncio.Future[None]] = []

        async def serve(stream: Stream) -> None:
            framed = Framed(stream, 1 << 20)
            with contextlib.suppress(Exception):
                while True:
                    request = decode(await framed.receive())
                    assert isinstance(request, Request)
                    asked.append(request.kind)
                    if request.kind == BLOCK_NUMBER:
                        await framed.send(Response(request.kind, request.req_id, number=1 << 40).encode())
                    elif request.kind == BLOCK_HASHES:
                        hashes = [rules.genesis.hash if n == 0 else b"" for n in request.nums]
                        await framed.send(Response(request.kind, request.req_id, hashes=hashes).encode())

        swarm.handlers[rules.protocol("sync")] = lambda stream: tasks.append(
            asyncio.ensure_future(serve(stream))
        )
        swarm.handlers[rules.protocol("gossip")] = lambda stream: None
        await swarm.listen()
        config = net["f"].home / "config.toml"
        config.write_text(config.read_text().replace("peers = [", f'peers = ["{swarm.keys.listen}", '))
        net.start("f")
        resource.prlimit(net["f"].process.pid, resource.RLIMIT_AS, (2 << 30, 2 << 30))
        await asyncio.to_thread(until, lambda: BLOCKS_BY_NUM in asked, 20, "it asks for blocks")
        swarm.close()
        for task in tasks:
            await task

    asyncio.run(lie())
    assert net["f"].height() == 0


def test_an_address_that_is_none_is_not_dialled_and_rubbish_for_addresses_has_its_peer_dropped(make_net):
    net = make_net(["f"], ["v0"])
    rules = Rules("localnet", 0, 5, ["v0"], 1.0)
    addresses = [
        "",
        "nowhere",
        "127.0.0.1:0x50",
        "127.0.0.1:99999",
        "127.0.0.1:-1",
        "a\0b:1",
        f"{'x' * 900}:1",
        ":",
    ]

    async def mislead() -> None:
        swarm = rogue(rules)
        tasks: list[asyncio.Future[None]] = []
        answers = [Record(f"Qm{n}", "no one", address).encode() for n, address in enumerate(addresses)]

        async def answer(stream: Stream) -> None:
            framed = Framed(stream, 1 << 20)
            with contextlib.suppress(Exception):
                await framed.receive()
                await framed.send(wire.data(1, answers.pop(0) if answers else b"\xff"))
                stream.close()

        swarm.handlers[rules.protocol("disc")] = lambda stream: tasks.append(
            asyncio.ensure_future(answer(stream))
        )
        swarm.handlers[rules.protocol("sync")] = lambda stream: None
        net["f"].start()
        await asyncio.to_thread(until, lambda: net["f"].height() == 0, what="the node runs")
        connection = await swarm.dial(f"{net['f'].host}:9000")
        await connection.open(rules.protocol("gossip"), 2)
        await asyncio.to_thread(
            until, lambda: "event=peer_dropped" in net["f"].log(), 20, "rubbish is refused"
        )
        swarm.close()
        for task in tasks:
            await task

    config = net["f"].home / "config.toml"
    config.write_text(config.read_text() + '[discovery]\ncheck_interval = "1s"\n')
    asyncio.run(mislead())
    assert net["f"].height() == 0
    assert net["f"].log().count("event=dial_failed") >= len(addresses)


@pytest.mark.parametrize("serves", [False, True], ids=["gossip only", "silent on sync"])
def test_a_tip_that_nobody_delivers_stops_no_validator(make_net, serves):
    """It is believed for a while; then blocks are made again, whatever the peer goes on to claim."""
    patience = '[gossip]\npatience = "20s"'
    net = make_net(["v0"], ["v0"], f"block_time = 0.03\n{patience}")
    net.start()
    until(lambda: net["v0"].height() >= 3, what="blocks are made")
    rules = Rules("localnet", 0, 5, ["v0"], 0.03)

    async def lie() -> None:
        swarm = rogue(rules)
        tasks: list[asyncio.Future[None]] = []

        async def serve(stream: Stream) -> None:
            framed = Framed(stream, 1 << 20)
            with contextlib.suppress(Exception):
                while True:
                    request = decode(await framed.receive())
                    if isinstance(request, Request) and request.kind == BLOCK_NUMBER:
                        await framed.send(Response(request.kind, request.req_id, number=1 << 40).encode())

        def accept(stream: Stream) -> None:
            if serves:
                tasks.append(asyncio.ensure_future(serve(stream)))

        async def claim() -> None:
            for number in itertools.count():
                tip = wire.number(1, (1 << 40) + number) + wire.data(2, number.to_bytes(32))
                await gossip.send(wire.data(1, tip))
                await asyncio.sleep(0.2)

        swarm.handlers[rules.protocol("sync")] = accept
        connection = await swarm.dial(f"{net['v0'].host}:9000")
        gossip = Framed(await connection.open(rules.protocol("gossip"), 2), 1 << 20)
        claiming = asyncio.ensure_future(claim())
        await asyncio.to_thread(until, lambda: stands(net["v0"]), 10, "the claim is believed at first")
        height = net["v0"].height()
        await asyncio.to_thread(until, lambda: net["v0"].height() > height + 20, 20, "blocks are made again")
        assert not net["v0"].call("hmyv2_getNodeMetadata")["syncing"]
        assert not connection.closed
        claiming.cancel()
        swarm.close()
        for task in tasks:
            await task

    asyncio.run(lie())


def stands(node) -> bool:
    """Tell whether a node makes no blocks for ten slots."""
    before = node.height()
    time.sleep(0.3)
    return node.height() == before
