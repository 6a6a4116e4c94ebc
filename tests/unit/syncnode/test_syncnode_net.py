"""Nets of real processes on loopback: they converge, come back, and refuse what is wrong."""

from __future__ import annotations

import signal

from loopback import until
from prometheus_client.parser import text_string_to_metric_families

VALIDATORS = ["v0", "v1", "v2", "v3"]


def test_validators_and_a_late_node_converge(make_net):
    net = make_net([*VALIDATORS, "late"], VALIDATORS, "block_time = 0.03")
    net.start(*VALIDATORS)
    until(lambda: all(len(net[name].peers()) == 3 for name in VALIDATORS), what="a full mesh")
    until(lambda: net["v0"].height() >= 30, what="blocks are made")
    net.start("late")
    seen = net["v0"].height()
    until(lambda: net["late"].height() >= seen, 20, "the late node catches up")
    until(lambda: net.agree(), 20, "all have the same chain")
    assert "event=synced" in net["late"].log()
    until(lambda: net["late"].height() >= seen + 10, 20, "it stays in step by gossip")
    for node in net.nodes.values():
        assert node.end() == 0
        assert "Traceback" not in node.log()


def test_one_validator_alone_makes_blocks_and_a_follower_has_them(make_net):
    net = make_net(["v0", "f"], ["v0"], "block_time = 0.03")
    net.start()
    until(lambda: net["f"].height() >= 20, what="the follower follows")
    assert net.agree()


def test_the_next_validator_takes_over_from_one_that_is_absent(make_net):
    net = make_net(["v0", "v1"], ["v0", "v1", "absent"], "block_time = 0.03")
    net.start()
    until(lambda: net["v1"].height() >= 20, what="blocks are made without the third")
    assert net.agree()


def test_a_killed_node_keeps_its_chain_and_catches_up(make_net):
    net = make_net(["v0", "v1", "f"], ["v0", "v1"], "block_time = 0.03")
    net.start()
    until(lambda: net["f"].height() >= 20, what="blocks are made")
    height = net["f"].height()
    net["f"].end(signal.SIGKILL)
    until(lambda: net["v0"].height() >= height + 24, what="the others go on")
    net["f"].start()
    until(lambda: net["f"].height() >= height, 20, "the chain is still there")
    until(lambda: net["f"].height() >= net["v0"].height() - 2, 20, "it catches up")
    assert net.agree()
    assert f"height={height - 1} " in net["f"].log() or "event=started" in net["f"].log().split("stopped")[-1]


def test_two_branches_become_one_when_the_parts_meet(make_net):
    names = ["v0", "v1"]
    net = make_net(names, names, "block_time = 0.03")
    for name, other in (("v0", "v1"), ("v1", "v0")):
        config = net[name].home / "config.toml"
        whole = config.read_text()
        apart = whole.replace(f"{net[other].host}:9000", "127.0.0.1:1")
        apart = apart.replace("[log]", '[discovery]\ntimeout = "1s"\n[log]')
        config.write_text(apart)
        net[name].start()
        (net[name].home / "whole").write_text(whole)
    until(lambda: min(net[name].height() for name in names) >= 12, what="each makes a chain of its own")
    assert not net.agree()
    for name in names:
        net[name].end()
        (net[name].home / "config.toml").write_text((net[name].home / "whole").read_text())
        net[name].start()
    until(lambda: net.agree() and net["v0"].height() > 20, 20, "one chain wins")


def line(net, *names):
    """Let each node know only the one after it."""
    for name, known in zip(names, (*names[1:], None), strict=True):
        config = net[name].home / "config.toml"
        peers = f'peers = ["{net[known].host}:9000"]' if known else "peers = []"
        lines = [peers if text.startswith("peers") else text for text in config.read_text().splitlines()]
        config.write_text("\n".join(lines))


def test_a_net_without_its_boot_node_still_finds_peers(make_net):
    net = make_net(["boot", "v0", "f", "g"], ["v0"], "block_time = 0.03\n[discovery]\nhard_low_cap = 2")
    line(net, "g", "f", "v0")
    net.start("v0", "f", "g")
    until(lambda: {peer["name"] for peer in net["g"].peers()} >= {"f", "v0"}, what="g finds v0 through f")


def test_a_boot_node_alone_makes_peers_known_to_each_other(make_net):
    net = make_net(["boot", "a", "b", "c"], ["a"], "block_time = 0.03")
    for name in net.nodes:
        line(net, name)
    net.start()
    until(lambda: all(len(node.peers()) == 3 for node in net.nodes.values()), 20, "a full mesh")


def test_blocks_reach_by_gossip_those_who_know_no_validator(make_net):
    no_sync = "block_time = 0.03\n[discovery]\nsoft_low_cap = 0\nhard_low_cap = 0"
    net = make_net(["boot", "v0", "f", "g"], ["v0"], no_sync)
    line(net, "v0", "f", "g")
    net.start("f", "g")
    until(lambda: net["g"].peers(), what="f and g are connected")
    net.start("v0")
    until(lambda: net["g"].height() >= 10, 20, "the blocks come through f")
    assert [peer["name"] for peer in net["g"].peers()] == ["f"]


def test_metrics_and_rpc_tell_the_same(make_net):
    net = make_net(["v0", "f"], ["v0"], "block_time = 0.03")
    net.start()
    until(lambda: net["f"].height() >= 5, what="blocks are made")
    text = net["f"].get("/metrics", 9900)
    figures = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert abs(figures["syncnode_chain_height"] - net["f"].height()) <= 5
    assert figures["syncnode_peers"] == 1
    assert figures["process_resident_memory_bytes"] > 5e6
    assert figures["hmy_stream_num_streams"] == 1
    meta = net["f"].call("hmyv2_getNodeMetadata")
    assert meta["p2p-connectivity"] == {"total-known-peers": 1, "connected": 1, "not-connected": 0}
    assert meta["sync-peers"] == {"shard-0": 1}
    assert net["f"].get("/health") == '{"ready": true}'
    header = net["f"].call("hmyv2_latestHeader")
    assert header["blockHash"] == net["v0"].hash(header["blockNumber"])
    assert net["f"].call("net_version") == "1"
