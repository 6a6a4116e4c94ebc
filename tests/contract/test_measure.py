"""What faults on links achieve is measured on real nets; one that is not there is not claimed; probes leave nothing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from contract.nets import kill_agent, live, log, plan_text, python_nodes, until
from contract.powers import inside, process_of, require_power
from contract.test_links import SERVE, answers, call, put, relays_of
from needs import require, require_relay

from stressnet.agent import kernel, nfread
from stressnet.agent import nftables as nft
from stressnet.agent.datagramprobe import numbered
from stressnet.backends.base import Backend
from stressnet.engine.forward import listen
from stressnet.faults.arrivals import share
from stressnet.faults.compose import Packet
from stressnet.plan import Plan

pytestmark = pytest.mark.usefixtures("state_home")

IDLE = "import time\ntime.sleep(600)"
LINKS = [("a", "b"), ("b", "a")]
STREAMS: list[tuple[str, dict[str, float], str, float]] = [
    ("latency", {"latency": 0.08}, "round trip", 0.08),
    ("bandwidth", {"rate": 1e6}, "throughput", 1e6),
    ("stall", {}, "bytes passed", 0.0),
    ("cut", {"bytes": 4096}, "bytes passed", 4096.0),
    ("reset", {"timeout": 0.1}, "end after", 0.1),
    ("slow_close", {"delay": 0.3}, "end after", 0.3),
]
PACKETS: list[tuple[str, dict[str, float], str, float]] = [
    ("partition", {}, "packets passed", 0.0),
    ("reject", {}, "packets passed", 0.0),
    ("drop", {"probability": 0.9}, "dropped", 0.9),
    ("drop", {"probability": 1.0}, "packets passed", 0.0),
]


@pytest.fixture(params=["netns"])
def backend(request: pytest.FixtureRequest) -> str:
    """The backends whose links are under control."""
    require(request.param)
    return str(request.param)


def quiet(name: str, backend: str, folder: Path, **more: str) -> Plan:
    """A net of `a`, which is silent, and `b`, which serves on its p2p port."""
    require_relay(backend)
    text = python_nodes(name, {"b": SERVE, "a": IDLE} | more, extra="ports: {p2p: 7000/tcp}")
    return plan_text(folder, text, backend)


async def fault(net: Backend, name: str) -> dict[str, Any]:
    return next(one for one in await call(net, "fault_list") if one["id"] == name)


async def achieved(net: Backend, name: str, *, over: bool = False) -> dict[str, dict[str, Any]]:
    """Wait until a fault has been measured (once more when it is over), and return the figures by their names."""

    async def seen() -> Any:
        found = (await fault(net, name))["achieved"]
        return found.get("after") if over else found

    found = await until(seen, 60)
    assert found["figures"], found["not_measured"]
    return {figure["name"]: figure for figure in found["figures"]}


async def becomes(net: Backend, name: str, state: str) -> None:
    async def seen() -> bool:
        return bool((await fault(net, name))["state"] == state)

    await until(seen, 60)


def has_gone(after: dict[str, Any], asked: float) -> bool:
    """Whether a figure says that nothing is left of a fault; times are only compared, for machines are busy."""
    if after["name"] in ("round trip", "end after"):
        return bool(after["found"] < asked)
    return bool(after["holds"] or (after["name"] == "throughput" and after["found"] > 2 * asked))


@pytest.mark.parametrize(("kind", "given", "figure", "asked"), STREAMS + PACKETS)
def test_both_numbers_are_known_while_it_is_on_and_when_it_is_over(
    backend: str, tmp_path: Path, kind: str, given: dict[str, float], figure: str, asked: float
) -> None:
    """Either way of a link: what is asked, what is measured within the tolerance; and healed, that it has gone."""
    plan = quiet("contract-me", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            for link in LINKS:
                name = await put(net, kind, link, **given)
                found = (await achieved(net, name))[figure]
                assert found["asked"] == pytest.approx(asked)
                assert found["error"] == found["found"] - found["asked"]
                await becomes(net, name, "on")
                await call(net, "fault_heal", ids=[name])
                after = await achieved(net, name, over=True)
                assert all(has_gone(one, asked) for one in after.values()), after
                assert (await fault(net, name))["state"] == "healed"

    asyncio.run(story())


async def relay_api(net: Backend, node: str, method: str, path: str, body: str = "") -> Any:
    """Ask the API of a node's relay, as a Toxiproxy client of the user's own would."""
    server = await listen(net, 0, print, "relay", node=node)

    def ask() -> Any:
        with closing(HTTPConnection("127.0.0.1", server.sockets[0].getsockname()[1], timeout=20)) as far:
            far.request(method, path, body or None)
            answer = far.getresponse()
            content = answer.read()
            assert answer.status < 300, content
            return json.loads(content) if content else None

    async with server:
        return await asyncio.to_thread(ask)


@pytest.mark.parametrize(("kind", "given", "figure", "asked"), STREAMS)
def test_a_stream_fault_that_somebody_took_off_is_not_achieved(
    backend: str, tmp_path: Path, kind: str, given: dict[str, float], figure: str, asked: float
) -> None:
    """Its toxics are deleted behind the agent's back: probes and the relay's own words both tell."""
    plan = quiet("contract-mf", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, kind, ("a", "b"), **given)
            await achieved(net, name)
            for opener, acceptor in LINKS:
                row = f"/proxies/{opener}.{acceptor}.p2p/toxics"
                for toxic in await relay_api(net, opener, "GET", row):
                    await relay_api(net, opener, "DELETE", f"{row}/{toxic['name']}")

            async def all_amiss() -> dict[str, dict[str, Any]]:
                found = await achieved(net, name)
                return found if found["toxics amiss"]["found"] == found["toxics amiss"]["of"] > 0 else {}

            assert not (await until(all_amiss, 60))[figure]["holds"]
            await becomes(net, name, "not achieved")
            await call(net, "fault_heal", ids=[name])
            after = await achieved(net, name, over=True)
            assert after["toxics amiss"]["found"] == 0

    asyncio.run(story())


def in_router(plan: Plan, work: Any) -> Any:
    """Return what `work` finds with a netfilter socket of the net's router, which is where its relays are."""
    if os.geteuid():
        pytest.skip("only root may look into the router's namespace")
    made: list[Any] = []

    def inside() -> None:
        network = os.open(f"/proc/{relays_of(plan)[0]}/ns/net", os.O_RDONLY)
        kernel.setns(network, kernel.CLONE_NEWNET)  # of this thread, which ends
        os.close(network)
        with nft.Nftables() as tables:
            made.append(work(tables))

    thread = Thread(target=inside)
    thread.start()
    thread.join()
    return made[0]


