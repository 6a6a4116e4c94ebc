"""What a soak does now and then, also within a round, while faults are on and nothing may wait for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soaking import MemoryPlace, Trial

from stressnet.engine.run.phases import Limits
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.soak import soak as soaks
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.budget import Budget
from stressnet.engine.soak.rounds import Round

_PATIENCE_S = 5.0


class Room:
    """In the place of a budget's: within a round it takes long to make some, until a test lets it go."""

    def __init__(self) -> None:
        self.asked, self.go, self.made = (threading.Event() for _ in range(3))
        self.waits = False
        self.happened: list[str] = []

    def make(self, need: int) -> bool:
        if self.waits:
            self.asked.set()
            in_time = self.go.wait(_PATIENCE_S)
            time.sleep(0.1)  # what is not waited for comes first
            self.happened.append("room" if in_time else "nobody let it go")
            self.made.set()
        return True


class RealPlace(MemoryPlace):
    """A round goes on, by the real clock, until somebody asks for room."""

    def __init__(self, trial: Trial, room: Room) -> None:
        super().__init__(trial.scenario.plan)
        self._room = room

    async def do(self, scenario: Scenario, path: Path, limits: Limits, *, fresh: bool, settled: bool) -> None:
        self._room.waits = True
        try:
            await asyncio.to_thread(self._room.asked.wait, _PATIENCE_S)
            await self.asked()
        finally:
            self._room.waits = False

    async def asked(self) -> None:
        self._room.go.set()
        await asyncio.to_thread(self._room.made.wait, _PATIENCE_S)


class Leaving(RealPlace):
    """A round is over while room is still being made."""

    async def asked(self) -> None:
        self._room.go.set()


class Stopped(RealPlace):
    """The soak is told to stop while room is still being made."""

    async def asked(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._room.go.set()
        task.cancel()
        await asyncio.sleep(0)


def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[Trial, Room], RealPlace]) -> Room:
    """Do one round by the real clock; return what happened meanwhile."""
    room = Room()
    trial = Trial(tmp_path)
    trial.place = place(trial, room)
    trial.for_s, trial.every_s = 0.001, 0.02
    monkeypatch.setattr(Budget, "_make_room", lambda _, need: room.make(need))

    def append(file: Path, one: Round) -> None:
        room.happened.append("line")

    monkeypatch.setattr(soaks, "append", append)

    async def main() -> None:
        await trial.soak().run()

    asyncio.run(main())
    return room


@pytest.mark.parametrize("place", [RealPlace, Leaving, Stopped])
def test_a_round_goes_on_while_room_is_made_and_is_over_only_after_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[Trial, Room], RealPlace]
) -> None:
    """Whoever makes room cannot be stopped, and what it changes is what the end of a round adds to."""
    assert real(tmp_path, monkeypatch, place).happened == ["room", "line"]


def test_the_night_is_read_between_rounds_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets long, and within a round there is nothing new in it."""
    read: list[Any] = []
    monkeypatch.setattr(soaks, "changes", lambda night: read.append(night) or {})
    trial = Trial(tmp_path)
    trial.scenario = trial.scenario_of(6000.0)
    trial.for_s = 12000.0
    trial.run()
    assert sum(" of 3h 20m  " in words for words in trial.said) > 30
    assert len(read) == 3, "two rounds and the end"


def test_a_disk_that_is_full_for_a_moment_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, and what it amounts to is written as soon as that is possible."""
    real, full = Budget.room, OSError(28, "No space left on device")

    def room(budget: Budget, need: int) -> bool:
        if need == 0 and sum("could not be written" in words for words in trial.said) < 2:
            raise full
        return real(budget, need)

    monkeypatch.setattr(Budget, "room", room)
    trial = Trial(tmp_path)
    trial.scenario = trial.scenario_of(3000.0)
    trial.for_s = 3000.0
    written: list[float] = []
    writes = soaks.Soak._write

    def write(soak: soaks.Soak, *night: Any) -> Amount:
        written.append(soak.soaked_s)
        return writes(soak, *night)

    monkeypatch.setattr(soaks.Soak, "_write", write)
    assert trial.run().outcome == "pass"
    assert sum(str(full) in words for words in trial.said) == 2
    assert sum(" of 50m  " in words for words in trial.said) >= 9
    assert written[:2] == [900.0, 1200.0]
