"""`fault add --hold`: a fault lasts as long as somebody holds it, and not much longer, however that ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from contract.nets import kill_agent, live, plan_text, python_nodes, until

from stressnet.backends.base import Backend
from stressnet.engine.faults import LEASE_S, standing
from stressnet.errors import StressnetError
from stressnet.plan import Plan

STILL = "import time\nwhile True: time.sleep(0.1)"


def nets(name: str, folder: Path, backend: str) -> Plan:
    return plan_text(folder, python_nodes(name, {"a": STILL}), backend)


def held(plan: Plan) -> subprocess.Popen[str]:
    """Somebody holds a pause; return once it is on."""
    words = [
        sys.executable,
        "-m",
        "stressnet",
        "fault",
        "add",
        "pause",
        "--on",
        "a",
        "--hold",
        "--net",
        plan.net,
    ]
    command = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert command.stdout is not None
    assert command.stdout.readline() == "f1: pause on a until Ctrl-C\n"
    return command


async def state(net: Backend) -> str:
    try:
        return (await standing(net))[0].state
    except StressnetError:
        return "nobody knows"  # one agent has died, and the next does not answer yet


@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_it_heals_when_nobody_holds_it_any_more(
    backend: str, way: signal.Signals, tmp_path: Path, state_home: Path
) -> None:
    """At once where the command still could, else when its lease has run out; before, it is renewed."""
    plan = nets("contract-held", tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            command = held(plan)
            await asyncio.sleep(LEASE_S + 2)
            assert await state(net) == "on"
            begun = time.monotonic()
            os.kill(command.pid, way)
            command.communicate(timeout=20)
            wanted, patience = ("ended", LEASE_S + 5) if way == signal.SIGKILL else ("healed", 5)

            async def over() -> bool:
                return await state(net) == wanted

            await until(over, patience)
            assert command.returncode == (-way if way == signal.SIGKILL else 0)
            assert time.monotonic() - begun < patience

    asyncio.run(story())


def test_it_is_held_over_the_death_of_the_agent(backend: str, tmp_path: Path, state_home: Path) -> None:
    """The next agent knows the lease, and whoever holds it finds the next agent."""
    plan = nets("contract-hover", tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            command = held(plan)
            kill_agent(plan)
            await asyncio.sleep(LEASE_S + 2)
            assert await state(net) == "on"
            command.send_signal(signal.SIGINT)
            _, said = command.communicate(timeout=20)
            assert (command.returncode, await state(net), said) == (0, "healed", "healed\n")

    asyncio.run(story())
