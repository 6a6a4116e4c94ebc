"""Room on this machine for one more run beside others: runs that starve each other say nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

BUSY_MOST = 0.55
"""Share of all CPUs in use, over the last LOOK_S, above which no further run begins: a net that starts takes more than
it does afterwards."""
LOOK_S = 3.0
"""Seconds over which it is taken; the last run to begin has begun to start its net by then."""
_FULL = 0.75
"""Share of all CPUs that runs may need together. Of a defect that spins, 19 of 20 runs beside three or four others
could not say whether it was these that kept its nodes waiting."""


class Room:
    """What the CPUs do now, and what runs of each variant have needed at their busiest."""

    def __init__(self) -> None:
        self._cpus = os.cpu_count() or 1
        self._needs: dict[str, float] = {}

    def learn(self, variant: str, cores: float) -> None:
        """Remember how many CPUs a run has used at its busiest."""
        self._needs[variant] = max(cores, self._needs.get(variant, 0.0))

    def fits(self, going: Iterable[str], variant: str) -> bool:
        """Tell whether there are CPUs for a run of a variant and for those that go on, all at their busiest.

        Of a variant of which none is over nobody knows; its defect may spin, so it needs all.
        """
        most = _FULL * self._cpus
        return sum(self._needs.get(one, most) for one in (*going, variant)) <= most

    async def is_idle(self) -> bool:
        """Look at the CPUs for LOOK_S, whatever uses them."""
        before = _cpu_times()
        await asyncio.sleep(LOOK_S)
        idle, total = (after - earlier for after, earlier in zip(_cpu_times(), before, strict=True))
        return idle >= (1 - BUSY_MOST) * total


def _cpu_times() -> tuple[int, int]:
    """Return how long the CPUs were idle, and how long all that they did took, in ticks since the boot."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    )
    return idle + iowait, user + nice + system + idle + iowait + irq + softirq + steal
