"""Room on this machine for one more run beside others: runs that starve each other say nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path

from stressnet.checks.measures import BUSY_S

BUSY_MOST = 0.55
"""Share of all CPUs in use, over the last LOOK_S, above which no further run begins: a net that starts takes more than
it does afterwards."""
LOOK_S = 3.0
"""Seconds over which it is taken; the last run to begin has begun to start its net by then."""
_FULL = 0.75
"""Share of all CPUs that runs may need together. Of a defect that spins, 19 of 20 runs beside three or four others
could not say whether it was these that kept its nodes waiting."""


class Room:
    """What the CPUs do now, and what runs of each variant have needed, and when."""

    def __init__(self) -> None:
        self._cpus = os.cpu_count() or 1
        self._needs: dict[str, Sequence[float]] = {}
        """CPUs in each BUSY_S from the begin of a run on."""

    def learn(self, variant: str, busy: Sequence[float]) -> None:
        """Remember how many CPUs a run has used in each BUSY_S since its begin.

        The next may be somewhat earlier or later, so what it needs is the most of each three.
        """
        around = [max(busy[max(0, place - 1) : place + 2]) for place in range(len(busy))]
        known = self._needs.get(variant, ())
        self._needs[variant] = [max(pair) for pair in zip_longest(around, known, fillvalue=0.0)]

    def fits(self, going: Iterable[tuple[str, float]], variant: str) -> bool:
        """Tell whether there are CPUs for a run of a variant, to its end, beside those that go on, each of which began
        so many seconds ago.

        Of a variant of which none is over nobody knows; its defect may spin, so it needs all.
        """
        others = list(going)
        if any(name not in self._needs for name in (variant, *(name for name, _ in others))):
            return not others
        needs = [self._needs[variant], *(self._needs[name][int(age // BUSY_S) :] for name, age in others)]
        together = map(sum, zip_longest(*needs, fillvalue=0.0))
        return max(together, default=0.0) <= _FULL * self._cpus

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
