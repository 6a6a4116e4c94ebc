"""What is there of a fault on the processes of nodes, at one moment: who stands still, who runs, limits, room."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from stressnet.agent import cgroups
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
        read, room = cgroups.cpu_limit, _CPU_STEP
        if fault.kind == "memory":
            read, room = cgroups.memory_limit, TOLERANCES["memory"].around(asked)
        for name in names:
            groups = self._runtime.groups(name)
            try:
                found = read(groups) if groups else 0.0
            except OSError:
                yield "unseen", f"{name} has ended"
                continue
            # Another fault, or the plan, may leave it even less.
            if not 0 < found <= asked + room:
                yield "missing", f"{name}: {f'a limit of {found:g}' if found else 'no limit'} of {fault.kind}"


def _presence(words: Words) -> Presence:
    said = list(words)
    return Presence(*([text for sort, text in said if sort == which] for which in ("missing", "unseen")))
