"""The legacy sync: its messages, what a server answers, whom a client asks, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import IMAGE, address, until
from syncnode import dnsmessages
from syncnode.block import Block
from syncnode.chain import Chain
from syncnode.config import DnsKeys
from syncnode.dnsclient import DnsClient, largest
from syncnode.dnslines import Line, Listener
from syncnode.dnsmessages import (
    BLOCK_HASHES,
    BLOCKS,
    BY_HEIGHT,
    FAIL,
    HEADERS,
    HEIGHT,
    REGISTER,
    Query,
    Reply,
)
from syncnode.dnspeers import DnsPeers, wanted
from syncnode.dnsserver import DnsServer
from syncnode.errors import ProtocolError, RequestFailed, StartError
from syncnode.log import Log
from syncnode.metrics import Metrics
from syncnode.rules import Rules
from syncnode.store import Store

RULES = Rules("net", 0, 1, ["a", "b", "c"], 1.0)
BYTES = st.binary(max_size=40)
TEXT = st.text(max_size=20)
QUERY = st.builds(
    Query,
    st.integers(0, 8),
    st.lists(BYTES, max_size=4).map(tuple),
    BYTES,
    BYTES,
    TEXT,
    TEXT,
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 2**64 - 1), max_size=5).map(tuple),
)
REPLY = st.builds(Reply, st.lists(BYTES, max_size=4).map(tuple), st.integers(0, 2), st.integers(0, 2**64 - 1))


# Messages.


@given(QUERY, REPLY)
def test_messages_come_back(query, reply):
    assert Query.decode(query.encode()) == query
    assert Reply.decode(reply.encode()) == reply


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_protocol_error(data):
    for read in (Query.decode, Reply.decode, dnsmessages.unsigned):
        with contextlib.suppress(ProtocolError):
            read(data)


def test_the_bytes_are_those_of_the_service():
    """Field numbers and types, as a client that nobody here wrote sends them."""
    query = Query(BLOCKS, (b"h",), b"p", b"b", "i", "1", 7, True, True, (1, 300))
    assert query.encode().hex() == "08011201681a01702201622a0169320131380740014801520301ac02"
    assert Query(BLOCK_HASHES).encode() == b""
    assert Reply((b"x",), FAIL, 5).encode().hex() == "0a017810011805"


# The server.


def make_chain(path: Path) -> Chain:
    return Chain(Store(path, RULES.genesis), RULES)


def branch(parent: Block, slots) -> list[Block]:
    blocks = []
    for slot in slots:
        parent = RULES.propose(RULES.proposer(slot), parent, slot, 100)
        blocks.append(parent)
    return blocks


def chain_of(path: Path, blocks: list[Block]) -> Chain:
    chain = make_chain(path)
    chain.extend(blocks)
    return chain


@pytest.fixture(scope="module")
def blocks() -> list[Block]:
    """A hundred blocks, from genesis on."""
    return branch(RULES.genesis, range(1, 101))


def test_a_server_tells_height_hashes_headers_and_blocks(tmp_path, blocks):
    chain, metrics = chain_of(tmp_path / "log", blocks[:20]), Metrics()
    server = DnsServer(chain, DnsKeys(), metrics)
    assert server.reply(Query(HEIGHT)).height == 20
    hashes = server.reply(Query(BLOCK_HASHES, block_hash=blocks[14].hash, size=30)).payload
    assert hashes == tuple(block.hash for block in blocks[14:20])
    assert server.reply(Query(BLOCK_HASHES, block_hash=blocks[19].hash, size=30)).payload == (
        blocks[19].hash,
    )
    plain = server.reply(Query(BLOCKS, hashes=(blocks[3].hash, blocks[4].hash))).payload
    assert plain == (blocks[3].body(), blocks[4].body())
    signed = server.reply(Query(BY_HEIGHT, heights=(4,), with_signatures=True)).payload
    assert dnsmessages.unsigned(signed[0]) == (blocks[3].body(), blocks[3].signature)
    assert server.reply(Query(HEADERS, hashes=(blocks[3].hash,))).payload == (blocks[3].header,)
    assert 'hmy_dns_server_request_count{method="block_height"} 1' in metrics.text()
    assert 'hmy_dns_server_request_count{method="block_hashes"} 2' in metrics.text()


def test_a_server_says_no_to_what_it_has_not_and_to_too_much(tmp_path, blocks):
    server = DnsServer(chain_of(tmp_path / "log", blocks[:20]), DnsKeys(), Metrics())
    assert server.reply(Query(BLOCK_HASHES, block_hash=blocks[30].hash, size=30)).kind == FAIL
    assert server.reply(Query(BLOCK_HASHES, block_hash=blocks[3].hash, size=31)).kind == FAIL
    assert server.reply(Query(BLOCK_HASHES, block_hash=b"", size=3)).kind == FAIL
    assert server.reply(Query(BLOCKS, hashes=(blocks[30].hash,))).kind == FAIL
    assert server.reply(Query(BLOCKS, hashes=tuple(block.hash for block in blocks[:31]))).kind == FAIL
    assert server.reply(Query(REGISTER)).kind == FAIL


def test_a_reply_holds_as_many_blocks_as_a_message_does(tmp_path, blocks):
    keys = DnsKeys(max_message=65536 + 2 * len(blocks[0].body()) + 20)
    server = DnsServer(chain_of(tmp_path / "log", blocks[:20]), keys, Metrics())
    assert len(server.reply(Query(BLOCKS, hashes=tuple(b.hash for b in blocks[:5]))).payload) == 2


# Whom a client asks.


class Fake:
    """A server of the legacy sync, in this process: one that tells its chain, or does not."""

    def __init__(self, address: str, chain: Chain | None = None) -> None:
        self.address, self.chain = address, chain
        self.asked: list[int] = []
        self.failures = 0

    async def ask(self, query: Query) -> Reply:
        self.asked.append(query.kind)
        await asyncio.sleep(0)
        if self.chain is None or (self.failures and query.kind == BLOCKS):
            self.failures -= 1
            raise RequestFailed(f"{self.address}: does not answer")
        return self.answer(query)

    def answer(self, query: Query) -> Reply:
        return DnsServer(self.chain, DnsKeys(), Metrics()).reply(query)

    async def close(self) -> None:
        pass


class Liar(Fake):
    """Sends other blocks than it was asked for."""

    def answer(self, query: Query) -> Reply:
        if query.kind != BLOCKS:
            return super().answer(query)
        block = self.chain.block_at(1)
        return Reply((dnsmessages.signed(block.body(), block.signature),))


def peers_of(fakes: list[Fake], seed: int = 1) -> DnsPeers:
    by_address = {fake.address: fake for fake in fakes}
    return DnsPeers(
        by_address, DnsKeys(recheck=0.001), by_address.__getitem__, Log("error"), random.Random(seed)
    )


def test_half_of_the_servers_are_kept_but_three_to_five():
    assert [wanted(count, DnsKeys()) for count in (1, 2, 3, 6, 8, 10, 40)] == [1, 2, 3, 3, 4, 5, 5]


def test_which_servers_are_kept_is_by_chance():
    fakes = [Fake(str(number)) for number in range(12)]
    chosen = set()
    for seed in range(30):
        peers = peers_of(fakes, seed)
        peers.refill()
        assert len(peers.kept) == 5
        chosen |= {server.address for server in peers.kept}
    assert len(chosen) == 12


def test_others_take_the_place_of_servers_that_fail(tmp_path, blocks):
    chain = chain_of(tmp_path / "log", blocks[:7])
    fakes = [Fake(str(number), chain if number < 3 else None) for number in range(6)]

    async def story() -> None:
        for seed in range(10):
            peers = peers_of(fakes, seed)
            for _ in range(2):
                assert await peers.highest() in (-1, 7)
            assert await peers.highest() == 7
            assert len([server for server in peers.kept if server.chain is not None]) >= 2

    asyncio.run(story())


def test_a_server_that_failed_is_asked_again_where_there_is_no_other(tmp_path, blocks):
    fake = Fake("only")

    async def story() -> None:
        peers = peers_of([fake])
        assert await peers.highest() == -1
        fake.chain = chain_of(tmp_path / "log", blocks[:3])
        assert await peers.highest() == 3

    asyncio.run(story())


def test_the_largest_group_counts():
    one, two, three, four = (Fake(name) for name in "abcd")
    x, y, z = (b"x",), (b"y", b"z"), None
    assert largest([(x, one), (y, two), (x, three)]) == (x, [one, three])
    assert largest([(x, one), (y, two)]) == (y, [two])
    assert largest([(z, one), (x, two)]) == (x, [two])
    assert largest([(z, one), (z, two), (x, three), (y, four)]) == (z, [one, two])
    with pytest.raises(RequestFailed):
        largest([])


# What a client makes of it.


class NoGossip:
    """Nobody to tell."""

    def adopt_orphans(self) -> None:
        pass

    def announce_head(self) -> None:
        pass


def sync(chain: Chain, *fakes: Fake) -> int:
    keys = DnsKeys(recheck=0.001)
    client = DnsClient(chain, peers_of(list(fakes)), NoGossip(), keys, Log("error"), Metrics())

    async def check() -> int:
        async with asyncio.timeout(20):
            return await client.check()

    return asyncio.run(check())


def test_a_client_gets_all_blocks_from_all_that_have_them(tmp_path, blocks):
    source, ours = chain_of(tmp_path / "source", blocks), make_chain(tmp_path / "ours")
    fakes = [Fake(str(number), source) for number in range(3)]
    assert sync(ours, *fakes) == 100
    assert ours.head.hash == blocks[-1].hash
    assert all(fake.asked.count(BLOCKS) >= 4 for fake in fakes)
    assert sync(ours, *fakes) == 0


def test_servers_of_different_heights_bring_the_client_to_the_highest(tmp_path, blocks):
    ours = make_chain(tmp_path / "ours")
    fakes = [Fake(str(height), chain_of(tmp_path / str(height), blocks[:height])) for height in (40, 99, 100)]
    assert sync(ours, *fakes) == 100


def test_a_task_that_fails_is_done_again(tmp_path, blocks):
    fake = Fake("a", chain_of(tmp_path / "source", blocks[:10]))
    fake.failures = 9
    assert sync(make_chain(tmp_path / "ours"), fake) == 10


def test_ten_attempts_are_enough(tmp_path, blocks):
    fake = Fake("a", chain_of(tmp_path / "source", blocks[:5]))
    fake.failures = 10
    with pytest.raises(RequestFailed, match="no blocks came"):
        sync(make_chain(tmp_path / "ours"), fake)


def test_a_server_that_lies_is_asked_no_more_and_the_others_serve(tmp_path, blocks):
    source, ours = chain_of(tmp_path / "source", blocks[:50]), make_chain(tmp_path / "ours")
    liar = Liar("liar", source)
    fakes = [liar, Fake("a", source), Fake("b", source)]
    assert sync(ours, *fakes) == 50
    assert liar.asked.count(BLOCKS) == 1
    assert ours.head.hash == blocks[49].hash


def test_a_server_that_lied_is_asked_again_in_the_end(monkeypatch):
    """It may have been this node's clock that was wrong."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("time.monotonic", lambda: clock.now)
    peers = peers_of([Fake("only")])
    peers.refill()
    peers.ban(peers.kept[0], "a lie")
    peers.refill()
    assert peers.kept == []
    clock.now += DnsKeys().ban
    peers.refill()
    assert len(peers.kept) == 1


