"""A fault for new connections alone lets those be that were open before it, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from contract.nets import live, replace_agent, until
from contract.test_links import CALL, HOLD, call, newest, put, round_trip, talking

from stressnet.backends.base import Backend
from stressnet.engine.forward import listen

pytestmark = pytest.mark.usefixtures("state_home")

BOTH = (("held", "b"), ("caller", "b"))


async def listeners(net: Backend, opener: str) -> list[str]:
    """Ask the relay itself for the listeners of a link to `b`, but for one that the agent probes with just now."""
    server = await listen(net, 0, print, "relay", node=opener)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET /proxies HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    return sorted({name for name in answer.decode().split('"') if name.startswith(f"{opener}.b.p2p")})


async def measured(net: Backend, fault: str) -> dict[str, Any]:
    async def found() -> dict[str, Any]:
        rows = await call(net, "fault_list")
        (row,) = [row for row in rows if row["id"] == fault]
        return row if row["achieved"].get("figures") else {}

    return dict(await until(found))


def test_those_that_were_open_before_are_let_be(backend: str, tmp_path: Path) -> None:
    """One connection is open all the time, others come and go: only these are slow, also after an agent's death; a
    fault for all hits both, and healing one leaves the other."""
    plan = talking("contract-nc", {"held": HOLD, "caller": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "held", r"ok .*")
            await newest(net, "caller", r"ok .*")
            new = await put(net, "latency", *BOTH, latency=0.15, connections="new")
            assert await round_trip(net, "held") < 100
            assert await round_trip(net, "caller") >= 150
            row = await measured(net, new)
            assert row["state"] == "on", row
            everyone = await put(net, "latency", *BOTH, latency=0.2)
            assert 200 <= await round_trip(net, "held") < 330
            assert await round_trip(net, "caller") >= 350
            await replace_agent(plan, net)
            assert 200 <= await round_trip(net, "held") < 330
            assert await round_trip(net, "caller") >= 350
            await call(net, "fault_heal", ids=[everyone])
            assert await round_trip(net, "held") < 100
            assert await round_trip(net, "caller") >= 150
            await call(net, "fault_heal", ids=[new])
            assert await round_trip(net, "caller") < 100

    asyncio.run(story())


def test_listeners_without_connections_go(backend: str, tmp_path: Path) -> None:
    """Faults for new connections come and go ten times; those stay that have a connection, and the newest."""
    plan = talking("contract-nd", {"held": HOLD, "caller": CALL}, backend, tmp_path)

    async def story() -> None:
        async with live(plan) as net:
            await newest(net, "held", r"ok .*")
            for _ in range(10):
                fault = await put(net, "latency", *BOTH, latency=0.05, connections="new")
                await newest(net, "caller", r"ok .*", 1)
                await call(net, "fault_heal", ids=[fault])

            async def tidy() -> bool:
                return len(await listeners(net, "caller")) == 1

            await until(tidy, 40)
            assert await listeners(net, "held") == ["held.b.p2p", "held.b.p2p.10"], (
                "the one in use, and the newest"
            )
            await newest(net, "held", r"ok .*")

    asyncio.run(story())
