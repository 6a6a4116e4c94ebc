"""Nodes see another time of day while they run, on every backend, and afterwards the one they had."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contract.nets import live, log, plan_text, python_nodes, replace_agent, until

from stressnet.agent.clockshift import bring, offset_of
from stressnet.backends.base import Backend
from stressnet.engine.faults import Standing, Wish, add, heal, standing
from stressnet.errors import AgentError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

pytestmark = [
    pytest.mark.usefixtures("state_home"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="clocks are shifted on x86_64 alone"),
]

TELL = r"""
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
who = 'parent' if os.fork() else 'child'
while True:
    line = '%s %.6f %.6f\n' % (who, time.time(), time.monotonic())
    os.write(1, line.encode())  # whole, whoever else writes
    time.sleep(0.05)
"""
NEAR_S = 0.03
"""Between the two clocks of a line a busy machine may do something else."""


def plan_of(folder: Path, backend: str, name: str, *nodes: str) -> Plan:
    return plan_text(
        folder, python_nodes(name, dict.fromkeys(nodes, TELL), extra="ready: {log: child}"), backend
    )


async def put(plan: Plan, net: Backend, kind: str, *parameters: str, on: str = "a") -> str:
    fault, _ = await add(net, plan, Wish(kind, parameters, Targets(on=on)), plan.seed)
    return fault.id


async def ahead(net: Backend, node: str) -> dict[str, float]:
    """By how many seconds the clock of each of a node's processes is ahead, from what it writes after this moment."""
    now = time.monotonic()
    ours = time.time() - now
    found: dict[str, float] = {}

    async def all_have_written() -> bool:
        for line in await log(net, node):
            who, wall, monotonic = line.split()
            if float(monotonic) > now:
                found[who] = float(wall) - float(monotonic) - ours
        return len(found) == 2

    await until(all_have_written)
    return found


def about(seconds: float) -> Any:
    return pytest.approx(dict.fromkeys(("parent", "child"), seconds), abs=NEAR_S)


async def list_of(net: Backend) -> list[Standing]:
    return [one for one in await standing(net) if one.fault.kind == "clock"]


async def is_shifted(net: Backend, node: str, seconds: float) -> bool:
    return bool(await ahead(net, node) == about(seconds))


def test_the_time_of_day_is_shifted_for_all_processes_of_a_node(backend: str, tmp_path: Path) -> None:
    """From the moment `add` returns. Two add up; other nodes and the monotonic clock are left alone; it heals."""
    plan = plan_of(tmp_path, backend, "contract-clock", "a", "b")

    async def scene() -> None:
        async with live(plan) as net:
            begun = time.monotonic()
            back = await put(plan, net, "clock", "offset=-30s")
            assert await ahead(net, "a") == about(-30)
            assert await ahead(net, "b") == about(0)
            ahead_by = await put(plan, net, "clock", "offset=1h", on="all")
            assert await ahead(net, "a") == about(3570)
            assert await ahead(net, "b") == about(3600)
            listed = await list_of(net)
            assert [one.state for one in listed] == ["on", "on"]
            figures = [one.achieved["figures"][0] for one in listed]
            assert [(one["node"], one["asked"], one["found"]) for one in figures] == [("a", 3570, 3570)] * 2
            assert [one["how"] for one in figures] == ["in 2 of 2 processes", "in 4 of 4 processes"]
            await heal(net, [back], everything=False)
            assert await ahead(net, "a") == about(3600)
            await heal(net, [ahead_by], everything=False)
            assert await ahead(net, "a") == about(0)
            assert await ahead(net, "b") == about(0)
            listed = await list_of(net)
            assert [one.state for one in listed] == ["healed", "healed"]
            remains = [one.achieved["after"]["figures"][0] for one in listed]
            assert [(one["found"], one["holds"]) for one in remains] == [(3600, True), (0, True)]
            told = [float(line.split()[2]) for line in await log(net, "a") if line.startswith("parent")]
            assert told == sorted(told)
            assert told[-1] <= time.monotonic()
            assert any(moment > begun for moment in told)

    asyncio.run(scene())


