"""What the machine itself is doing: a sick host must not be blamed on a node."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stressnet.agent.nodefigures import pressure
from stressnet.agent.processes import stat
from stressnet.record.samples import HostSample

_TICKS = os.sysconf("SC_CLK_TCK")


class HostFigures:
    """Looks at the machine; knows when it has looked before."""

    def __init__(self, directory: Path) -> None:
        """`directory` is on the disk whose room is told."""
        self._directory = directory
        self._before: tuple[float, float] | None = None

    def look(self, late_s: float, relays: Iterable[int]) -> HostSample:
        """Return how the machine is now. `relays` are process ids of relays."""
        at, monotonic = time.time(), time.monotonic()
        jump = 0.0
        if self._before is not None:
            jump = (at - self._before[0]) - (monotonic - self._before[1])
        self._before = at, monotonic
        cpu = [int(word) / _TICKS for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
        usage = [found for pid in relays if (found := stat(pid))]
        own = stat(os.getpid())
        return HostSample(
            at=at,
            monotonic=monotonic,
            late_s=late_s,
            clock_jump_s=jump,
            cpus=os.cpu_count() or 1,
            busy_s=sum(cpu[:3]) + sum(cpu[5:7]),
            steal_s=cpu[7],
            iowait_s=cpu[4],
            cpu_pressure_s=_pressure("cpu"),
            memory_pressure_s=_pressure("memory"),
            io_pressure_s=_pressure("io"),
            load=os.getloadavg()[0],
            memory_free_bytes=_memory_free(),
            disk_free_bytes=_disk_free(self._directory),
            agent_cpu_s=own.cpu_s if own else 0.0,
            agent_rss_bytes=own.rss_bytes if own else 0,
            relays_cpu_s=sum(one.cpu_s for one in usage),
            relays_rss_bytes=sum(one.rss_bytes for one in usage),
        )


def _pressure(resource: str) -> float | None:
    with suppress(OSError, ValueError, StopIteration):
        return pressure(Path(f"/proc/pressure/{resource}").read_text())
    return None


def _memory_free() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _disk_free(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
