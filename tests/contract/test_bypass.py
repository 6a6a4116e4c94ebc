"""Nothing that a node does gets around control: attempts that arrive without a fault, and with one do not."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from contract.attempts import ATTEMPTS, DATAGRAMS, LISTEN, STREAMS
from contract.nets import live, log, plan_text, python_nodes, status, until
from contract.powers import (
    datagram,
    datagram_six,
    hardware,
    heard_at,
    inside,
    ipv6_of,
    mark,
    process_of,
    require_power,
    send_frame,
)
from contract.test_links import call, counts, put
from contract.test_measure import in_router, relay_api
from needs import require_relay

from stressnet.agent import inspection, netlink
from stressnet.agent import nftables as nft
from stressnet.backends.base import Backend
from stressnet.engine.links import look_at_links
from stressnet.plan import Plan

pytestmark = pytest.mark.usefixtures("state_home")

LOOP_S = 10.0
"""How long everything is tried again and again while a fault is on."""
IDLE = "import time\ntime.sleep(600)"


def listening(name: str, backend: str, folder: Path, **groups: str) -> Plan:
    """A net of `b`, which says what arrives, and of others, each with one p2p port."""
    require_relay(backend)
    text = python_nodes(name, {"b": LISTEN, **groups}, extra="ports: {p2p: 7000/tcp}")
    return plan_text(folder, text, backend)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mark that came to `b`."""

    how: str
    name: str
    sent: float
    took: float


async def arrivals(net: Backend, since: float = 0.0) -> list[Arrival]:
    """Return what came to `b` of what was sent after a moment."""
    lines = [line.split() for line in await log(net, "b")]
    found = [Arrival(how, name, float(sent), float(took)) for how, name, sent, took in lines]
    return [one for one in found if one.sent > since]


def tried(lines: Sequence[str], who: str) -> dict[str, int]:
    """Return how often a process of `a` has tried what."""
    last = next((line for line in reversed(lines) if line.startswith(f"{who} ")), f"{who} {{}}")
    return dict(json.loads(last.partition(" ")[2]))


async def one_more(net: Backend, seconds: float, places: Sequence[tuple[str, int]] = ()) -> None:
    """Have one more process try everything, from `exec`, and what listens at more places too."""
    command = ["python3", "-uc", ATTEMPTS, "exec", str(seconds), json.dumps(places)]
    assert await net.execute("a", command) == 0


async def hidden_places(net: Backend) -> list[tuple[str, int]]:
    """Return where relays listen for links, and the codes that they dial for those of `a`."""
    proxies = await relay_api(net, "a", "GET", "/proxies")
    ends = [one[end] for one in proxies.values() for end in ("listen", "upstream")]
    assert ends
    return [(host, int(port)) for host, _, port in (end.rpartition(":") for end in ends)]


@pytest.mark.parametrize(
    ("kind", "given"),
    [("partition", {}), ("stall", {}), ("latency", {"latency": 0.4})],
    ids=lambda one: str(one),
)
def test_nothing_that_a_node_does_gets_around_a_fault(
    backend: str, tmp_path: Path, kind: str, given: dict[str, float]
) -> None:
    """Connections kept over its beginning, other ports, datagrams, other processes: all are hit, and all is counted.
    The relay's API and IPv6 are not there at all."""
    plan = listening("contract-ba", backend, tmp_path, a=ATTEMPTS)

    async def story() -> None:
        async with live(plan) as net:
            places = await hidden_places(net)
            await one_more(net, 1.0)

            async def all_arrive() -> bool:
                names = {one.name for one in await arrivals(net)}
                return names >= {
                    f"{who}-{name}" for who in ("first", "second", "exec") for name in (*STREAMS, *DATAGRAMS)
                }

            await until(all_arrive)
            await put(net, kind, ("a", "b"), **given)
            began, before = time.monotonic(), await log(net, "a")
            await one_more(net, LOOP_S, places)
            after = await log(net, "a")
            for who in ("first", "second"):
                first, last = tried(before, who), tried(after, who)
                assert not [name for name in last if last[name] <= first.get(name, 0)], (first, last)
            assert not [line for line in after if line.startswith("reached")]
            check(kind, await arrivals(net, began), given)
            await check_counts(net, kind)

    asyncio.run(story())


def check(kind: str, arrived: list[Arrival], given: dict[str, float]) -> None:
    """Fail if something arrived that should not, or too soon."""
    assert not [one for one in arrived if one.how not in ("tcp", "udp")]
    streams = [one for one in arrived if one.how == "tcp"]
    if kind == "partition":
        assert arrived == []
    elif kind == "stall":
        assert streams == []
    else:
        assert {one.name for one in streams} >= {"first-held", *(f"exec-{name}" for name in STREAMS)}
        assert min(one.took for one in streams) >= given["latency"]


