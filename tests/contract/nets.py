"""Bring small nets up and down in tests, by the same calls as the command line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stressnet.agent.names import AGENT
from stressnet.backends.base import Backend
from stressnet.engine.choose import backend_for
from stressnet.engine.plan_topology import plan_topology
from stressnet.engine.status import NetStatus, look
from stressnet.engine.up import up
from stressnet.errors import AgentError
from stressnet.plan import Plan
from stressnet.state import net_directory

IMAGE = "stressnet/syncnode:1"
"""Has a Python interpreter, which is all that most nodes here need."""


class Quiet:
    """A report that nobody reads."""

    def step(self, name: str, done: int, total: int) -> None:
        pass


def plan_text(folder: Path, text: str, backend: str, **options: Any) -> Plan:
    """Compile a topology given as text; nets of two runs of these tests get names of their own."""
    file = folder / "topology.yaml"
    file.write_text(text.replace("name: contract-", f"name: c{os.getpid()}-"))
    return plan_topology(file, backend=backend, **options)


def python_nodes(name: str, groups: dict[str, str], *, count: int = 1, extra: str = "") -> str:
    """A topology of generic nodes that run lines of Python; `extra` is YAML for every group."""
    lines = [f"name: {name}", "nodes:"]
    for group, program in groups.items():
        lines += [f"  {group}:", "    kind: generic", f"    image: {IMAGE}"]
        lines += [f"    count: {count}"] if count > 1 else []
        lines += ["    command:", "      - python3", "      - -uc", "      - |"]
        lines += [f"        {line}" for line in program.strip().splitlines()]
        lines += [f"    {line}" for line in extra.strip().splitlines()]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def live(plan: Plan) -> AsyncIterator[Backend]:
    """Bring a net up for a block of code, then remove it whatever happened."""
    backend = backend_for(plan.backend, plan.net)
    await up(plan, backend, Quiet())
    try:
        async with backend.keeping():
            yield backend
    finally:
        await backend.destroy(data=True)


async def status(plan: Plan, backend: Backend) -> NetStatus:
    """Ask once."""
    return await look(plan, backend)


async def until(question: Callable[[], Awaitable[Any]], timeout_s: float = 20.0) -> Any:
    """Ask again and again until the answer is true; fail after the time-out."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        answer = await question()
        if answer:
            return answer
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


async def log(backend: Backend, node: str) -> list[str]:
    """Return what a node has written."""
    return [line.decode() async for line in backend.logs(node, follow=False, tail=None)]


def kill_agent(plan: Plan, program: str = AGENT) -> None:
    """Kill a net's agent, or another program of ours, with SIGKILL, as the machine's administrator would."""
    ours = str(net_directory(plan.net))
    if plan.backend == "docker":
        words = ["docker", "ps", "-q", "--no-trunc", "--filter", f"name=^stressnet-{plan.net}_agent$"]
        ours = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            shows = "cgroup" if plan.backend == "docker" else "cmdline"
            place = Path(f"/proc/{pid}/{shows}").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name == program and ours in place:
            os.kill(int(pid), signal.SIGKILL)


async def replace_agent(plan: Plan, net: Backend) -> None:
    """Kill the agent, and wait until another one answers."""

    async def answering() -> int:
        try:
            async with await net.connect() as agent:
                return int((await agent.call("hello"))["pid"])
        except (AgentError, OSError):
            return 0

    async def is_another() -> bool:
        return await answering() not in (0, before)

    before = await answering()
    kill_agent(plan)
    await until(is_another)
