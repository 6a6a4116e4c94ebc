"""Room for one more run, by what the CPUs did in the seconds before."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from stressnet.engine import room
from stressnet.testing import run_virtual


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Shares of CPUs in use in each look to come, the last one for ever; taken in turn."""
    shares: list[float] = []

    def times() -> Iterator[tuple[int, int]]:
        idle = total = 0
        while True:
            yield idle, total
            busy = shares.pop(0) if len(shares) > 1 else shares[0]
            idle, total = idle + round(1000 * (1 - busy)), total + 1000

    looks = times()
    monkeypatch.setattr(room, "_cpu_times", lambda: next(looks))
    return shares


def waited(is_needed: list[bool]) -> float:
    """Seconds until there was room; what is asked is answered by `is_needed`, the last answer for ever."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await room.wait_for_room(lambda: is_needed.pop(0) if len(is_needed) > 1 else is_needed[0])
        return loop.time() - begun

    return run_virtual(main)


@pytest.mark.parametrize(
    ("shares", "looks"),
    [([0.2], 1), ([0.55], 1), ([0.56, 0.2], 2), ([1.0, 0.9, 0.7, 0.5], 4)],
    ids=["idle", "just so", "busy at first", "less and less"],
)
def test_a_busy_machine_is_waited_for(cpu: list[float], shares: list[float], looks: int) -> None:
    """The seconds before count, not those since the boot."""
    cpu += shares
    assert waited([True]) == pytest.approx(looks * room.LOOK_S)


def test_nobody_waits_when_nothing_is_disturbed(cpu: list[float]) -> None:
    """Whatever other programs do: then at least one run goes on."""
    cpu += [1.0]
    assert waited([False]) == 0
    assert waited([True, True, False]) == pytest.approx(2 * room.LOOK_S)


def test_the_times_of_this_machine_are_read() -> None:
    """Idle is a part of all, and time goes on."""
    idle, total = room._cpu_times()
    assert 0 <= idle < total
    assert room._cpu_times()[1] >= total
