"""What the kernel says of processes: who is in which network namespace, what they use, when they began."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stat:
    """Fields of /proc/PID/stat (proc(5)): `began` is in clock ticks since the machine's start."""

    state: str
    session: int
    began: int
    cpu_s: float
    children_cpu_s: float
    """Of those that it has waited for."""
    rss_bytes: int
    threads: int


def stat(pid: int) -> Stat | None:
    """Read one process, None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return read_stat(file.read())
    except (FileNotFoundError, ProcessLookupError):
        return None


def read_stat(text: bytes) -> Stat:
    """Read the text of a /proc/PID/stat."""
    fields = text.rpartition(b")")[2].split()
    return Stat(
        state=fields[0].decode(),
        session=int(fields[3]),
        began=int(fields[19]),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS,
        children_cpu_s=(int(fields[13]) + int(fields[14])) / _TICKS,
        rss_bytes=int(fields[21]) * _PAGE,
        threads=int(fields[17]),
    )


def started_at(pid: int) -> float:
    """Return when a process began, as Unix seconds; now where it is gone already."""
    found = stat(pid)
    if found is None:
        return time.time()
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + found.began / _TICKS


def runs(pid: int) -> bool:
    """Tell whether a process is there, and not a zombie that waits for burial."""
    found = stat(pid)
    return found is not None and found.state not in "ZX"


def namespace_inode(path: str) -> int:
    """Return the number that tells one namespace from another while both live."""
    return os.stat(path).st_ino


def network_of(pid: int) -> int:
    """Return the inode of a process's network namespace, 0 where it is gone."""
    try:
        return namespace_inode(f"/proc/{pid}/ns/net")
    except OSError:
        return 0


def family(pid: int) -> list[int]:
    """Return a node's processes: all of the PID namespace of its main process."""
    return families([pid])[pid]


def families(pids: Iterable[int]) -> dict[int, list[int]]:
    """Return the processes of several nodes by their main processes, from one look at all that run.

    Our own namespace is never a node's: its processes would be everybody's, whose id had just come round.
    """
    found: dict[int, list[int]] = {pid: [] for pid in pids}
    strangers = (0, place(os.getpid()))
    mains = {where: pid for pid in found if pid and (where := place(pid)) not in strangers}
    for one in map(int, filter(str.isdigit, os.listdir("/proc"))) if mains else ():
        where = place(one)
        if where in mains:
            found[mains[where]].append(one)
    return found


def place(pid: int) -> int:
    """Return the number of a process's PID namespace, 0 where it is gone."""
    try:
        return namespace_inode(f"/proc/{pid}/ns/pid")
    except OSError:
        return 0