async def check_counts(net: Backend, kind: str) -> None:
    """Fail if anything got around, or if not enough was tried for that to mean much."""

    async def settled() -> dict[str, int]:
        found = await counts(net, "a", "b")
        return found if found["offered"] == found["dropped"] else {}

    found = await until(settled)
    assert found["dropped" if kind == "partition" else "connections"] > 10 * LOOP_S
    assert (await look_at_links(net)).uncontrolled == 0


def test_a_partition_cuts_what_a_relay_still_holds(backend: str, tmp_path: Path) -> None:
    """What a latency keeps on the way when the partition begins does not arrive either."""
    plan = listening("contract-be", backend, tmp_path, a=ATTEMPTS)

    async def story() -> None:
        async with live(plan) as net:
            await put(net, "latency", ("a", "b"), latency=2.0)
            began = time.monotonic()

            async def late() -> list[Arrival]:
                return [one for one in await arrivals(net, began) if one.took >= 2 and one.how == "tcp"]

            await until(late)
            await put(net, "partition", ("a", "b"))
            began = time.monotonic()
            await asyncio.sleep(2.5)  # as long as anything could be on the way
            after = [one for one in await arrivals(net) if one.sent + one.took > began + _READ_S]
            assert after == []

    asyncio.run(story())


_READ_S = 0.5
"""How long after it came a busy `b` may take to say so."""
FORGED = ("true", "hardware")
"""Frames that come from the node's own address, and so are on their way as long as no fault is on."""


def forge(plan: Plan, stranger: str) -> None:
    """Send what a node could send if it had every power over its own namespace."""
    own, b, c = (plan.node(name).address for name in "abc")
    here, router = hardware(own), hardware(plan.gateway)

    def from_(source: str, name: str) -> bytes:
        return datagram(source, b, 7000, mark(name))

    send_frame(router, here, from_(own, "true"))
    send_frame(router, b"\x02\x11\x22\x33\x44\x55", from_(own, "hardware"))
    send_frame(hardware(b), here, from_(own, "past-the-router"))
    send_frame(b"\xff" * 6, here, from_(own, "to-all"))
    send_frame(router, here, b"\0\1\x08\0" + from_(own, "vlan"), kind=b"\x81\0")
    for source in (c, b, stranger, plan.gateway, "0.0.0.0", "127.0.0.1", "240.0.0.1", "241.0.0.1"):
        send_frame(router, here, from_(source, "spoofed"))
    for source in (ipv6_of(own), "fd00::1"):
        for target in (ipv6_of(b), "fd00::2", "ff02::1"):
            send_frame(router, here, datagram_six(source, target, 7000, mark("six")))
            send_frame(hardware(b), here, datagram_six(source, target, 7000, mark("six")))


