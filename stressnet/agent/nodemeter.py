"""What faults on the processes of nodes achieve: who stands still, who runs, what limits the kernel keeps.

It is compared with what all faults that are on amount to, so it says as well what has become of a fault that is over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping

from stressnet.agent import cgroups
from stressnet.agent.cgroups import Groups
from stressnet.agent.processes import family, stat
from stressnet.agent.runtime import Runtime
from stressnet.agent.supervisor import Supervisor
from stressnet.faults.fault import Fault
from stressnet.faults.figure import TOLERANCES, Figure
from stressnet.faults.squeeze import Limits, squeezes

_CPU_STEP = 1e-3
"""In which control groups count CPUs, 100 us of a period of 100 ms."""
_SPAN_S = 1.0
"""Over which CPU time is measured: ten accounting periods."""
_PATIENCE_S = 3.0
"""How long a node that has been healed may take to run again."""
_PAUSE_S = 0.1

Found = tuple[list[tuple[Figure, str]], list[str]]
"""Figures with the node that each is of, and why there are none of others."""


class NodeMeter:
    """Measures what holds for the processes of one net's nodes."""

    def __init__(self, supervisor: Supervisor, runtime: Runtime, on: Callable[[], Iterable[Fault]]) -> None:
        """`on` returns the faults that are on."""
        self._supervisor = supervisor
        self._runtime = runtime
        self._on = on
        self._work: Mapping[str, Callable[[str], Figure | str]] = {
            "pause": self._paused,
            "memory": self._memory,
        }

    async def figures(self, fault: Fault) -> Found:
        """Measure each node of a fault once."""
        there = [name for name in fault.nodes if name in self._supervisor.observed]
        if fault.kind == "kill":
            return await self._killed(there), []
        figures: list[tuple[Figure, str]] = []
        reasons: list[str] = []
        outcomes = (
            await asyncio.gather(*map(self._cpu, there))
            if fault.kind == "cpu"
            else [self._work[fault.kind](name) for name in there]
        )
        for name, outcome in zip(there, outcomes, strict=True):
            if isinstance(outcome, str):
                reasons.append(outcome)
            else:
                figures.append((outcome, name))
        return figures, reasons

    def _pid(self, name: str) -> int:
        return self._supervisor.observed[name].pid

    def _paused(self, name: str) -> Figure | str:
        if not (pid := self._pid(name)):
            return f"{name} does not run"
        states = [found.state for one in family(pid) if (found := stat(one)) and found.state not in "ZX"]
        still = sum(state in "Tt" for state in states)
        if any(fault.kind == "pause" and name in fault.nodes for fault in self._on()):
            return Figure("processes that run", "count", 0, len(states) - still, 0, 0, len(states))
        return Figure("processes that stand still", "count", 0, still, 0, 0, len(states))

    async def _killed(self, names: Iterable[str]) -> list[tuple[Figure, str]]:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            found = [(self._alive(name), name) for name in names]
            if all(figure.holds for figure, _ in found) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(_PAUSE_S)

    def _alive(self, name: str) -> Figure:
        runs = int(bool(self._pid(name)))
        dead = any(fault.kind == "kill" and name in fault.nodes for fault in self._on())
        return Figure("nodes that run", "count", int(not dead), runs, int(not dead), int(not dead), 1)

    # Limits: what the kernel says that they are, and what was used meanwhile.

    def _wanted(self, name: str) -> Limits:
        node = self._supervisor.plan.node(name)
        return Limits(node.cpu, node.memory).within(squeezes(self._on()).get(name, Limits()))

    def _groups(self, name: str) -> Groups | str:
        """Return a node's own control groups, or why there are none."""
        if not self._pid(name):
            return f"{name} does not run"
        return self._runtime.groups(name) or f"{name} has no control group of its own"

    async def _cpu(self, name: str) -> Figure | str:
        groups, asked = self._groups(name), self._wanted(name).cpu
        if isinstance(groups, str):
            return groups
        try:
            limit = cgroups.cpu_limit(groups)
            if not asked or abs(limit - asked) > _CPU_STEP:
                low, high = asked - _CPU_STEP, asked + _CPU_STEP
                return Figure("limit of CPUs", "cpus", asked, limit, low, high, 1)
        except OSError:
            return f"{name} has ended"
        before, begun = self._cpu_s(name), time.monotonic()
        await asyncio.sleep(_SPAN_S)
        used = max(0.0, self._cpu_s(name) - before) / (time.monotonic() - begun)
        return Figure("CPUs in use", "cpus", asked, used, 0.0, asked + TOLERANCES["cpu"].around(asked), 1)

    def _cpu_s(self, name: str) -> float:
        return sum(found.cpu_s for pid in family(self._pid(name)) if (found := stat(pid)))

    def _memory(self, name: str) -> Figure | str:
        groups, asked = self._groups(name), self._wanted(name).memory
        if isinstance(groups, str):
            return groups
        try:
            limit, used = cgroups.memory_limit(groups), cgroups.memory_used(groups)
        except OSError:
            return f"{name} has ended"
        room = TOLERANCES["memory"].around(asked)
        if not asked or abs(limit - asked) > room:
            return Figure("limit of memory", "size", asked, limit, asked - room, asked + room, 1)
        return Figure("memory in use", "size", asked, used, 0.0, asked + room, 1)
