"""The time of day that the nodes of one net see: shifted as faults ask, also for processes that begin later.

Nothing is remembered: what is on is read from the processes. So an agent that comes after another first looks at all
nodes, and takes away what no fault accounts for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from stressnet.agent.clockshift import Outcome, bring, offset_of
from stressnet.agent.clocktrial import tried
from stressnet.agent.processes import families, family
from stressnet.faults.clock import MICROSECOND
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure
from stressnet.faults.presence import Presence

_LOOK_S = 1.0
"""Between two looks for processes that have begun, or have become another program."""

Made = TypeVar("Made")


class Clocks:
    """Keeps the clocks of one net's nodes."""

    def __init__(self, pid_of: Callable[[str], int], note: Callable[..., None]) -> None:
        """`pid_of` is a node's main process, 0 where none runs."""
        self._pid_of = pid_of
        self._note = note
        self._wanted: dict[str, int] = {}
        self._there: set[str] = set()
        self._pending: set[str] = set()
        """Nodes that are not known to be as they should be."""
        self._found: dict[str, Outcome] = {}
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._able = False

    async def problem(self) -> str:
        """Return why clocks cannot be shifted here, empty where they can."""
        if not self._able:
            if why := await _in_own_thread(tried):
                return why
            self._able = True
        return ""

    async def hold(self, wanted: Mapping[str, int], there: Iterable[str]) -> None:
        """Have nodes ahead by so many microseconds, all others as they are; `failures` says what did not come of it.

        `there` are all nodes of the net; they are looked at once, for what an earlier agent has left.
        """
        before, known, self._there = self._wanted, self._there, set(there)
        self._wanted = {name: offset for name, offset in wanted.items() if offset and name in self._there}
        self._found = {name: found for name, found in self._found.items() if name in self._there}
        self._pending &= self._there
        self._pending |= (self._there - known) | {
            name for name in self._there if before.get(name, 0) != self._wanted.get(name, 0)
        }
        await self._look(set(self._pending))

    def started(self, name: str) -> None:
        """Shift the clock of a node that has just begun, where it should be."""
        if name in self._wanted:
            self._pending.add(name)
            self._wake.set()

    async def run(self) -> None:
        """Look after processes that begin, until cancelled."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), _LOOK_S)
                due = set(self._pending)  # a node has just begun, and waits for no other
            except TimeoutError:
                due = self._pending | self._wanted.keys()
            self._wake.clear()
            await self._look(due)

    async def _look(self, names: Iterable[str]) -> None:
        async with self._lock:
            mains = {name: self._pid_of(name) for name in names if name in self._there}
            running = {name: pid for name, pid in mains.items() if pid}
            wanted = {name: self._wanted.get(name, 0) for name in running}
            found = await _in_own_thread(partial(_bring_all, running, wanted)) if running else {}
            for name in mains:
                self._take(name, found.get(name, Outcome()))

    def _take(self, name: str, found: Outcome) -> None:
        before, self._found[name] = self._found.get(name, Outcome()), found
        offsets = set(found.offsets_us)
        if offsets <= {self._wanted.get(name, 0)}:
            self._pending.discard(name)
        else:
            self._pending.add(name)
        if offsets != set(before.offsets_us) and offsets | set(before.offsets_us) != {0}:
            figure = self._figure(name).to_raw() if offsets else {}
            self._note("clock found", node=name, why=list(found.why.values()), **figure)

    async def look(self, faults: Sequence[Fault], killed: Collection[str]) -> dict[str, Presence]:
        """Return of each of these faults which nodes do not have the time that all on them amount to, as their main
        processes have it: those that they start have it a moment later. `killed` are nodes that are to be down."""
        async with self._lock:
            names = {name for fault in faults for name in fault.nodes} & self._there
            mains = {name: pid for name in names - self._pending if (pid := self._pid_of(name))}
            found = await asyncio.to_thread(_offsets, mains)
        return {fault.id: self._presence(fault, found, killed) for fault in faults}

    def _presence(self, fault: Fault, found: Mapping[str, int | None], killed: Collection[str]) -> Presence:
        wanted = {name: self._wanted.get(name, 0) for name in fault.nodes}
        wrong = [name for name in fault.nodes if name in found and found[name] != wanted[name]]
        unknown = [name for name in fault.nodes if name not in found and name not in killed]
        return Presence(
            [f"{name}: its clock is not ahead by {wanted[name] * MICROSECOND:g} s" for name in wrong],
            [f"{name}: nothing is known of its clock just now" for name in unknown],
        )

    def failures(self, fault: Fault) -> dict[str, str]:
        """Return why nodes of a fault do not have the clock that they should have, by node."""
        return {
            name: f"process {pid}: {words}"
            for name in fault.nodes
            if name in self._found
            for pid, words in list(self._found[name].why.items())[:1]
        }

    def achieved(self, fault: Fault) -> dict[str, Any]:
        """Return what the clocks of a fault's nodes were last found to be: of all, what is furthest from what is asked.

        What is asked is the sum of all faults on a node.
        """
        running = [name for name in fault.nodes if self._found.get(name, Outcome()).offsets_us]
        failed = self.failures(fault)
        if not running:
            return {"figures": [], "not_measured": _who_is_down(fault.nodes), "failed": failed}
        worst = max(running, key=lambda name: self._figure(name).far)
        figure = {**self._figure(worst).to_raw(), "how": self._how(running), "node": worst}
        return {"figures": [figure], "not_measured": "", "failed": failed}

    def _figure(self, name: str) -> Figure:
        asked, offsets = self._wanted.get(name, 0), self._found[name].offsets_us
        worst = max((one or 0 for one in offsets), key=lambda one: abs(one - asked))
        at = asked * MICROSECOND
        return Figure("clock", "duration", at, worst * MICROSECOND, at, at, len(offsets), self._how([name]))

    def _how(self, names: Iterable[str]) -> str:
        found = [(one, self._wanted.get(name, 0)) for name in names for one in self._found[name].offsets_us]
        return f"in {sum(one == asked for one, asked in found)} of {len(found)} processes"


def _who_is_down(names: Sequence[str]) -> str:
    return f"{names[0]} does not run" if len(names) == 1 else f"{len(names)} nodes do not run"


def _bring_all(mains: Mapping[str, int], wanted: Mapping[str, int]) -> dict[str, Outcome]:
    """Bring nodes to their offsets. All processes are listed once; again only for a node where something was done."""
    listed = families(mains.values())

    def processes(pid: int) -> list[int]:
        return listed.pop(pid, None) or family(pid)

    return {name: bring(partial(processes, pid), wanted[name]) for name, pid in mains.items()}


def _offsets(mains: Mapping[str, int]) -> dict[str, int | None]:
    found = {}
    for name, pid in mains.items():
        with suppress(OSError):  # it ends right now
            found[name] = offset_of(pid)
    return found


async def _in_own_thread(work: Callable[[], Made]) -> Made:
    """Do work in a thread that ends with it: its end lets go whatever it still holds (see `standstill`)."""
    with ThreadPoolExecutor(1) as own:
        return await asyncio.get_running_loop().run_in_executor(own, work)