@pytest.mark.parametrize(
    ("kind", "given", "figure"),
    [
        ("partition", {}, "packets passed"),
        ("reject", {}, "packets passed"),
        ("drop", {"probability": 0.9}, "packets under the rule"),
    ],
)
def test_a_packet_fault_that_is_not_there_is_not_achieved(
    backend: str, tmp_path: Path, kind: str, given: dict[str, float], figure: str
) -> None:
    """Its rule is taken away behind the agent's back: packets arrive, the list says so, and it can be healed all the
    same."""
    plan = quiet("contract-mg", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, kind, ("a", "b"), **given)
            rules = [nft.flush("stressnet", where) for where in ("conditions", "cuts")]
            in_router(plan, lambda tables: tables.commit(rules))
            await becomes(net, name, "not achieved")
            assert not (await achieved(net, name))[figure]["holds"]
            await call(net, "fault_heal", ids=[name])
            await becomes(net, name, "healed")

    asyncio.run(story())


def test_numbered_datagrams_arrive_as_they_were_sent_or_are_dropped(backend: str, tmp_path: Path) -> None:
    """The probe of what netem does, through the router of a real net: without a fault all is whole and in order."""
    require_power()
    plan = quiet("contract-ml", backend, tmp_path)
    nodes = plan.node("a"), plan.node("b")

    async def story() -> None:
        async with live(plan) as net:
            processes = {node.name: process_of(node) for node in nodes}

            def enter(name: str, work: Callable[[], socket.socket]) -> socket.socket:
                return inside(processes[name], work)

            assert (await numbered(enter, *nodes, 500, 0.5)).came == [(number, True) for number in range(500)]
            await put(net, "drop", ("a", "b"), probability=0.3)
            found = share("loss", Packet(drop=0.3), await numbered(enter, *nodes, 500, 0.5), among=10_000)
            assert found
            assert found.holds, found

    asyncio.run(story())


