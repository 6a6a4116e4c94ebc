"""What an agent that was killed hands on to the next, and what two faults on one node cannot both have."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from contract.nets import kill_agent, live, plan_text, python_nodes, until
from needs import require_relay

from stressnet.backends.base import Backend
from stressnet.engine.faults import Wish, add, heal, standing
from stressnet.errors import AgentError, StressnetError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

SERVE = "import socket\ns = socket.create_server(('', 7000))\nwhile True: s.accept()[0].close()"
CALL = """
import socket, time
while True:
    try: socket.create_connection(("b", 7000), 5).close()
    except OSError: pass
    time.sleep(0.02)
"""


def talking(name: str, folder: Path, backend: str) -> Plan:
    require_relay(backend)
    text = python_nodes(name, {"b": SERVE, "a": CALL}, extra="ports: {p2p: 7000/tcp}")
    return plan_text(folder, text, backend)


async def connections(net: Backend) -> int:
    async with await net.connect() as agent:
        return sum(row["connections"] for row in await agent.call("links"))


async def hits(net: Backend) -> int | None:
    try:
        return (await standing(net))[0].hits
    except StressnetError:
        return None  # one agent has died, and the next does not answer yet


def test_hits_are_of_the_fault_alone_whoever_counts_them(backend: str, tmp_path: Path) -> None:
    """A fault is not blamed for what links had carried before it, also after the agent's death."""
    plan = talking("contract-hits", tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:

            async def many() -> bool:
                return await connections(net) >= 60

            await until(many)
            await add(
                net, plan, Wish("latency", ("latency=1ms",), Targets(source="a", target="b")), plan.seed
            )
            at_first = await connections(net)
            kill_agent(plan)
            counted = await until(lambda: hits(net))
            assert counted <= await connections(net) - at_first + 5

    asyncio.run(story())


def test_a_killed_node_is_not_restarted_beside_it(backend: str, tmp_path: Path) -> None:
    """One fault asks that it stays dead; it has to be healed first."""
    plan = talking("contract-dead", tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await add(net, plan, Wish("kill", (), Targets(on="a")), plan.seed)
            for data in ("kept", "fresh"):
                with pytest.raises(AgentError, match="a: killed by f1, until that is healed"):
                    await add(net, plan, Wish("restart", (f"data={data}",), Targets(on="a")), plan.seed)
            await heal(net, ["f1"], everything=False)
            await add(net, plan, Wish("restart", (), Targets(on="a")), plan.seed)

    asyncio.run(story())
