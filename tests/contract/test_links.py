"""Control of links, the same on every backend: nothing gets around it, and it outlives whatever dies."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from contract.nets import kill_agent, live, log, plan_text, python_nodes, until
from needs import require_relay

from stressnet.backends.base import Backend
from stressnet.errors import AgentError
from stressnet.faults.fault import Fault
from stressnet.plan import Plan

pytestmark = pytest.mark.usefixtures("state_home")

SLEEP = "import time\ntime.sleep(600)"
SERVE = """
import socket, threading
def talk(c):
    try:
        while data := c.recv(65536): c.sendall(data)
    except OSError: pass
s = socket.create_server(('', 7000))
while True:
    c, who = s.accept()
    print('from', who[0])
    threading.Thread(target=talk, args=(c,), daemon=True).start()
"""
CALL = """
import socket, time, os
def once():
    begin = time.perf_counter()
    try:
        c = socket.create_connection((os.environ['TARGET'], 7000), 1)
        c.sendall(b'ping')
        said = c.recv(100)
        return 'ok %.1f' % ((time.perf_counter() - begin) * 1e3) if said else 'closed'
    except OSError as error: return type(error).__name__
while True:
    print(once())
    time.sleep(0.1)
"""
HOLD = """
import socket, time, os
while True:
    try: c = socket.create_connection((os.environ['TARGET'], 7000)); break
    except OSError: time.sleep(0.05)
c.settimeout(1.5)
while True:
    begin = time.perf_counter()
    try:
        c.sendall(b'ping')
        said = c.recv(100)
        print('ok %.1f' % ((time.perf_counter() - begin) * 1e3) if said else 'closed')
        if not said: time.sleep(600)
    except OSError as error: print(type(error).__name__)
    time.sleep(0.1)
