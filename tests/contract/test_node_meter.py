"""What faults on nodes achieve is measured: both numbers while one is on, and somebody who undoes it is found out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from contract.nets import live, plan_text, python_nodes, until
from needs import require, require_limits

from stressnet.backends.base import Backend
from stressnet.engine.faults import Standing, Wish, add, heal, standing
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

BUSY = "while True: pass"
STILL = "import time\nwhile True: time.sleep(0.1)"

Holds = Callable[[Standing], bool]


async def fault(net: Backend, name: str, holds: Holds) -> Standing:
    async def found() -> Standing | None:
        one = next(one for one in await standing(net) if one.fault.id == name)
        return one if holds(one) else None

    return await until(found, 40)  # type: ignore[no-any-return]


def measured(one: Standing) -> bool:
    return bool(one.achieved.get("figures"))


def figure(one: Standing) -> tuple[str, float, float]:
    found = one.achieved["figures"][0]
    return found["name"], found["asked"], found["found"]


async def put(net: Backend, plan: Plan, kind: str, *parameters: str, on: str = "n") -> str:
    made, _ = await add(net, plan, Wish(kind, parameters, Targets(on=on)), plan.seed)
    return made.id


def program(plan: Plan, words: str) -> int:
    """The process of a node, as the machine sees it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            if words in line and f"PLAN={plan.net}\0" in Path(f"/proc/{pid}/environ").read_bytes().decode():
                return int(pid)
        except OSError:
            continue
    raise AssertionError("it does not run")


def mark(name: str) -> str:
    """YAML by which `program` knows the processes of a net."""
    return f"env: {{PLAN: c{os.getpid()}-{name.removeprefix('contract-')}}}"


def nets(backend: str, folder: Path, name: str, text: str) -> Plan:
    return plan_text(folder, python_nodes(name, {"n": text}, extra=mark(name)), backend)


def test_a_pause_that_somebody_ended_is_not_achieved(backend: str, tmp_path: Path) -> None:
    plan = nets(backend, tmp_path, "contract-mp", STILL)

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, plan, "pause")
            one = await fault(net, name, measured)
            assert figure(one) == ("processes that run", 0, 0)
            os.kill(program(plan, "time.sleep"), signal.SIGCONT)
            one = await fault(net, name, lambda one: one.state == "not achieved")
            assert figure(one) == ("processes that run", 0, 1)
            await heal(net, [name], everything=False)
            one = await fault(net, name, lambda one: "after" in one.achieved)
            assert one.achieved["after"]["figures"][0]["holds"]

    asyncio.run(story())


def test_a_killed_node_is_dead_and_then_runs(backend: str, tmp_path: Path) -> None:
    plan = nets(backend, tmp_path, "contract-mk", STILL)

    async def story() -> None:
        async with live(plan) as net:
            name = await put(net, plan, "kill")
            assert figure(await fault(net, name, measured)) == ("nodes that run", 0, 0)
            await heal(net, [name], everything=False)
            one = await fault(net, name, lambda one: "after" in one.achieved)
            after = one.achieved["after"]["figures"][0]
            assert (after["asked"], after["found"], after["holds"]) == (1, 1, True)

    asyncio.run(story())


def test_limits_are_those_that_the_kernel_keeps(backend: str, tmp_path: Path) -> None:
    """Use below a limit of CPU, memory below one of memory; a limit that somebody changed is found."""
    require_limits(backend)
    plan = nets(backend, tmp_path, "contract-ml", BUSY)

    async def story() -> None:
        async with live(plan) as net:
            cpu = await put(net, plan, "cpu", "cpu=0.2")
            memory = await put(net, plan, "memory", "memory=256MiB")
            what, asked, found = figure(await fault(net, cpu, measured))
            assert (what, asked) == ("CPUs in use", 0.2)
            assert 0 < found < 0.25
            what, asked, found = figure(await fault(net, memory, measured))
            assert (what, asked) == ("memory in use", 2**28)
            assert found <= 2**28
            if backend == "netns":
                for quota in Path("/sys/fs/cgroup").glob(f"**/stressnet.{plan.net}/n/cpu.cfs_quota_us"):
                    quota.write_text("50000")
                one = await fault(net, cpu, lambda one: measured(one) and figure(one)[0] == "limit of CPUs")
                assert (one.state, figure(one)) == ("not achieved", ("limit of CPUs", 0.2, 0.5))
            await heal(net, [], everything=True)
            for name in (cpu, memory):
                one = await fault(net, name, lambda one: "after" in one.achieved)
                after = one.achieved["after"]["figures"][0]
                assert (after["asked"], after["found"], after["holds"]) == (0, 0, True)

    asyncio.run(story())


def test_no_number_is_made_up_of_a_node_that_does_not_run(tmp_path: Path) -> None:
    require("netns")
    plan = nets("netns", tmp_path, "contract-mn", STILL)

    async def story() -> None:
        async with live(plan) as net:
            await put(net, plan, "kill")
            pause = await put(net, plan, "pause")
            one = await fault(net, pause, lambda one: bool(one.achieved))
            assert one.achieved["not_measured"] == "n does not run"
            assert one.state == "on"

    asyncio.run(story())
