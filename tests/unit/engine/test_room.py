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


@pytest.mark.parametrize(("share", "idle"), [(0.2, True), (0.55, True), (0.56, False), (1.0, False)])
def test_the_seconds_before_count_and_not_those_since_the_boot(
    cpu: list[float], share: float, idle: bool
) -> None:
    """Whatever uses the CPUs."""
    cpu += [share]

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        assert await room.Room().is_idle() is idle
        return asyncio.get_running_loop().time() - begun

    assert run_virtual(main) == pytest.approx(room.LOOK_S)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> room.Room:
    """Room on a machine with two CPUs."""
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return room.Room()


def test_none_goes_beside_others_until_it_is_known_what_it_needs(two: room.Room) -> None:
    assert not two.fits(["bug"], "fixed")
    two.learn("bug", 0.3)
    assert not two.fits(["bug"], "fixed")
    two.learn("fixed", 0.3)
    assert two.fits(["bug"] * 2 + ["fixed"] * 2, "fixed")
    assert not two.fits(["bug"] * 2 + ["fixed"] * 3, "fixed")


def test_what_spins_has_its_cpus_and_the_busiest_run_of_a_variant_counts(two: room.Room) -> None:
    two.learn("fixed", 0.3)
    two.learn("spin", 0.3)
    two.learn("spin", 1.1)
    two.learn("spin", 0.3)
    assert two.fits(["spin"], "fixed")
    assert not two.fits(["spin"], "spin")
    assert not two.fits(["spin", "fixed"], "fixed")


def test_the_times_of_this_machine_are_read() -> None:
    """Idle is a part of all, and time goes on."""
    idle, total = room._cpu_times()
    assert 0 <= idle < total
    assert room._cpu_times()[1] >= total