def test_blocks_that_break_the_rules_are_not_taken_in(tmp_path, blocks):
    far = RULES.slot(time.time()) + 1000
    future = branch(blocks[4], range(far, far + 3))
    source, ours = chain_of(tmp_path / "source", [*blocks[:5], *future]), make_chain(tmp_path / "ours")
    with contextlib.suppress(RequestFailed):
        sync(ours, Fake("a", source))
    assert ours.height <= 5


@pytest.mark.parametrize("depth", [1, 2, 3, 7, 40])
def test_a_client_on_a_branch_of_its_own_takes_the_longer_one(tmp_path, blocks, depth):
    """However long ago it left the others', even if more hashes ago than one query brings."""
    own = branch(blocks[19], range(200, 200 + depth))
    ours, source = chain_of(tmp_path / "ours", [*blocks[:20], *own]), chain_of(tmp_path / "source", blocks)
    assert sync(ours, Fake("a", source), Fake("b", source)) > 0
    assert ours.head.hash == blocks[-1].hash


def test_a_client_stays_with_most_of_the_servers(tmp_path, blocks):
    other = branch(RULES.genesis, range(200, 290))
    ours = make_chain(tmp_path / "ours")
    most, few = chain_of(tmp_path / "most", blocks[:80]), chain_of(tmp_path / "few", other)
    fakes = [Fake("a", most), Fake("b", most), Fake("c", few)]
    keys = DnsKeys(recheck=0.001)
    client = DnsClient(ours, peers_of(fakes), NoGossip(), keys, Log("error"), Metrics())

    async def one_pass() -> None:
        await client._pass(fakes)

    asyncio.run(one_pass())
    assert ours.head.hash == blocks[29].hash


