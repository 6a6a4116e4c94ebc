"""Whether a machine has room for one more run: runs that starve each other say nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

BUSY_MOST = 0.55
"""Share of all CPUs in use, over the last LOOK_S, above which no further run begins. What goes on will take more now
and then than it did in these seconds: a net that starts, or a defect that spins."""
LOOK_S = 3.0
"""Seconds over which it is taken; the last run to begin has begun to start its net by then."""


async def wait_for_room(is_needed: Callable[[], bool]) -> None:
    """Return once the CPUs were idle enough for LOOK_S, or room is no longer needed: then nothing goes on that could be
    disturbed."""
    before = _cpu_times()
    while is_needed():
        await asyncio.sleep(LOOK_S)
        now = _cpu_times()
        idle, total = (after - earlier for after, earlier in zip(now, before, strict=True))
        if idle >= (1 - BUSY_MOST) * total:
            return
        before = now


def _cpu_times() -> tuple[int, int]:
    """Return how long the CPUs were idle, and how long all that they did took, in ticks since the boot."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    )
    return idle + iowait, user + nice + system + idle + iowait + irq + softirq + steal
