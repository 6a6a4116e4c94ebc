"""What a node does wrong when it is told to, and what the others make of it: they refuse it, and go on."""

from __future__ import annotations

import json
import random
import urllib.request

import pytest
from loopback import Process, until
from syncnode.block import Block
from syncnode.config import DiscoveryKeys
from syncnode.errors import InvalidBlock
from syncnode.faults import KNOWN, Faults, WrongFault
from syncnode.messages import BLOCK_HASHES, BLOCK_NUMBER, BLOCKS_BY_NUM, Request, Response
from syncnode.metrics import Metrics
from syncnode.rules import Rules

ALWAYS = {"probability": 1.0}


def faults(discovery: DiscoveryKeys | None = None) -> Faults:
    return Faults(discovery or DiscoveryKeys(), Metrics(), random.Random(1))


def test_nothing_is_wrong_by_itself():
    ours, reply = faults(), Response(BLOCK_NUMBER, 7, number=3)
    assert ours.reply(Request(BLOCK_NUMBER, req_id=7), reply) is reply


def test_a_probability_is_a_share_of_replies():
    ours = faults()
    ours.set("stream_error", {"probability": 0.25})
    replies = [ours.reply(Request(BLOCK_NUMBER), Response(BLOCK_NUMBER, 1, number=3)) for _ in range(2000)]
    wrong = sum(bool(reply.error) for reply in replies)
    assert 400 < wrong < 600
    assert f'syncnode_faults_total{{fault="stream_error"}} {wrong}' in ours._metrics.text()


def test_each_fault_spoils_what_it_says_and_nothing_else():
    rules = Rules("net", 0, 1, ["a"], 1.0)
    block = rules.propose("a", rules.genesis, 4, 50)
    hashes = Response(BLOCK_HASHES, 1, hashes=[block.hash, b""])
    blocks = Response(BLOCKS_BY_NUM, 1, blocks=[block.body()], signatures=[block.signature])

    def told(name: str, kind: int, response: Response) -> Response:
        ours = faults()
        ours.set(name, ALWAYS)
        return ours.reply(Request(kind, req_id=1), response)

    assert told("stream_error", BLOCK_HASHES, hashes).error
    assert told("empty_hashes", BLOCK_HASHES, hashes).hashes == (b"", b"")
    assert told("empty_hashes", BLOCKS_BY_NUM, blocks).blocks == blocks.blocks
    other = told("wrong_hash", BLOCK_HASHES, hashes).hashes
    assert other[0] != block.hash
    assert (len(other[0]), other[1]) == (32, b"")
    twice = told("wrong_block_count", BLOCKS_BY_NUM, blocks)
    assert (len(twice.blocks), len(twice.signatures)) == (2, 2)
    forged = Block.decode(told("wrong_hash", BLOCKS_BY_NUM, blocks).blocks[0], block.signature)
    assert forged.height == block.height
    with pytest.raises(InvalidBlock, match="signature"):
        rules.check(forged, now=10)


def test_the_interval_of_discovery_goes_back_to_what_it_was():
    keys, called = DiscoveryKeys(), []
    ours = faults(keys)
    ours.on_interval.append(lambda: called.append(keys.check_interval))
    ours.set("discovery_interval", {"interval": 0.5})
    ours.set("discovery_interval", {"interval": 0.5})
    ours.clear("discovery_interval")
    ours.clear("discovery_interval")
    assert called == [0.5, 30.0]


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("stream_eror", ALWAYS, "no fault is called 'stream_eror'; known: stream_error,"),
        (["stream_error"], ALWAYS, "no fault is called"),
        ("stream_error", {}, "stream_error takes probability"),
        ("stream_error", {**ALWAYS, "delay": 1}, "stream_error takes probability"),
        ("stream_error", {"probability": 1.5}, "from 0 to 1, found 1.5"),
        ("stream_error", {"probability": True}, "found True"),
        ("delay_reply", {**ALWAYS, "delay": float("nan")}, "found nan"),
        ("discovery_interval", {"interval": 0}, "from 0.001"),
        ("stream_error", None, "takes"),
    ],
)
def test_what_is_wrong_with_a_fault_is_said(name, parameters, said):
    ours = faults()
    with pytest.raises(WrongFault) as error:
        ours.set(name, parameters)
    assert said in str(error.value)
    assert ours.on == {}


def refused(node: Process, method: str, *params: object) -> str:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    with urllib.request.urlopen(f"http://{node.host}:9500/", body, timeout=5) as answer:
        return str(json.load(answer)["error"]["message"])


def test_hooks_are_json_rpc_and_say_what_is_on(make_net):
    net = make_net(["f"], [])
    net.start()
    node = net["f"]
    until(lambda: node.height() == 0, what="the node runs")
    assert node.call("debug_faults") == {}
    assert node.call("debug_setFault", "stream_error", {"probability": 0.2}) == {
        "stream_error": {"probability": 0.2}
    }
    assert "no fault is called 'x'; known: " + ", ".join(KNOWN) in refused(node, "debug_setFault", "x", {})
    assert "a fault's name is needed" in refused(node, "debug_clearFault")
    assert node.call("debug_clearFault", "stream_error") == {}


BAD = ["wrong_block_count", "wrong_hash", "truncate_frame"]
"""After these the peer is dropped: it has broken the rules."""


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "discovery_interval"])
def test_what_a_node_answers_wrongly_is_not_taken_in_and_all_come_to_the_same_chain(make_net, name):
    """First a late node has nobody else to ask; then there is an honest peer; then the fault is healed."""
    net = make_net(["v0", "wrong", "late"], ["v0"], "block_time = 0.03")
    for node in net.nodes.values():
        config = node.home / "config.toml"
        config.write_text(config.read_text().replace("[p2p]\n", '[p2p]\nban = "20s"\n'))
    net.start("v0", "wrong")
    until(lambda: net["wrong"].height() >= 40, what="there is a chain")
    net["v0"].end()
    net["wrong"].call("debug_setFault", name, {**ALWAYS, **({"delay": 0.3} if name == "delay_reply" else {})})
    net.start("late")
    metric = f'syncnode_faults_total{{fault="{name}"}}'
    until(lambda: metric in net["wrong"].get("/metrics", 9900), 20, "the fault has hit")
    if name in BAD:
        until(lambda: "event=peer_dropped" in net["late"].log(), 20, "the peer is dropped")
        assert net["late"].height() == 0
    net.start("v0")
    until(lambda: net["late"].height() >= 40, 40, "the honest peer serves")
    net["wrong"].call("debug_clearFault", name)
    height = net["v0"].height()
    until(lambda: min(node.height() for node in net.nodes.values()) >= height + 20, 40, "all go on")
    assert net.agree()
    assert all("Traceback" not in node.log() for node in net.nodes.values())