# By gRPC.


def test_questions_and_answers_go_by_grpc(tmp_path, blocks):
    chain, keys = chain_of(tmp_path / "log", blocks[:20]), DnsKeys(timeout=3, reconnect_max=0.2)

    async def story() -> None:
        where = f"{address()}:6000"
        listener = Listener(DnsServer(chain, keys, Metrics()).answer, keys.max_message)
        line = Line(where, keys)
        with pytest.raises(RequestFailed, match="UNAVAILABLE"):
            await line.ask(Query(HEIGHT))
        await listener.listen(where)
        with pytest.raises(StartError, match=r"dns\.port"):
            await Listener(lambda raw: raw, keys.max_message).listen(where)
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(RequestFailed):
                    assert await line.ask(Query(HEIGHT)) == Reply(height=20)
                    break
                await asyncio.sleep(0.05)
        reply = await line.ask(Query(BLOCKS, hashes=(blocks[3].hash,), with_signatures=True))
        assert dnsmessages.unsigned(reply.payload[0])[0] == blocks[3].body()
        with pytest.raises(grpc_error(), match="a number is cut off"):
            await line._call(b"\x08")
        await line.close()
        await listener.close()

    asyncio.run(story())


def grpc_error() -> type[Exception]:
    import grpc.aio

    return grpc.aio.AioRpcError


