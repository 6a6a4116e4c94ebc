"""What holds for a node when several faults squeeze it, or fill its disk: of each resource, the narrowest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stressnet.faults.fault import Fault
from stressnet.faults.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a node may use; 0: no limit."""

    cpu: float = 0.0
    """CPUs."""
    memory: int = 0
    """Bytes."""

    def within(self, other: Limits) -> Limits:
        """Return what holds where both do."""
        return Limits(_narrower(self.cpu, other.cpu), int(_narrower(self.memory, other.memory)))


def squeezes(faults: Iterable[Fault]) -> dict[str, Limits]:
    """Return what faults leave to each node that one of them squeezes."""
    found: dict[str, Limits] = {}
    for fault in faults:
        if fault.kind in ("cpu", "memory"):
            amount = float(fault.parameters[fault.kind])
            asked = Limits(cpu=amount) if fault.kind == "cpu" else Limits(memory=int(amount))
            for name in fault.nodes:
                found[name] = found.get(name, Limits()).within(asked)
    return found


def fillings(faults: Iterable[Fault]) -> dict[str, int]:
    """Return how many bytes faults leave free on each node's disk that one of them fills."""
    found: dict[str, int] = {}
    for fault in faults:
        if fault.kind == "disk_full":
            free = int(KINDS["disk_full"].number(fault.parameters, "free"))
            found |= {name: min(free, found.get(name, free)) for name in fault.nodes}
    return found


def _narrower(one: float, other: float) -> float:
    return min(one, other) if one and other else one or other
