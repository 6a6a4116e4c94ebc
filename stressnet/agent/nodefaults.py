"""Faults on the processes of nodes: standing still, ended, started anew, squeezed, without room, at another time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from stressnet.agent.clocks import Clocks
from stressnet.agent.journal import Note
from stressnet.agent.nodepresence import NodePresence
from stressnet.agent.processes import family, stat
from stressnet.agent.runtime import Runtime
from stressnet.agent.squeezing import Squeezing
from stressnet.faults.clock import offsets
from stressnet.faults.fault import Fault
from stressnet.faults.kinds import KINDS
from stressnet.faults.presence import Presence
from stressnet.faults.squeeze import fillings, squeezes

_ROUNDS = 50
"""How often the processes of a node are gone through until none is left that still runs."""
_END_S = 10.0
"""How long a node that is to be killed may take to end by a signal that it may catch."""
_PAUSE_S = 0.01

PidOf = Callable[[str], int]
Start = Callable[[Sequence[str]], Awaitable[None]]


class NodeFaults:
    """What holds for the processes of one net's nodes."""

    def __init__(self, runtime: Runtime, directory: Path, pid_of: PidOf, start: Start, note: Note) -> None:
        """`pid_of` is a node's main process, 0 where none runs; `start` lets nodes begin that have ended."""
        self._runtime = runtime
        self._squeezing = Squeezing(runtime, directory)
        self.clocks = Clocks(pid_of, note)
        self._presence = NodePresence(runtime, pid_of)
        self._pid_of = pid_of
        self._start = start
        self._paused: set[str] = set()
        self._killed: set[str] = set()

    async def problem(self, fault: Fault) -> str:
        """Return why this fault cannot be here, empty where it can."""
        kind = KINDS.get(fault.kind)  # none for what a kind of node declares
        if kind and kind.needs == "cgroups":
            return await self._runtime.limits_problem()
        if kind and kind.needs == "clock":
            return await self.clocks.problem()
        lacking = self._runtime.disks.lacking(fault.nodes) if fault.kind == "disk_full" else []
        return f"no disk of its own: {', '.join(lacking)}" if lacking else ""

    async def hold(self, faults: Iterable[Fault], there: Iterable[str]) -> None:
        """Have these faults on, and no others. `there` are all nodes of the net."""
        faults, there = list(faults), list(there)
        await self._squeezing.hold(squeezes(faults), there)
        self._runtime.disks.hold({name: free for name, free in fillings(faults).items() if name in there})
        await self.clocks.hold(offsets(faults), there)
        paused = _nodes_of(faults, "pause")
        for name in sorted(paused - self._paused):
            freeze(self._pid_of(name))
        for name in sorted(self._paused - paused):
            thaw(self._pid_of(name))
        self._paused = paused
        await self._hold_killed(faults)

    async def _hold_killed(self, faults: Iterable[Fault]) -> None:
        signals = {
            name: signal.Signals[str(KINDS["kill"].complete(fault.parameters)["signal"])]
            for fault in faults
            if fault.kind == "kill"
            for name in fault.nodes
        }
        fresh = signals.keys() - self._killed
        await asyncio.gather(*(self._end(name, signals[name]) for name in sorted(fresh)))
        over = sorted(self._killed - signals.keys())
        self._killed = set(signals)
        if over:
            await self._start(over)

    async def _end(self, name: str, number: signal.Signals) -> None:
        pid = self._pid_of(name)
        if not pid:
            return
        os.kill(pid, number)
        for _ in range(int(_END_S / _PAUSE_S)):
            if self._pid_of(name) != pid:
                return
            await asyncio.sleep(_PAUSE_S)
        raise OSError(f"{name} goes on after {number.name}")

    async def look(self, faults: Sequence[Fault]) -> dict[str, Presence]:
        """Return what is there of each of these faults."""
        of_clocks = [fault for fault in faults if fault.kind == "clock"]
        others = [fault for fault in faults if fault.kind != "clock"]
        killed = frozenset(self._killed)
        found = await self.clocks.look(of_clocks, killed) if of_clocks else {}
        return found | await asyncio.to_thread(self._presence.look, others, killed)

    async def restart(self, fault: Fault) -> None:
        """Stop nodes as their kinds say, and start them again with what they had written.

        Those that are to begin afresh are left to the controller: it has their first files.
        """
        await asyncio.gather(*(self._runtime.stop(name) for name in fault.nodes if self._pid_of(name)))
        if KINDS["restart"].complete(fault.parameters)["data"] == "kept":
            await self._start(fault.nodes)

    def started(self, name: str) -> None:
        """A node that starts while it is meant to stand still, or to see another time, does so from its beginning."""
        self.clocks.started(name)
        if name in self._paused:
            freeze(self._pid_of(name))


def _nodes_of(faults: Iterable[Fault], kind: str) -> set[str]:
    return {name for fault in faults if fault.kind == kind for name in fault.nodes}


def freeze(pid: int) -> None:
    """Stop a node's main process and all that it has started; whatever they start meanwhile is stopped too."""
    for _ in range(_ROUNDS):
        running = [one for one in family(pid) if (found := stat(one)) and found.state not in "TtZX"]
        if not running:
            return
        _send(running, signal.SIGSTOP)


def thaw(pid: int) -> None:
    """Let a node's processes go on."""
    _send(family(pid), signal.SIGCONT)


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