def test_who_begins_later_has_it_too(backend: str, tmp_path: Path) -> None:
    """A node that starts again, and a command inside of it, which is another program than what it was forked from."""
    plan = plan_of(tmp_path, backend, "contract-anew", "a")
    ours = time.time() - time.monotonic()
    later = (
        f"import sys, time; time.sleep(3); sys.exit(abs(time.time() - time.monotonic() - {ours} - 30) > 0.1)"
    )

    async def scene() -> None:
        async with live(plan) as net:
            await put(plan, net, "clock", "offset=30s")
            assert await net.execute("a", ["python3", "-c", later]) == 0
            await put(plan, net, "restart")
            await until(lambda: is_shifted(net, "a", 30))
            assert (await list_of(net))[0].state == "on"
            await put(plan, net, "kill")
            await heal(
                net,
                [one.fault.id for one in await standing(net) if one.fault.kind == "kill"],
                everything=False,
            )
            await until(lambda: is_shifted(net, "a", 30))
            await heal(net, [], everything=True)
            assert await ahead(net, "a") == about(0)

    asyncio.run(scene())


def test_a_shifted_clock_outlives_the_agent(backend: str, tmp_path: Path) -> None:
    """A new agent goes on with what is asked, heals it when it is told to, and takes away what nobody asked for."""
    plan = plan_of(tmp_path, backend, "contract-heir", "a")

    async def scene() -> None:
        async with live(plan) as net:
            await put(plan, net, "clock", "offset=30s")
            await replace_agent(plan, net)
            assert await ahead(net, "a") == about(30)
            assert (await list_of(net))[0].state == "on"
            await heal(net, [], everything=True)
            assert await ahead(net, "a") == about(0)
            mine = own_pids(plan)
            assert len(mine) == 2
            bring(lambda: mine, -5_000_000)
            assert await ahead(net, "a") == about(-5)
            await replace_agent(plan, net)
            await until(lambda: is_shifted(net, "a", 0))
            assert [offset_of(pid) for pid in mine] == [0, 0]

    asyncio.run(scene())


def own_pids(plan: Plan) -> list[int]:
    """The processes of a net's nodes, by the program that they run and the net that they belong to."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text()
            host = Path(f"/proc/{pid}/root/etc/hosts").read_text()
        except OSError:
            continue
        if "(who, time.time()" in command and plan.nodes[0].address in host:
            found.append(int(pid))
    return found


def test_a_clock_is_shifted_on_all_nodes_or_on_none(backend: str, tmp_path: Path) -> None:
    """A process that somebody else traces is in the way; it is told which, and healed as soon as it can be."""
    plan = plan_of(tmp_path, backend, "contract-none", "a", "b")

    async def scene() -> None:
        async with live(plan) as net:
            with traced(own_pids(plan)[-1]):
                with pytest.raises(AgentError, match=r"process \d+: it (is traced by|cannot be traced)"):
                    await put(plan, net, "clock", "offset=30s", on="all")
                assert await ahead(net, "a") == about(0)
                assert await ahead(net, "b") == about(0)
            await put(plan, net, "clock", "offset=30s", on="all")
            with traced(own_pids(plan)[-1]):
                await heal(net, [], everything=True)
                assert not await is_gone(net)
            await until(lambda: is_gone(net))
            assert await ahead(net, "a") == about(0)
            assert await ahead(net, "b") == about(0)

    asyncio.run(scene())


async def is_gone(net: Backend) -> bool:
    after = (await list_of(net))[-1].achieved.get("after")
    return bool(after and not after["failed"] and after["figures"][0]["holds"])


@contextmanager
def traced(pid: int) -> Iterator[None]:
    """Have another process trace this one, as a debugger does."""
    program = (
        f"import sys\nfrom stressnet.agent import kernel\nkernel.seize({pid})\nprint()\nsys.stdin.read()"
    )
    command = [sys.executable, "-uc", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tracer:
        assert tracer.stdout
        assert tracer.stdout.readline()
        yield
        tracer.communicate()


def test_a_node_that_is_paused_stays_so(backend: str, tmp_path: Path) -> None:
    """Its clock is shifted while it stands still, and told when it goes on."""
    plan = plan_of(tmp_path, backend, "contract-still", "a")

    async def scene() -> None:
        async with live(plan) as net:
            pause = await put(plan, net, "pause")
            lines = len(await log(net, "a"))
            await put(plan, net, "clock", "offset=30s")
            await asyncio.sleep(0.5)
            assert len(await log(net, "a")) == lines
            await heal(net, [pause], everything=False)
            assert await ahead(net, "a") == about(30)

    asyncio.run(scene())
