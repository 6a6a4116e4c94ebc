"""Connections to an agent in a container serve again: each is a program that an engine has to start."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from contract.nets import kill_agent, live, plan_text, python_nodes, until
from needs import require

from stressnet.backends.base import Backend
from stressnet.backends.docker import DockerBackend, backend, bodies
from stressnet.backends.docker.stream import ExecStream
from stressnet.engine.samples import fetch
from stressnet.errors import AgentError
from stressnet.images.engine import connect
from stressnet.plan import Plan

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("state_home")]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    require("docker")
    return plan_text(
        tmp_path, python_nodes("contract-lines", {"n": "import time\ntime.sleep(600)"}), "docker"
    )


async def programs(plan: Plan) -> list[str]:
    """Return the programs that run in the agent's container beside it."""
    engine = connect()
    found = engine.inspect_container(bodies.agent_name(plan.net))["ExecIDs"] or []
    return [one for one in found if engine.exec_inspect(one)["Running"]]


async def agents_pid(net: Backend) -> int:
    async with await net.connect() as agent:
        return int((await agent.call("hello"))["pid"])


def test_one_serves_all_who_ask_in_turn(plan: Plan, tmp_path: Path) -> None:
    """Also after a file and a refusal. Of those who ask at once four are kept, and none is left at the end."""

    async def ended() -> bool:
        return not await programs(plan)

    async def story() -> None:
        async with live(plan):
            net = DockerBackend(plan.net)
            async with net.keeping():
                for number in range(3):
                    await agents_pid(net)
                    assert await fetch(net, tmp_path / f"{number}.db", 0.0) > 0
                    with pytest.raises(AgentError, match="no node"):
                        async with await net.connect() as agent:
                            await agent.call("release", names=["nobody"])
                assert len(await programs(plan)) == 1
                await asyncio.gather(*(agents_pid(net) for _ in range(6)))
                await until(lambda: four(plan))
                async with net.keeping():
                    await agents_pid(net)
                assert len(await programs(plan)) == 4
            await until(ended)

    asyncio.run(story())


def test_one_that_nobody_waits_for_any_more_is_closed(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for it is cancelled while the engine starts its program."""
    asked, go = threading.Event(), threading.Event()
    begun: list[ExecStream] = []

    def begin(*arguments: Any) -> ExecStream:
        asked.set()
        go.wait(20.0)
        begun.append(ExecStream(*arguments))
        return begun[-1]

    async def story() -> None:
        async def as_before() -> bool:
            return bool(begun) and len(await programs(plan)) == before

        async with live(plan):
            before = len(await programs(plan))
            monkeypatch.setattr(backend, "ExecStream", begin)
            asking = asyncio.create_task(DockerBackend(plan.net).connect())
            await asyncio.to_thread(asked.wait, 20.0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert asking.cancelled()
            go.set()
            await until(as_before)

    asyncio.run(story())


async def four(plan: Plan) -> bool:
    return len(await programs(plan)) == 4


def test_one_of_an_agent_that_was_killed_does_not_serve(plan: Plan) -> None:
    """Who asks next is answered by the agent that takes its place."""

    async def story() -> None:
        async with live(plan) as net:
            before = await agents_pid(net)
            kill_agent(plan)
            assert await agents_pid(net) != before

    asyncio.run(story())
