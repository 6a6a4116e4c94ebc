"""Squeezes of running nodes, and nodes that begin afresh: the same on every backend, and gone when healed."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contract.nets import live, plan_text, python_nodes, replace_agent, until
from needs import require_limits

from stressnet.agent import cgroups
from stressnet.backends.base import Backend
from stressnet.engine.faults import Wish, add, heal, standing
from stressnet.errors import AgentError, InputError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

pytestmark = pytest.mark.usefixtures("state_home")

_PERIOD_S = cgroups.PERIOD_US / 1e6
SPIN = "import os\nif os.fork(): print('both spin')\nwhile True: pass"
GROW = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
held = []
while True:
    time.sleep(0.05)
    if os.path.exists('grow'): held.append(os.urandom(2**20))
"""
COUNT = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
starts = open('starts', 'a+')
starts.write('x'); starts.flush()
while True: time.sleep(600)
"""


@dataclass(frozen=True)
class Group:
    """A node's control groups, as the machine shows them to everybody."""

    cpu: Path
    memory: Path

    def __post_init__(self) -> None:
        assert self.cpu.is_dir(), self.cpu

    @property
    def version_2(self) -> bool:
        return (self.cpu / "cpu.max").exists()

    def members(self) -> set[int]:
        return {int(line) for line in (self.cpu / "cgroup.procs").read_text().split()}

    def cpus(self) -> float:
        """The limit that is on, 0: none."""
        if self.version_2:
            quota, period = (self.cpu / "cpu.max").read_text().split()
            return 0.0 if quota == "max" else int(quota) / int(period)
        quota_us = int((self.cpu / "cpu.cfs_quota_us").read_text())
        return max(0, quota_us) / int((self.cpu / "cpu.cfs_period_us").read_text())

    def bytes(self) -> int:
        """The limit that is on, 0: none."""
        name = "memory.max" if self.version_2 else "memory.limit_in_bytes"
        found = (self.memory / name).read_text().strip()
        return 0 if found == "max" or int(found) >= 2**63 - os.sysconf("SC_PAGE_SIZE") else int(found)

    def throttled(self) -> int:
        """In how many periods the kernel has held its processes back."""
        words = (self.cpu / "cpu.stat").read_text().split()
        return int(words[words.index("nr_throttled") + 1])

    def used_s(self) -> float:
        """What its processes have used: they live as long as the net."""
        ticks = 0
        for pid in self.members():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


async def observed(net: Backend, node: str) -> dict[str, Any]:
    async with await net.connect() as agent:
        return dict((await agent.call("status"))["nodes"][node])


async def group(plan: Plan, net: Backend, node: str) -> Group:
    if plan.backend == "netns":
        found = cgroups.find()
        assert found is not None
        folders = found.group(plan.net, node)
        return Group(folders[0], folders[-1])
    pid = (await observed(net, node))["pid"]
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    places = {name: path.lstrip("/") for _, names, path in lines for name in names.split(",")}
    if (cgroups.ROOT / "cgroup.controllers").exists():
        return Group(cgroups.ROOT / places[""], cgroups.ROOT / places[""])
    return Group(cgroups.ROOT / "cpu" / places["cpu"], cgroups.ROOT / "memory" / places["memory"])


async def put(plan: Plan, net: Backend, kind: str, *parameters: str, on: str) -> str:
    fault, _ = await add(net, plan, Wish(kind, parameters, Targets(on=on)), plan.seed)
    return fault.id


def squeezable(name: str, programs: dict[str, str], backend: str, folder: Path, **options: Any) -> Plan:
    require_limits(backend)
    return plan_text(folder, python_nodes(name, programs, **options), backend)


def test_cpu_is_squeezed_and_healed_to_what_the_plan_gives(backend: str, tmp_path: Path) -> None:
    """All processes of a node together are held back, the narrowest wins, and healing gives back exactly what was."""
    require_limits(backend)
    text = python_nodes("contract-cpu", {"free": SPIN, "own": SPIN}, extra="ready: {log: both spin}")
    plan = plan_text(tmp_path, text.replace("  own:", "  own:\n    cpu: 0.8"), backend)

    async def scene() -> None:
        async with live(plan) as net:
            own = await group(plan, net, "own")
            assert own.cpus() == 0.8
            wide = await put(plan, net, "cpu", "cpu=0.4", on="all")
            narrow = await put(plan, net, "cpu", "cpu=0.1", on="free,own")
            free = await group(plan, net, "free")
            for squeezed in (free, own):
                assert len(squeezed.members()) == 2
                assert squeezed.cpus() == 0.1
                before, used, begun = squeezed.throttled(), squeezed.used_s(), time.monotonic()
                await until(_more(squeezed, before + 20))
                spent, periods = squeezed.used_s() - used, (time.monotonic() - begun) / _PERIOD_S
                # A bound that no busy machine can break: a period more on either side, and some ticks of 10 ms: what
                # is used is counted in them, and whoever has used up a share runs on until the next.
                assert spent <= 0.1 * _PERIOD_S * (periods + 2) + 0.1
                print(f"cpu: 0.1 used {spent / (periods * _PERIOD_S):.3f}")
            await heal(net, [narrow], everything=False)
            assert (free.cpus(), own.cpus()) == (0.4, 0.4)
            await put(plan, net, "cpu", "cpu=0.9", on="own")
            await heal(net, [wide], everything=False)
            assert (free.cpus(), own.cpus()) == (0.0, 0.8)
            held = free.throttled()
            used = free.used_s()
            await until(_has_used(free, used + 0.5))
            assert free.throttled() <= held + 1
            await heal(net, [], everything=True)
            assert own.cpus() == 0.8

    asyncio.run(scene())


