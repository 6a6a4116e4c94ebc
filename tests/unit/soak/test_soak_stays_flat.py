"""Thirty days of rounds leave nothing behind in the process that does them: no object, task or file."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soaking import MemoryPlace, Trial

_DAY_S = 86400.0
_ROUND_S = 10800.0
_LOOKS = (30, 120, 239)
"""Rounds at which it is looked: after the first days, when all that is made once is there, and later."""

_NOISE = 100
"""Half of the rounds between the first look and the last: what grows by one a round is seen."""


@dataclass(frozen=True)
class Look:
    objects: int
    members: int
    """Of all lists, dicts, sets and queues: what they hold need not be an object that the collector knows."""
    tasks: int
    files: int


class Watched(MemoryPlace):
    """Looks at its process between two rounds, and forgets what a double remembers for tests."""

    looks: list[Look]

    async def find(self) -> bool:
        self.done.clear()
        if self.net is not None:
            self.net.log.clear()
        if self.steps in _LOOKS:
            gc.collect()
            self.looks.append(_look())
        return await super().find()


def _look() -> Look:
    objects = gc.get_objects()
    held = [one for one in objects if type(one) in (list, dict, set, deque) and one is not objects]
    return Look(len(objects), sum(map(len, held)), len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")))


def test_thirty_days_of_rounds_leave_nothing_behind(tmp_path: Path) -> None:
    """Between the fifth day and the thirtieth nothing has grown, in memory and on the disk only lines."""
    trial = Trial(tmp_path)
    trial.scenario = trial.scenario_of(_ROUND_S)
    trial.for_s, trial.every_s = 30 * _DAY_S, 6 * 3600.0
    trial.budget = 8 << 20
    place = Watched(trial.scenario.plan, bad=lambda number: "fail" if number % 9 == 0 else "")
    place.looks = []
    trial.place = place
    trial.say = _forget
    amount = trial.run()
    assert amount.checkpoint.tally.total == 240
    assert amount.outcome == "fail"
    early, middle, late = place.looks
    assert late.tasks == middle.tasks == early.tasks
    assert late.files == middle.files == early.files
    assert late.objects - early.objects < _NOISE
    assert late.members - early.members < _NOISE


def _forget(_: Any) -> None:
    pass
