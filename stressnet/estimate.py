"""What a plan will take of this machine, roughly, against what the machine has."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds
from stressnet.spec.units import format_size

CONTAINER_MEMORY = 12 * 2**20
"""What an engine adds to a node: its shim process."""
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is: memory that could be had, files that could be opened in all and by one process."""

    memory: int
    files: int
    files_each: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory and open files of all nodes, and of the node with most files."""

    memory: int
    files: int
    files_each: int

    def warnings(self, machine: Machine) -> list[str]:
        """Say what the machine does not have."""
        said = []
        if self.memory > machine.memory:
            have = format_size(machine.memory)
            said.append(f"memory: about {format_size(self.memory)} wanted, {have} to be had")
        if self.files > machine.files:
            said.append(f"open files: about {self.files} wanted, {machine.files} to be had (fs.file-max)")
        if self.files_each > machine.files_each:
            limit = machine.files_each
            said.append(f"open files of one node: about {self.files_each}, the limit is {limit} (ulimit -n)")
        return said


def estimate(plan: Plan, kinds: Kinds) -> Estimate:
    """Add up what the kinds say that their nodes take; a memory limit of a node caps its share.

    A disk lies in memory, and is counted whole and beside that limit: what an earlier start of a node has written is
    not counted to it.
    """
    memory = files = most = 0
    extra = CONTAINER_MEMORY if plan.backend == "docker" else 0
    for node in plan.nodes:
        one = kinds.load(node.kind).kind.estimate
        memory += min(one.memory, node.memory or one.memory) + node.disk + extra
        opened = one.files + len(node.knows)
        files += opened
        most = max(most, opened)
    return Estimate(memory, files, most)


def this_machine() -> Machine:
    """Read what this machine has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    each = 2**63 - 1 if hard == resource.RLIM_INFINITY else max(soft, hard)
    used, _, most = (int(word) for word in Path("/proc/sys/fs/file-nr").read_text().split())
    return Machine(min(_available_memory(), *_limits()), most - used, each)


def _available_memory() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 2**63 - 1


def _limits() -> list[int]:
    texts = [Path(path).read_text().strip() for path in _CGROUP_LIMITS if Path(path).exists()]
    return [int(text) for text in texts if text.isdecimal()] or [2**63 - 1]
