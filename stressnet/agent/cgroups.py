"""Limits of CPU and memory by control groups, version 1 and 2, where this process may write them.

A net's groups are called `stressnet.<net>/<node>`, on version 1 below the group that the program itself runs
in, so that a limit on us stays a limit on all. On version 2 a group with processes cannot have limited
children, so there they are below the nearest group above that has none and that this user may divide: the root
for root, and what a service manager has delegated to an ordinary user.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PREFIX = "stressnet."
_NO_LIMIT = 2**62
"""Version 1 writes no limit as nearly this, or twice."""
PERIOD_US = 100_000
"""The CPU controller's accounting period; the kernel's own default."""


@dataclass(frozen=True, slots=True)
class Controllers:
    """Where the groups of CPU and memory are made. On version 2 both are the same folder."""

    version: int
    cpu: Path
    memory: Path

    def group(self, net: str, node: str) -> tuple[Path, ...]:
        """Return the folders of a node's group, without doubles."""
        return tuple(dict.fromkeys(base / f"{PREFIX}{net}" / node for base in (self.cpu, self.memory)))


@dataclass(frozen=True, slots=True)
class Groups:
    """Folders of one node's own groups; on version 2 both are the same."""

    cpu: Path
    memory: Path


def version() -> int:
    """Return which version of control groups has the controllers here."""
    return 2 if (ROOT / "cgroup.controllers").exists() else 1


def find() -> Controllers | None:
    """Return the controllers that this process may use, None where it may not or there are none."""
    own = dict(_own_groups())
    if version() == 2:
        parent = next(filter(_may_be_divided, _upwards(own.get("", "/"))), None)
        return Controllers(2, parent, parent) if parent else None
    if "cpu" not in own or "memory" not in own:
        return None
    cpu, memory = (ROOT / name / own[name].lstrip("/") for name in ("cpu", "memory"))
    usable = all(os.access(path, os.W_OK) for path in (cpu, memory))
    return Controllers(1, cpu, memory) if usable else None


def _own_groups() -> Iterator[tuple[str, str]]:
    """Yield the group of this process in each hierarchy; the name of that of version 2 is empty."""
    for line in OWN.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path


def _upwards(own: str) -> Iterator[Path]:
    """Yield this process's group and those above it, as far as they can be seen from here."""
    group = ROOT / own.lstrip("/")
    if ".." not in group.parts:
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(ROOT))


def _may_be_divided(group: Path) -> bool:
    """Tell whether limited groups can be made right below, and processes be moved there from where we are."""
    try:
        offered = (group / "cgroup.controllers").read_text().split()
        # Only the machine's own root, which alone has no type, may have both processes and limited children.
        crowded = (group / "cgroup.type").exists() and (group / "cgroup.procs").read_text() != ""
    except OSError:
        return False
    needed = (group, group / "cgroup.subtree_control", group / "cgroup.procs")
    return (
        {"cpu", "memory"} <= set(offered) and not crowded and all(os.access(path, os.W_OK) for path in needed)
    )


def make(found: Controllers, net: str, node: str, *, cpu: float, memory: int) -> tuple[str, ...]:
    """Make a node's group, or take the one there is, with these limits (0: none).

    Return the files that a process id is written to.

    On version 1 a limit of memory below what is in use is refused by the kernel, as OSError; on version 2 it kills.
    """
    if found.version == 2:
        for parent in (found.cpu, found.cpu / f"{PREFIX}{net}"):
            parent.mkdir(exist_ok=True)
            (parent / "cgroup.subtree_control").write_text("+cpu +memory")
    folders = found.group(net, node)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    cpu_folder, memory_folder = folders[0], folders[-1]
    quota = round(cpu * PERIOD_US)
    if found.version == 1:
        _write(cpu_folder, "cpu.cfs_quota_us", quota or -1)
        # Memory with swap may never be less than memory without, so it goes out of the way first.
        _write_where_there(memory_folder, "memory.memsw.limit_in_bytes", -1)
        _limit_memory(memory_folder, node, memory or -1)
        _write_where_there(memory_folder, "memory.memsw.limit_in_bytes", memory or -1)
    else:
        _write(cpu_folder, "cpu.max", f"{quota or 'max'} {PERIOD_US}")
        _write(memory_folder, "memory.max", memory or "max")
        _write_where_there(memory_folder, "memory.swap.max", 0 if memory else "max")
    return tuple(str(folder / "cgroup.procs") for folder in folders)