def _more(squeezed: Group, count: int) -> Any:
    async def question() -> bool:
        return squeezed.throttled() >= count

    return question


def _has_used(squeezed: Group, seconds: float) -> Any:
    async def question() -> bool:
        return squeezed.used_s() >= seconds

    return question


async def _tell_to_grow(net: Backend, node: str) -> None:
    assert await net.execute(node, ["touch", "grow"]) == 0


def test_a_node_squeezed_of_memory_is_killed_for_it(backend: str, tmp_path: Path) -> None:
    """It is said why it ended; it starts again squeezed, also by another agent; healed, it may grow."""
    plan = squeezable("contract-memory", {"hog": GROW}, backend, tmp_path)

    async def ended(net: Backend) -> dict[str, Any] | None:
        now = await observed(net, "hog")
        return now if now["state"] == "exited" else None

    async def scene() -> None:
        async with live(plan) as net:
            squeeze = await put(plan, net, "memory", "memory=48MiB", on="hog")
            assert (await group(plan, net, "hog")).bytes() == 48 * 2**20
            await _tell_to_grow(net, "hog")
            now = await until(lambda: ended(net))
            assert now["reason"] == "out of memory"
            await replace_agent(plan, net)
            await put(plan, net, "restart", on="hog")
            now = await until(lambda: ended(net))
            assert (now["reason"], now["starts"]) == ("out of memory", 2)
            await heal(net, [squeeze], everything=False)
            await put(plan, net, "restart", "data=fresh", on="hog")
            await until(lambda: _runs(net, "hog"))
            await put(plan, net, "memory", "memory=1GiB", on="hog")
            await heal(net, [], everything=True)
            assert (await group(plan, net, "hog")).bytes() == 0

    asyncio.run(scene())


async def _runs(net: Backend, node: str) -> bool:
    return bool((await observed(net, node))["pid"])


def test_a_squeeze_outlives_the_agent_and_ends_with_its_fault(backend: str, tmp_path: Path) -> None:
    """A new agent finds it on, and puts back what the plan gives when it is healed."""
    plan = squeezable("contract-lasting", {"a": COUNT}, backend, tmp_path, extra="memory: 256MiB")

    async def scene() -> None:
        async with live(plan) as net:
            squeezed = await group(plan, net, "a")
            ids = [await put(plan, net, kind, value, on="a") for kind, value in _BOTH]
            assert (squeezed.cpus(), squeezed.bytes()) == (0.5, 64 * 2**20)
            await replace_agent(plan, net)
            assert [one.fault.id for one in await standing(net) if not one.over] == ids
            assert (squeezed.cpus(), squeezed.bytes()) == (0.5, 64 * 2**20)
            await replace_agent(plan, net)
            assert await put(plan, net, "cpu", "cpu=0.9", on="a") not in ids  # a name is given once
            await heal(net, [], everything=True)
            assert (squeezed.cpus(), squeezed.bytes()) == (0.0, 256 * 2**20)

    asyncio.run(scene())


_BOTH = (("cpu", "cpu=0.5"), ("memory", "memory=64MiB"))


def test_a_node_begins_afresh_with_its_first_files_alone(backend: str, tmp_path: Path) -> None:
    """What it had written is gone, its first files are there, its faults are still on; who keeps data is refused."""
    text = python_nodes("contract-afresh", {"a": COUNT, "b": COUNT}).replace("  b:", "  b:\n    data: kept")
    plan = plan_text(tmp_path, text, backend)

    async def scene() -> None:
        async with live(plan) as net:
            has_started = ["grep", "-qx", "xx", "starts"]
            await put(plan, net, "restart", on="a")
            await until(lambda: _says_yes(net, has_started))
            await put(plan, net, "restart", "data=fresh", on="a")
            await until(lambda: _says_yes(net, ["grep", "-qx", "x", "starts"]))
            assert not await _says_yes(net, has_started)
            with pytest.raises(InputError, match="b keeps its data"):
                await put(plan, net, "restart", "data=fresh", on="all")
            assert (await observed(net, "b"))["starts"] == 1

    asyncio.run(scene())


async def _says_yes(net: Backend, question: list[str]) -> bool:
    try:
        return await net.execute("a", question) == 0
    except (AgentError, LookupError):
        return False
