"""What is there of a fault is looked at right before it is taken off: on real nets, also after somebody undid it."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contract import test_squeezes
from contract.nets import live, plan_text, python_nodes, replace_agent, until
from contract.test_links import SERVE, call, put, relays_of
from contract.test_measure import in_router, relay_api
from contract.test_node_meter import mark, program
from needs import require_limits, require_relay

from stressnet.agent import qdisc
from stressnet.agent.netlink import LOOPBACK, Route
from stressnet.agent.nfread import verdicts
from stressnet.agent.nftables import Nftables, add, flush, jump
from stressnet.agent.wiring import FIRST_INDEX
from stressnet.backends.base import Backend
from stressnet.engine.links import changed_by_others
from stressnet.plan import Plan

pytestmark = pytest.mark.usefixtures("state_home")

STILL = "import time\nwhile True: time.sleep(0.1)"
AB, BA = ("a", "b"), ("b", "a")
IN_PLACE = {"there": True, "missing": [], "unseen": []}


def nets(name: str, backend: str, folder: Path) -> Plan:
    """A net of `a`, which is silent, and `b`, which serves on its p2p port."""
    require_relay(backend)
    extra = "ports: {p2p: 7000/tcp}\ndisk: 4MiB\n" + mark(name)
    return plan_text(folder, python_nodes(name, {"b": SERVE, "a": STILL}, extra=extra), backend)


async def at_heal(net: Backend, name: str) -> dict[str, Any]:
    found = next(one for one in await call(net, "fault_list") if one["id"] == name)
    return dict(found["at_heal"])


async def healed(net: Backend, *names: str) -> list[dict[str, Any]]:
    await call(net, "fault_heal", ids=list(names))
    return [await at_heal(net, name) for name in names]


@dataclass(frozen=True)
class Kind:
    """One sort of fault, and what it is done to."""

    name: str
    parameters: dict[str, Any]
    on_links: bool = True

    async def put(self, net: Backend, ends_at: float = 0.0) -> str:
        more = {"ends_at": ends_at} if ends_at else {}
        if self.on_links:
            return await put(net, self.name, AB, BA, **self.parameters, **more)
        return await put(net, self.name, nodes=("a",), **self.parameters, **more)


KINDS = {
    kind.name: kind
    for kind in (
        Kind("drop", {"probability": 0.4}),
        Kind("partition", {}),
        Kind("reject", {}),
        Kind("rate", {"rate": 1e6}),
        Kind("latency", {"latency": 0.05, "jitter": 0.01, "toxicity": 0.3}),
        Kind("bandwidth", {"rate": 1e6}),
        Kind("slow_close", {"delay": 0.1}),
        Kind("reset", {"timeout": 0.1}),
        Kind("cut", {"bytes": 4096}),
        Kind("slice", {"average_size": 64, "size_variation": 16, "delay": 1e-5}),
        Kind("stall", {}),
        Kind("pause", {}, on_links=False),
        Kind("cpu", {"cpu": 0.2}, on_links=False),
        Kind("memory", {"memory": 64 << 20}, on_links=False),
        Kind("disk_full", {}, on_links=False),
        Kind("clock", {"offset": 60.0}, on_links=False),
        Kind("kill", {}, on_links=False),
    )
}


def test_every_kind_is_in_place_when_it_is_healed(backend: str, tmp_path: Path) -> None:
    """One after the other, each healed at once: no probe has measured any of them by then."""
    require_limits(backend)
    plan = nets("contract-ll", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            for kind in KINDS.values():
                name = await kind.put(net)
                assert await healed(net, name) == [IN_PLACE], kind.name
            name = await put(net, "latency", AB, BA, latency=0.05, connections="new")
            assert await healed(net, name) == [IN_PLACE]
            await until(lambda: runs(net, "a"))

    asyncio.run(story())


def test_faults_on_one_link_or_node_are_all_in_place(backend: str, tmp_path: Path) -> None:
    """What holds is composed of all of them, also while some are taken off, and whoever has been killed can be neither
    stopped nor squeezed."""
    require_limits(backend)
    plan = nets("contract-lo", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            names = [await kind.put(net) for kind in KINDS.values() if kind.name != "disk_full"]
            assert await healed(net, *names[::2]) == [IN_PLACE] * len(names[::2])
            assert await healed(net, *names[1::2]) == [IN_PLACE] * len(names[1::2])

    asyncio.run(story())


@pytest.mark.parametrize("way", ["time", "lease"])
def test_faults_that_end_by_themselves_are_looked_at_too(backend: str, way: str, tmp_path: Path) -> None:
    plan = nets("contract-lt", backend, tmp_path)
    names = ["partition", "latency", "pause"]

    async def story() -> None:
        async with live(plan) as net:
            if way == "time":
                ids = [await KINDS[name].put(net, time.time() + 0.5) for name in names]
            else:
                faults = [{"id": "", "kind": "pause", "parameters": {}, "links": [], "nodes": ["a"]}]
                faults = [{**one, "ends_at": 0.0, "asked": "pause"} for one in faults]
                ids = (await call(net, "fault_add", faults=faults, lease_s=0.5))["ids"]

            async def over() -> bool:
                return all(one["state"] == "ended" for one in await call(net, "fault_list"))

            await until(over)
            assert [await at_heal(net, name) for name in ids] == [IN_PLACE] * len(ids)

    asyncio.run(story())


async def runs(net: Backend, node: str) -> int:
    return int((await call(net, "status"))["nodes"][node]["pid"])


async def begins_again(net: Backend, plan: Plan) -> None:
    before = await runs(net, "a")
    await put(net, "restart", nodes=("a",))

    async def another() -> bool:
        return await runs(net, "a") not in (0, before)

    await until(another)


async def agent_dies(net: Backend, plan: Plan) -> None:
    await replace_agent(plan, net)


@pytest.mark.parametrize("meanwhile", [begins_again, agent_dies])
def test_what_outlives_a_restart_is_in_place(
    backend: str, meanwhile: Callable[[Backend, Plan], Awaitable[None]], tmp_path: Path
) -> None:
    """Of the node that has the faults, or of the agent that looks after them."""
    require_limits(backend)
    plan = nets("contract-lr", backend, tmp_path)
    names = ["drop", "rate", "latency", "pause", "cpu", "memory", "clock"]

    async def story() -> None:
        async with live(plan) as net:
            ids = [await KINDS[name].put(net) for name in names]
            await meanwhile(net, plan)
            await asyncio.sleep(1.5)
            assert dict(zip(names, await healed(net, *ids), strict=True)) == dict.fromkeys(names, IN_PLACE)

    asyncio.run(story())


# What somebody else undoes.


def without(*messages: bytes) -> Callable[[Backend, Plan], Awaitable[None]]:
    async def undo(_: Backend, plan: Plan) -> None:
        in_router(plan, lambda tables: tables.commit(messages))

    return undo


def without_rules(chain: str = "") -> Callable[[Backend, Plan], Awaitable[None]]:
    """As `nft flush chain ip stressnet CHAIN` does it, or `flush table`: maps stay, and nothing asks them any more."""

    def text(kind: int, value: str) -> bytes:
        content = value.encode() + b"\0"
        return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)

    body = text(1, "stressnet") + (text(2, chain) if chain else b"")
    # NFT_MSG_DELRULE of nf_tables.h: without a handle it means all.
    return without(struct.pack("=LHHLLBBH", 20 + len(body), 10 << 8 | 8, 1, 0, 0, 2, 0, 0) + body)


async def without_queues(_: Backend, plan: Plan) -> None:
    def work(_: Nftables) -> None:
        with Route() as route:
            for node in plan.nodes:
                place = int(node.address.rpartition(".")[2]) - int(
                    plan.subnet.partition("/")[0].rpartition(".")[2]
                )
                route.send([qdisc.remove_tree(FIRST_INDEX + place)])

    in_router(plan, work)


async def without_toxics(net: Backend, _: Plan) -> None:
    for opener, acceptor in (AB, BA):
        row = f"/proxies/{opener}.{acceptor}.p2p/toxics"
        for toxic in await relay_api(net, opener, "GET", row):
            await relay_api(net, opener, "DELETE", f"{row}/{toxic['name']}")


async def wider_toxic(net: Backend, _: Plan) -> None:
    await relay_api(net, "a", "POST", "/proxies/a.b.p2p/toxics/f1.upstream", '{"attributes": {"rate": 9999}}')


async def goes_on(_: Backend, plan: Plan) -> None:
    os.kill(program(plan, "time.sleep"), signal.SIGCONT)


async def more_cpu(net: Backend, plan: Plan) -> None:
    found = await test_squeezes.group(plan, net, "a")
    name, text = ("cpu.max", "50000 100000") if found.version_2 else ("cpu.cfs_quota_us", "50000")
    (found.cpu / name).write_text(text)


async def more_memory(net: Backend, plan: Plan) -> None:
    found = await test_squeezes.group(plan, net, "a")
    if (found.memory / "memory.memsw.limit_in_bytes").exists():
        (found.memory / "memory.memsw.limit_in_bytes").write_text("-1")
    (found.memory / ("memory.max" if found.version_2 else "memory.limit_in_bytes")).write_text(str(1 << 30))


async def moved_out(net: Backend, plan: Plan) -> None:
    found = await test_squeezes.group(plan, net, "a")
    for pid in found.members():
        (found.cpu.parent / "cgroup.procs").write_text(str(pid))


UNDONE: list[tuple[str, Callable[[Backend, Plan], Awaitable[None]], list[str]]] = [
    ("partition", without(flush("stressnet", "conditions")), ["a > b: no rule", "b > a: no rule"]),
    ("partition", without(flush("stressnet", "cuts")), ["a > b: no rule", "b > a: no rule"]),
    ("drop", without_rules(), ["a > b: no rule", "b > a: no rule"]),
    ("partition", without_rules("guard"), ["a > b: no rule", "b > a: no rule"]),
    ("reject", without_rules("reject"), ["a > b: no rule", "b > a: no rule"]),
    ("rate", without(flush("stressnet", "classes")), ["a > b: no queue", "b > a: no queue"]),
    ("rate", without_rules("cut"), ["a > b: no queue", "b > a: no queue"]),
    ("rate", without_queues, ["a > b: no queue", "b > a: no queue"]),
    ("bandwidth", wider_toxic, ["a > b: no bandwidth upstream"]),
    ("pause", goes_on, ["a: 1 of "]),
    ("cpu", more_cpu, ["a: a limit of 0.5 of cpu"]),
    ("cpu", moved_out, ["a: not in its control group"]),
    ("memory", more_memory, ["a: a limit of 1.07374e+09 of memory"]),
]


@pytest.mark.parametrize(("kind", "undo", "missing"), UNDONE)
def test_what_somebody_has_undone_is_missing(
    backend: str,
    kind: str,
    undo: Callable[[Backend, Plan], Awaitable[None]],
    missing: list[str],
    tmp_path: Path,
) -> None:
    """Behind the agent's back, and right before the fault is healed."""
    require_limits(backend)
    plan = nets("contract-lu", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            name = await KINDS[kind].put(net)
            await undo(net, plan)
            (found,) = await healed(net, name)
            assert (found["there"], len(found["missing"]), found["unseen"]) == (False, len(missing), [])
            assert all(map(str.startswith, found["missing"], missing)), found

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["latency", "bandwidth", "slow_close", "reset", "cut", "slice", "stall"])
def test_toxics_that_a_client_has_deleted_are_missing(backend: str, kind: str, tmp_path: Path) -> None:
    plan = nets("contract-lx", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            name = await KINDS[kind].put(net)
            await without_toxics(net, plan)
            (found,) = await healed(net, name)
            assert found["there"] is False
            assert {words.partition(":")[0] for words in found["missing"]} == {"a > b", "b > a"}

    asyncio.run(story())


def test_what_was_put_back_by_its_end_is_in_place(backend: str, tmp_path: Path) -> None:
    """Rules that somebody has emptied come again as a whole when another fault is taken off."""
    plan = nets("contract-lp", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            cut = await put(net, "partition", AB)
            other = await put(net, "reject", BA)
            await without(*(flush("stressnet", name) for name in ("conditions", "cuts")))(net, plan)
            (found,) = await healed(net, other)
            assert found["missing"] == ["b > a: no rule"]
            assert await healed(net, cut) == [IN_PLACE]

    asyncio.run(story())


def test_a_relay_that_says_nothing_keeps_no_fault_from_being_healed(backend: str, tmp_path: Path) -> None:
    """Then nobody knows, and healing has waited a moment; faults of other layers are looked at all the same."""
    plan = nets("contract-ls", backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            slow, cut = await KINDS["latency"].put(net), await KINDS["partition"].put(net)
            (relay,) = relays_of(plan)
            os.kill(relay, signal.SIGSTOP)
            of_stream, of_packet = await healed(net, slow, cut)
            assert of_stream == {"there": None, "missing": [], "unseen": ["there was no answer in time"]}
            assert of_packet == IN_PLACE

    asyncio.run(story())


def test_who_else_changes_what_controls_links_is_found_out(backend: str, tmp_path: Path) -> None:
    """Though all is as before a moment later; what the agent itself changes counts for nobody else's."""
    plan = nets("contract-lc", backend, tmp_path)

    def queues_of_another(_: Nftables) -> None:
        with Route() as route:
            route.send([qdisc.tree(LOOPBACK)])
            route.send([qdisc.remove_tree(LOOPBACK)])

    def rules_put_back(tables: Nftables) -> None:
        held = verdicts(tables, "stressnet", "conditions")
        tables.commit([flush("stressnet", "conditions")])
        tables.commit(add("stressnet", "conditions", ((key, jump(way)) for key, way in held.items())))

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, "drop", AB, probability=0.5)
            await put(net, "rate", BA, rate=1e6)
            assert await changed_by_others(net) == {"rules": 0, "queues": 0}
            in_router(plan, queues_of_another)
            found = await changed_by_others(net)
            assert (found["rules"], found["queues"] >= 2) == (0, True)
            in_router(plan, rules_put_back)
            assert await changed_by_others(net) == {**found, "rules": 2}
            assert await healed(net, name) == [IN_PLACE]
            await put(net, "partition", AB)
            in_router(plan, rules_put_back)
            await put(net, "drop", BA, probability=0.1)  # a transaction of the agent's own, right after
            assert (await changed_by_others(net))["rules"] == 4
            await replace_agent(plan, net)
            assert await changed_by_others(net) == {"rules": 0, "queues": 0}
            await call(net, "fault_heal", everything=True)
            assert await changed_by_others(net) == {"rules": 0, "queues": 0}

    asyncio.run(story())
