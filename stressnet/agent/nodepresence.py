"""What is there of a fault on the processes of nodes, at one moment: who stands still, who runs, limits, room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from stressnet.agent import cgroups
from stressnet.agent.cgroups import Groups
from stressnet.agent.processes import families, stat
from stressnet.agent.runtime import Runtime
from stressnet.faults.fault import Fault
from stressnet.faults.figure import TOLERANCES
from stressnet.faults.presence import Presence

_CPU_STEP = 1e-3
"""In which control groups count CPUs."""

Words = Iterator[tuple[str, str]]
"""For each node with something to say: "missing" or "unseen", and what."""


class NodePresence:
    """Looks at the processes of one net's nodes."""

    def __init__(self, runtime: Runtime, pid_of: Callable[[str], int]) -> None:
        """`pid_of` is a node's main process, 0 where none runs."""
        self._runtime = runtime
        self._pid_of = pid_of
        self._looks: dict[str, Callable[[Fault, Sequence[str]], Words]] = {
            "pause": self._paused,
            "cpu": self._squeezed,
            "memory": self._squeezed,
        }

    def look(self, faults: Sequence[Fault], killed: Collection[str]) -> dict[str, Presence]:
        """Return what is there of each of these faults; `killed` are the nodes that are to be down."""
        return {fault.id: _presence(self._look(fault, killed)) for fault in faults}

    def _look(self, fault: Fault, killed: Collection[str]) -> Words:
        if fault.kind == "kill":
            yield from (("missing", f"{name} runs") for name in fault.nodes if self._pid_of(name))
        elif fault.kind == "disk_full":
            figures, reasons = self._runtime.disks.figures(fault.nodes)
            yield from (
                ("missing", f"{name}: {one.found:.0f} B free") for one, name in figures if not one.holds
            )
            yield from (("unseen", why) for why in reasons)
        else:
            living = [name for name in fault.nodes if self._pid_of(name)]
            down = [name for name in fault.nodes if name not in living and name not in killed]
            yield from (("unseen", f"{name} does not run") for name in down)
            yield from self._looks[fault.kind](fault, living)

    def _paused(self, _: Fault, names: Sequence[str]) -> Words:
        mains = {name: self._pid_of(name) for name in names}
        listed = families(mains.values())
        for name, pid in mains.items():
            states = [found.state for one in listed[pid] if (found := stat(one)) and found.state not in "ZX"]
            if running := sum(state not in "Tt" for state in states):
                yield "missing", f"{name}: {running} of {len(states)} processes run"

    def _squeezed(self, fault: Fault, names: Sequence[str]) -> Words:
        asked = float(fault.parameters[fault.kind])
        for name in names:
            try:
                why = _lack(self._runtime.groups(name), fault.kind, asked, self._pid_of(name))
            except OSError:
                yield "unseen", f"{name} has ended"
            else:
                yield from [("missing", f"{name}: {why}")] if why else []


def _lack(groups: Groups | None, kind: str, asked: float, pid: int) -> str:
    """Return what a node's groups lack of a limit, empty where a process of it is held by no more than what is asked:
    another fault, or the plan, may leave it even less."""
    if groups is None:
        return "no control group"
    if kind == "cpu":
        folder, found, room = groups.cpu, cgroups.cpu_limit(groups), _CPU_STEP
    else:
        folder, found, room = groups.memory, cgroups.memory_limit(groups), TOLERANCES["memory"].around(asked)
    if not 0 < found <= asked + room:
        return f"{f'a limit of {found:g}' if found else 'no limit'} of {kind}"
    return "" if str(pid) in (folder / "cgroup.procs").read_text().split() else "not in its control group"


def _presence(words: Words) -> Presence:
    said = list(words)
    return Presence(*([text for sort, text in said if sort == which] for which in ("missing", "unseen")))