@pytest.mark.parametrize("backend", ["netns", "docker"], indirect=True)
def test_what_is_asked_is_the_sum_of_all_that_is_on(backend: str, tmp_path: Path) -> None:
    """Faults there and back and latencies of regions add up, and the number of each fault is that of the link."""
    require_relay(backend)
    text = python_nodes("contract-mh", {"b": SERVE, "a": IDLE}, extra="ports: {p2p: 7000/tcp}")
    for node, region in (("b", "eu"), ("a", "us")):
        text = text.replace(f"  {node}:\n", f"  {node}:\n    region: {region}\n", 1)
    plan = plan_text(tmp_path, text + "regions: {us: {eu: 50ms}, eu: {}}\n", backend)

    async def story() -> None:
        async with live(plan) as net:
            there = await put(net, "latency", ("a", "b"), latency=0.06)
            assert (await achieved(net, there))["round trip"]["asked"] == pytest.approx(0.16)
            back = await put(net, "latency", ("b", "a"), latency=0.1)
            assert (await achieved(net, back))["round trip"]["asked"] == pytest.approx(0.26)
            await becomes(net, back, "on")
            await call(net, "fault_heal", ids=[there, back])
            after = (await achieved(net, back, over=True))["round trip"]
            assert after["asked"] == pytest.approx(0.1)
            assert after["found"] < 0.16

    asyncio.run(story())


def test_no_number_is_made_up(backend: str, tmp_path: Path) -> None:
    """A node that does not run, or another fault in the way: the reason is said, and the state stays."""
    plan = quiet("contract-mi", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:

            async def why(name: str) -> str:
                async def seen() -> Any:
                    return (await fault(net, name))["achieved"]

                found = await until(seen)
                assert found["figures"] == [] or found["figures"][0]["name"] == "toxics amiss"
                return str(found["not_measured"])

            cut = await put(net, "partition", ("b", "a"))
            slow = await put(net, "latency", ("a", "b"), latency=0.05)
            assert await why(slow) == "another fault lets no packets pass"
            await call(net, "fault_heal", ids=[cut, slow])
            await put(net, "kill", nodes=("b",))
            name = await put(net, "latency", ("a", "b"), latency=0.05)
            assert await why(name) == "b does not run"
            assert (await fault(net, name))["state"] == "on"

    asyncio.run(story())


def test_many_links_are_measured_by_a_sample(backend: str, tmp_path: Path) -> None:
    """Of a fault on all links of a net at most eight are probed."""
    require_relay(backend)
    text = python_nodes("contract-mj", {"n": SERVE}, count=4, extra="ports: {p2p: 7000/tcp}")
    plan = plan_text(tmp_path, text, backend)
    names = [node.name for node in plan.nodes]
    links = [(one, other) for one in names for other in names if one != other]

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, "latency", *links, latency=0.04)
            assert (await achieved(net, name))["round trip"]["asked"] == pytest.approx(0.08)
            probed = (await fault(net, name))["achieved"]["links"]
            assert len(set(probed)) == len(probed) == 8 < len(links)

    asyncio.run(story())


def elements(tables: nft.Nftables) -> dict[str, int]:
    """Count what is in the maps by which links are led."""
    return {name: len(nfread.values(tables, "stressnet", name)) for name in ("links", "endpoints")}


LOOK = """
import threading, time
def look():
    while True:
        lines = [line.split() for line in open('/proc/net/tcp').read().splitlines()[1:]]
        print('sockets', sorted(line[1][-4:] for line in lines if line[3] in ('0A', '01')))
        time.sleep(0.1)
threading.Thread(target=look, daemon=True).start()
"""
OWN = "sockets ['1B58']"
"""Of a node that listens at port 7000, and has no connection."""


async def newest_is(net: Backend, wanted: str, *, wrong: bool = False) -> bool:
    lines = [line for line in await log(net, "b") if line.startswith("sockets")]
    return bool(lines) and (lines[-1] == wanted) != wrong


@pytest.mark.parametrize("killed", [False, True])
def test_a_probe_leaves_nothing_behind(backend: str, tmp_path: Path, killed: bool) -> None:
    """Not a listener, a rule or a socket; also where the agent was killed while a probe was under way."""
    plan = quiet("contract-mk", backend, tmp_path, b=LOOK + SERVE)

    async def story() -> None:
        async with live(plan) as net:
            await until(lambda: newest_is(net, OWN))
            before = in_router(plan, elements)
            name = await put(net, "bandwidth", ("a", "b"), rate=8e3)

            async def probing() -> list[str]:
                return [one for one in await relay_api(net, "a", "GET", "/proxies") if ".probe-" in one]

            await until(probing)
            assert in_router(plan, elements) != before
            await until(lambda: newest_is(net, OWN, wrong=True))
            if killed:
                kill_agent(plan)
                await until(lambda: answers(net))
            await call(net, "fault_heal", ids=[name])
            await achieved(net, name, over=True)
            assert sorted(await relay_api(net, "a", "GET", "/proxies")) == ["a.b.p2p", "b.a.p2p"]
            assert in_router(plan, elements) == before == {"links": 2, "endpoints": 2}
            await until(lambda: newest_is(net, OWN))

    asyncio.run(story())