def test_a_node_that_lacks_grpc_says_what_to_do(tmp_path):
    """And one that does not use it does not load it."""
    (tmp_path / "grpc.py").write_text("raise ImportError('not here')\n")
    host = address()
    config = (
        f'[p2p]\nlisten = "{host}:9000"\n[rpc]\nlisten = "{host}:9500"\n[metrics]\nlisten = "{host}:9900"\n'
    )
    for key in ("server = true", 'client = true\npeers = ["127.0.0.1:6000"]'):
        (tmp_path / "config.toml").write_text(f"{config}[dns]\n{key}\n")
        done = subprocess.run(
            [sys.executable, IMAGE / "bin" / "syncnode", "--home", tmp_path],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert done.returncode == 1
        assert f"dns.{key.split()[0]}: needs the package grpcio" in done.stderr
        assert "pip install grpcio" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_node_without_streams_and_gossiped_blocks_catches_up_by_grpc(make_net):
    net = make_net(["v0", "v1", "late"], ["v0", "v1"], "block_time = 0.05")
    servers = [f"{net[name].host}:6000" for name in ("v0", "v1")]
    for name in ("v0", "v1"):
        extend(net[name], "[dns]\nserver = true\n")
    extend(
        net["late"],
        f'[dns]\nclient = true\npeers = {servers}\ncheck_interval = "5s"\n[sync]\nenabled = false\n'
        "[gossip]\nblocks = false\n",
    )
    net.start("v0", "v1")
    until(lambda: net["v0"].height() >= 60, what="blocks are made")
    assert net["v0"].call("hmyv2_inSync") is True
    assert net["v0"].call("eth_syncing") is False
    net.start("late")
    until(lambda: net["late"].height() >= net["v0"].height() - 12, 20, "the late node catches up")
    until(net.agree, 10, "all have the same chain")
    until(lambda: net["late"].call("hmyv2_inSync"), 10, "it says so")
    assert net["late"].call("hmyv2_getNodeMetadata")["sync-peers"] == {"shard-0": 0}
    assert "by=dns" in net["late"].log()
    counts = [net[name].get("/metrics", 9900) for name in ("v0", "v1")]
    assert all('hmy_dns_server_request_count{method="block"}' in text for text in counts)
    for node in net.nodes.values():
        assert node.end() == 0
        assert "Traceback" not in node.log()


def test_a_node_without_gossiped_blocks_catches_up_by_streams_of_a_node_that_only_serves(make_net):
    net = make_net(["v0", "f"], ["v0"], "block_time = 0.05")
    extend(net["v0"], "[sync]\ndownloader = false\n")
    extend(net["f"], "[gossip]\nblocks = false\n")
    net.start("v0")
    until(lambda: net["v0"].height() >= 40, what="blocks are made")
    net.start("f")
    until(lambda: net["f"].height() >= net["v0"].height() - 10, 20, "the follower catches up")
    until(lambda: net["f"].call("hmyv2_inSync"), 10, "it says so")
    assert "hmy_downloader_" in net["f"].get("/metrics", 9900)
    assert "hmy_downloader_" not in net["v0"].get("/metrics", 9900)
    assert 'syncnode_gossip_sent_total{kind="want"}' not in net["f"].get("/metrics", 9900)


def test_a_node_with_no_sync_at_all_lags_and_says_so(make_net):
    net = make_net(["v0", "f"], ["v0"], "block_time = 0.05")
    extend(net["f"], "[sync]\nenabled = false\n[gossip]\nblocks = false\n")
    net.start()
    until(lambda: net["v0"].height() >= 30, what="blocks are made")
    assert net["f"].height() == 0
    assert net["f"].call("hmy_inSync") is False
    syncing = net["f"].call("hmyv2_syncing")
    assert (syncing["startingBlock"], syncing["currentBlock"]) == (0, 0)
    assert syncing["highestBlock"] >= 30
    assert int(net["f"].call("eth_syncing")["highestBlock"], 16) >= 30


def extend(node, text: str) -> None:
    config = node.home / "config.toml"
    config.write_text(config.read_text() + text)