"""


def talking(name: str, groups: dict[str, str], backend: str, folder: Path) -> Plan:
    """A net whose node `b` serves on its p2p port, and others that talk to it."""
    require_relay(backend)
    extra = "ports: {p2p: 7000/tcp}\nenv: {TARGET: b}"
    return plan_text(folder, python_nodes(name, {"b": SERVE, **groups}, extra=extra), backend)


async def call(net: Backend, name: str, **arguments: Any) -> Any:
    async with await net.connect() as agent:
        return await agent.call(name, **arguments)


async def put(
    net: Backend, kind: str, *links: tuple[str, str], nodes: tuple[str, ...] = (), **parameters: Any
) -> str:
    """Put one fault on and return its id."""
    ends_at = parameters.pop("ends_at", 0.0)
    fault = Fault("", kind, parameters, links, nodes, ends_at, kind)
    return str((await call(net, "fault_add", faults=[fault.to_raw()]))["ids"][0])


async def counts(net: Backend, source: str, target: str) -> dict[str, int]:
    rows = await call(net, "links")
    return next((row for row in rows if (row["source"], row["target"]) == (source, target)), {})


async def newest(net: Backend, node: str, wanted: str, fresh: int = 2) -> None:
    """Wait until the last lines of a node all match."""
    before = len(await log(net, node))

    async def seen() -> bool:
        lines = (await log(net, node))[before:][-fresh:]
        return len(lines) == fresh and all(re.fullmatch(wanted, line) for line in lines)

    await until(seen, 30)


async def round_trip(net: Backend, node: str) -> float:
    """Return the shortest of the next round trips of a node, in milliseconds: a busy machine only adds to them."""
    before = len(await log(net, node))

    async def enough() -> list[str]:
        lines = [line for line in (await log(net, node))[before:] if line.startswith("ok")]
        return lines if len(lines) >= 5 else []

    return min(float(line.split()[1]) for line in (await until(enough, 30))[1:])


def test_streams_go_through_relays_and_peers_see_true_addresses(backend: str, tmp_path: Path) -> None:
    """Every connection to a p2p port is under control from the first, and comes from its node's own address."""
    plan = talking("contract-la", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            found = await counts(net, "a", "b")
            assert found["connections"] >= 2
            assert found["controlled"] > found["connections"]
            assert found["bypassed"] == found["spoofed"] == 0
            assert set(await log(net, "b")) == {f"from {plan.node('a').address}"}

    asyncio.run(story())


def test_a_dead_peer_looks_dead_and_a_paused_one_hangs(backend: str, tmp_path: Path) -> None:
    """Nobody listens: refused, as without us. Standing still: connected, and silent. Started again: under control."""
    plan = talking("contract-lb", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            pause = await put(net, "pause", nodes=("b",))
            await newest(net, "a", "TimeoutError")
            await call(net, "fault_heal", ids=[pause])
            await newest(net, "a", r"ok .*")
            dead = await put(net, "kill", nodes=("b",))
            await newest(net, "a", "ConnectionRefusedError")
            await call(net, "fault_heal", ids=[dead])
            await newest(net, "a", r"ok .*")
            found = await counts(net, "a", "b")
            assert found["bypassed"] == 0

    asyncio.run(story())


def test_a_partition_cuts_everything_and_heals(backend: str, tmp_path: Path) -> None:
    """New connections and open ones fall silent, one way or both; healed, both go on."""
    plan = talking("contract-lc", {"a": CALL, "h": HOLD}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "a", r"ok .*")
            await newest(net, "h", r"ok .*")
            cut = await put(net, "partition", ("a", "b"), ("h", "b"))
            heard = len(await log(net, "b"))
            await newest(net, "a", "TimeoutError")
            await newest(net, "h", "TimeoutError")
            before = await counts(net, "a", "b")
            silent = len(await log(net, "b"))
            await asyncio.sleep(2)
            after = await counts(net, "a", "b")
            assert after["dropped"] - before["dropped"] == after["offered"] - before["offered"] > 0
            assert len(await log(net, "b")) == silent <= heard + 3
            await call(net, "fault_heal", ids=[cut])
            await newest(net, "a", r"ok .*")
            await newest(net, "h", r"ok .*")

    asyncio.run(story())


def test_faults_of_streams_add_up_and_heal_one_by_one(backend: str, tmp_path: Path) -> None:
    """Delays of several faults add, each way by itself; healing one leaves exactly the other."""
    plan = talking("contract-ld", {"a": HOLD}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            assert await round_trip(net, "a") < 300
            there = await put(net, "latency", ("a", "b"), latency=0.3)
            back = await put(net, "latency", ("b", "a"), latency=0.5)
            assert await round_trip(net, "a") >= 800
            await call(net, "fault_heal", ids=[there])
            assert 500 <= await round_trip(net, "a") < 800
            stall = await put(net, "stall", ("a", "b"))
            await newest(net, "a", "TimeoutError")
            await call(net, "fault_heal", ids=[back, stall])
            await newest(net, "a", r"ok .*")
            assert await round_trip(net, "a") < 300

    asyncio.run(story())


def test_latencies_of_regions_hold_from_the_start(backend: str, tmp_path: Path) -> None:
    """What the topology says between regions is on every link between them, and healing faults leaves it."""
    head = "regions: {us: {eu: 250ms}, eu: {}}\n"
    require_relay(backend)
    extra = "ports: {p2p: 7000/tcp}\nenv: {TARGET: b}"
    text = python_nodes("contract-le", {"b": SERVE, "a": HOLD, "near": HOLD}, extra=extra)
    for node, region in (("b", "eu"), ("near", "eu"), ("a", "us")):
        text = text.replace(f"  {node}:\n", f"  {node}:\n    region: {region}\n", 1)
    plan = plan_text(tmp_path, text + head, backend)

    async def story() -> None:
        async with live(plan) as net:
            assert await round_trip(net, "a") >= 500
            assert await round_trip(net, "near") < 250
            await call(net, "fault_heal", everything=True)
            assert await round_trip(net, "a") >= 500

    asyncio.run(story())


def test_faults_outlive_the_agent_and_end_on_time(backend: str, tmp_path: Path) -> None:
    """kill -9 of the agent: what was on stays on, what was timed ends, and the new agent can heal the rest."""
    plan = talking("contract-lf", {"a": CALL, "h": HOLD}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "h", r"ok .*")
            now = (await call(net, "status"))["now"]
            await put(net, "partition", ("a", "b"), ends_at=now + 4)
            slow = await put(net, "latency", ("h", "b"), latency=0.3)
            await newest(net, "a", "TimeoutError")
            kill_agent(plan)
            assert await round_trip(net, "h") >= 300
            await until(lambda: answers(net))
            states = {one["kind"]: one["state"] for one in await call(net, "fault_list")}
            assert states["latency"] == "on"
            await newest(net, "a", r"ok .*")
            states = {one["kind"]: one["state"] for one in await call(net, "fault_list")}
            assert states == {"latency": "on", "partition": "ended"}
            await call(net, "fault_heal", ids=[slow])
            assert await round_trip(net, "h") < 300

    asyncio.run(story())


async def answers(net: Backend) -> bool:
    try:
        await call(net, "hello")
    except (AgentError, OSError):
        return False
    return True


def test_a_killed_relay_comes_back_with_its_toxics(backend: str, tmp_path: Path) -> None:
    """Connections through it end, as they must; new ones find the same faults."""
    plan = talking("contract-lg", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await put(net, "latency", ("a", "b"), latency=0.3)
            assert await round_trip(net, "a") >= 300
            for pid in relays_of(plan):
                os.kill(pid, signal.SIGKILL)
            assert await round_trip(net, "a") >= 300
            assert (await counts(net, "a", "b"))["bypassed"] == 0

    asyncio.run(story())


def relays_of(plan: Plan) -> list[int]:
    """Return the relays of one net: those in the network namespace of its agent."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            if not words[0].endswith(b"toxiproxy-server"):
                continue
            addresses = Path(f"/proc/{name}/net/fib_trie").read_text()
        except OSError:
            continue
        if f"-- {plan.gateway}\n" in addresses:
            found.append(int(name))
    assert found
    return found


def test_a_fault_that_cannot_be_is_refused_whole(backend: str, tmp_path: Path) -> None:
    """One bad fault among several: none is applied."""
    require_relay(backend)
    text = python_nodes(
        "contract-lh", {"b": SERVE, "a": HOLD}, extra="ports: {p2p: 7000/tcp}\nenv: {TARGET: b}"
    )
    text += python_nodes("", {"plain": SLEEP, "plain-too": SLEEP}).partition("nodes:\n")[2]
    text = text.replace("  plain:\n", "  plain:\n    ports: {p2p-dgram: 7000/udp}\n")
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:
            good = Fault("", "latency", {"latency": 0.2}, (("a", "b"),), (), 0.0, "good").to_raw()
            bad = Fault("", "latency", {"latency": 0.2}, (("a", "nobody"),), (), 0.0, "bad").to_raw()
            with pytest.raises(AgentError, match="no node 'nobody'"):
                await call(net, "fault_add", faults=[good, bad])
            assert await call(net, "fault_list") == []
            assert await round_trip(net, "a") < 200
            unreachable = Fault("", "stall", {}, (("plain", "plain-too"),), (), 0.0, "none").to_raw()
            with pytest.raises(AgentError, match="neither plain nor plain-too has a TCP port called p2p"):
                await call(net, "fault_add", faults=[unreachable])
            half = Fault("", "latency", {"latency": 0.01}, (("plain", "a"),), (), 0.0, "half").to_raw()
            notes = (await call(net, "fault_add", faults=[half]))["notes"]
            assert notes == [
                "plain also talk by UDP, which faults on streams do not touch; those on packets do"
            ]
            with pytest.raises(AgentError, match="'f9'"):
                await call(net, "fault_heal", ids=["f9"])

    asyncio.run(story())


def test_what_nobody_wants_any_more_heals_by_itself(backend: str, tmp_path: Path) -> None:
    """A fault with a lease lives as long as it is renewed; then the agent heals it, a new one too."""
    plan = talking("contract-lj", {"a": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            cut = Fault("", "partition", {}, (("a", "b"),), (), 0.0, "cut").to_raw()
            slow = Fault("", "latency", {"latency": 0.01}, (("a", "b"),), (), 0.0, "slow").to_raw()
            leased = (await call(net, "fault_add", faults=[cut], lease_s=4.0))["ids"]
            await call(net, "fault_add", faults=[slow])
            for _ in range(3):
                await asyncio.sleep(2)
                await call(net, "fault_renew", ids=leased, lease_s=4.0)
            assert next(one["state"] for one in await call(net, "fault_list")) in ("on", "not achieved")
            kill_agent(plan)
            await until(lambda: answers(net))
            await newest(net, "a", r"ok .*")
            states = {one["kind"]: one["state"] for one in await call(net, "fault_list")}
            assert states["partition"] == "ended"
            assert states["latency"] == "on"
            with pytest.raises(AgentError, match="is on"):
                await call(net, "fault_renew", ids=leased, lease_s=4.0)

    asyncio.run(story())