def connects_from(source: str, places: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return which of these places accept a connection from an address."""
    reached = []
    for place in places:
        with socket.socket() as stream, suppress(OSError):
            stream.settimeout(0.2)
            stream.bind((source, 0))
            stream.connect(place)
            reached.append(place)
    return reached


def test_a_node_with_every_power_over_its_namespace_gets_around_nothing(backend: str, tmp_path: Path) -> None:
    """Frames, hardware addresses, routes and one more address of its own: what is not from its own address is
    dropped and counted, and what is comes under the fault."""
    require_power()
    plan = listening("contract-bb", backend, tmp_path, a=IDLE, c=IDLE)
    own, stranger, b = plan.node("a").address, address_of_nobody(plan), plan.node("b").address

    async def story() -> None:
        async with live(plan) as net:
            places = await hidden_places(net)
            a, at_b = process_of(plan.node("a")), process_of(plan.node("b"))
            assert [inspection.ipv6_interfaces(pid) for pid in (a, at_b)] == [set(), set()]
            with heard_at(at_b) as heard:
                await until(lambda: until_heard(a, plan, stranger, heard))
                inside(a, lambda: take_more(plan, stranger))
                assert inside(a, lambda: connects_from(own, [(b, 7000)])) == [(b, 7000)]
                await put(net, "partition", ("a", "b"))
                began, ends = time.monotonic(), time.monotonic() + LOOP_S / 5
                while time.monotonic() < ends:
                    inside(a, lambda: forge(plan, stranger))
                    for source in (own, stranger):
                        assert inside(a, lambda at=source: connects_from(at, [(b, 7000), *places])) == []
                assert {name: sent for name, sent in heard().items() if sent > began} == {}
            links = await look_at_links(net)
            spoofed = {(link.source, link.target): link.spoofed for link in links.links if link.spoofed}
            assert spoofed.keys() >= {("c", "b"), (stranger, "b"), (plan.gateway, "b"), ("0.0.0.0", "b")}
            assert links.uncontrolled == sum(spoofed.values())

    asyncio.run(story())


def address_of_nobody(plan: Plan) -> str:
    """Return an address of the net's subnet that no node has."""
    return str(IPv4Network(plan.subnet)[200])


def take_more(plan: Plan, stranger: str) -> None:
    """Give the node of this namespace one more address, and ways to where it has none."""
    with netlink.Route() as route:
        route.send(
            [
                netlink.address(netlink.LOOPBACK + 1, stranger),
                netlink.route(netlink.LOOPBACK + 1, "240.0.0.0", 7, gateway=plan.gateway),
            ]
        )


async def until_heard(a: int, plan: Plan, stranger: str, heard: Callable[[], dict[str, float]]) -> bool:
    """Forge once more, and tell whether what may arrive did; fail if more did."""
    inside(a, lambda: forge(plan, stranger))
    await asyncio.sleep(0.05)
    arrived = heard().keys()
    assert arrived <= set(FORGED)
    return arrived == set(FORGED)


def test_what_gets_around_control_is_dropped_and_shown(backend: str, tmp_path: Path) -> None:
    """A link is taken out of control behind the agent's back: nothing arrives by it, and `status --links` says so."""
    require_power()
    plan = listening("contract-bc", backend, tmp_path, a=ATTEMPTS)
    ends = [socket.inet_aton(plan.node(name).address) for name in "ab"]
    led = nft.remove("stressnet", "links", [b"".join(ends) + nft.port_number(7000)])

    async def story() -> None:
        async with live(plan) as net:

            async def arrive() -> bool:
                return {one.name for one in await arrivals(net)} >= {f"first-{name}" for name in STREAMS}

            await until(arrive)
            assert (await look_at_links(net)).uncontrolled == 0
            in_router(plan, lambda tables: tables.commit(led))
            began = time.monotonic()

            async def noticed() -> bool:
                return (await counts(net, "a", "b"))["bypassed"] > 20

            await until(noticed)
            late = {one.name for one in await arrivals(net, began) if one.how == "tcp"}
            assert late <= {"first-held", "second-held"}  # connections that a relay carries already
            links = await look_at_links(net)
            assert (links.links[0].source, links.links[0].target) == ("a", "b")
            assert links.links[0].bypassed == links.uncontrolled > 20
            shown = json.loads(command_line("status", plan.net, "--links", "--json"))
            assert shown["uncontrolled"] >= links.uncontrolled
            assert "around control" in command_line("status", plan.net, "--links")

    asyncio.run(story())


def command_line(*words: str) -> str:
    """Return what the command line prints."""
    command = [sys.executable, "-m", "stressnet", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


STRANGERS = """
name: contract-bd
links: line
defaults: {kind: syncnode, config: {chain.block_time: 500ms, discovery.check_interval: 5s}}
nodes:
  boot: {role: boot}
  left: {role: validator}
  middle: {role: validator}
  right: {role: validator, start: {after: 8s}}
"""
BOTH_WAYS = (("left", "right"), ("right", "left"))


def test_discovery_cannot_lead_around_a_partition(backend: str, tmp_path: Path) -> None:
    """Two nodes hear of each other from a third: they try, nothing passes, and both stay in step with the others.
    Healed, they meet."""
    require_relay(backend)
    plan = plan_text(tmp_path, STRANGERS, backend)
    for one, other in BOTH_WAYS:
        assert plan.node(other).address not in str(plan.node(one).files)

    async def story() -> None:
        async with live(plan) as net:
            cut = await put(net, "partition", *BOTH_WAYS)
            assert {node.node: node.state for node in (await status(plan, net)).nodes}["right"] == "waiting"

            async def tried_and_synced() -> bool:
                found = [await counts(net, *link) for link in BOTH_WAYS]
                now = await status(plan, net)
                return (
                    any(one and one["offered"] for one in found) and now.synced() and (now.highest or 0) > 10
                )

            await until(tried_and_synced, 60)
            links = await look_at_links(net)
            assert links.uncontrolled == 0
            for one in links.links:
                if (one.source, one.target) in BOTH_WAYS:
                    assert (one.controlled, one.connections) == (0, 0)
                    assert one.carried == one.offered == one.dropped
            await call(net, "fault_heal", ids=[cut])

            async def met() -> bool:
                return any([(await counts(net, *link)).get("connections") for link in BOTH_WAYS])

            await until(met, 120)

    asyncio.run(story())