def _limit_memory(folder: Path, node: str, limit: int) -> None:
    try:
        _write(folder, "memory.limit_in_bytes", limit)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        used = int((folder / "memory.usage_in_bytes").read_text()) / 2**20
        raise OSError(
            errno.EBUSY,
            f"{node} uses {used:.0f} MiB, more than {limit / 2**20:.0f} MiB, and this kernel takes none of it away",
        ) from error


def own_groups(found: Controllers, net: str, node: str) -> Groups | None:
    """Return a node's groups, None where it has none."""
    folders = found.group(net, node)
    return Groups(folders[0], folders[-1]) if all(folder.is_dir() for folder in folders) else None


def groups_inside(pid: int) -> Groups | None:
    """Return the groups of a container, as its own processes see them: one of these is `pid`."""
    root = Path(f"/proc/{pid}/root{ROOT}")
    if (root / "cgroup.controllers").exists():
        return Groups(root, root)
    groups = Groups(root / "cpu", root / "memory")
    return groups if groups.cpu.is_dir() and groups.memory.is_dir() else None


def cpu_limit(groups: Groups) -> float:
    """Return the CPUs that a group may use, 0 for no limit. OSError where it is gone, here and in what follows."""
    if (groups.cpu / "cpu.max").exists():
        quota, period = (groups.cpu / "cpu.max").read_text().split()
        return 0.0 if quota == "max" else int(quota) / int(period)
    limit = int((groups.cpu / "cpu.cfs_quota_us").read_text())
    return limit / int((groups.cpu / "cpu.cfs_period_us").read_text()) if limit > 0 else 0.0


def memory_limit(groups: Groups) -> int:
    """Return the bytes that a group may use, 0 for no limit."""
    if (groups.memory / "memory.max").exists():
        text = (groups.memory / "memory.max").read_text().strip()
        return 0 if text == "max" else int(text)
    limit = int((groups.memory / "memory.limit_in_bytes").read_text())
    return limit if limit < _NO_LIMIT else 0


def memory_used(groups: Groups) -> int:
    """Return the bytes that a group uses."""
    name = "memory.current" if (groups.memory / "memory.current").exists() else "memory.usage_in_bytes"
    return int((groups.memory / name).read_text())


def join(groups: Sequence[str], members: Callable[[], Sequence[int]]) -> None:
    """Move processes into groups, until what `members` tells then has no others: they may start more meanwhile."""
    moved: set[int] = set()
    while fresh := set(members()) - moved:
        for pid in fresh:
            for group in groups:
                with suppress(ProcessLookupError):
                    Path(group).write_text(str(pid))
        moved |= fresh


def out_of_memory_kills(found: Controllers, net: str, node: str) -> int:
    """Return how often the kernel has killed in a node's group for want of memory."""
    folder = found.group(net, node)[-1]
    name = "memory.oom_control" if found.version == 1 else "memory.events"
    try:
        lines = (folder / name).read_text().splitlines()
    except FileNotFoundError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def nets() -> set[str]:
    """Return the nets of this user that have groups, wherever in the tree the program ran that made them."""
    return {path.name.removeprefix(PREFIX) for path in _net_groups("*") if _owner(path) == os.geteuid()}


def _owner(path: Path) -> int:
    try:
        return path.stat().st_uid
    except OSError:
        return -1


def _net_groups(net: str) -> Iterator[Path]:
    for base in (ROOT,) if version() == 2 else (ROOT / "cpu", ROOT / "memory"):
        # os.walk, because it passes over groups that vanish while it looks.
        for folder, names, _ in os.walk(base):
            yield from (Path(folder, name) for name in names if fnmatchcase(name, f"{PREFIX}{net}"))


def remove(found: Controllers, net: str, node: str) -> None:
    """Remove a node's group; its processes must have ended."""
    for folder in found.group(net, node):
        _rmdir(folder)


def remove_net(net: str) -> None:
    """Remove all groups of a net; what still holds a process stays."""
    for parent in list(_net_groups(net)):
        for folder in parent.glob("*/"):
            _rmdir(folder)
        _rmdir(parent)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return


def _write(folder: Path, name: str, value: object) -> None:
    (folder / name).write_text(str(value))


def _write_where_there(folder: Path, name: str, value: object) -> None:
    if (folder / name).exists():
        _write(folder, name, value)
