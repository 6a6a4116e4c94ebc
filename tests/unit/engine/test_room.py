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


def going(**since: float) -> list[tuple[str, float]]:
    """Runs of variants that began so many seconds ago."""
    return list(since.items())


def test_none_goes_beside_others_until_it_is_known_what_it_needs(two: room.Room) -> None:
    assert not two.fits(going(bug=20), "fixed")
    two.learn("bug", [0.3] * 9)
    assert not two.fits(going(bug=20), "fixed")
    assert two.fits([], "fixed")
    two.learn("fixed", [0.3] * 9)
    assert two.fits(going(bug=20, fixed=10) * 2, "fixed")
    assert not two.fits(going(bug=20, fixed=10) * 2 + going(bug=5), "fixed")


def test_what_spins_has_its_cpus_and_the_busiest_run_of_a_variant_counts(two: room.Room) -> None:
    two.learn("fixed", [0.3] * 9)
    for cores in (0.3, 1.1, 0.3):
        two.learn("spin", [cores] * 9)
    assert two.fits(going(spin=10), "fixed")
    assert not two.fits(going(spin=10), "spin")
    assert not two.fits(going(spin=10, fixed=5), "fixed")


def test_runs_that_are_busy_for_a_short_time_are_so_one_after_the_other(two: room.Room) -> None:
    """From 10 to 20 s it takes 1.2 CPUs, give or take 5 s, else 0.2."""
    two.learn("burst", [0.2, 0.2, 1.2, 1.2, 0.2, 0.2, 0.2, 0.2])
    assert [age for age in range(0, 45, 5) if two.fits(going(burst=age), "burst")] == [20, 25, 30, 35, 40]
    assert not two.fits(going(burst=20) * 2, "burst")
    two.learn("long", [0.2] * 20)
    assert two.fits(going(burst=0), "long")
    assert not two.fits([("burst", 0), ("long", 0), ("long", 5)], "long")
    assert two.fits([("burst", 25), ("long", 0), ("long", 5)], "long")
    assert not two.fits(going(long=90), "spin")


def test_the_times_of_this_machine_are_read() -> None:
    """Idle is a part of all, and time goes on."""
    idle, total = room._cpu_times()
    assert 0 <= idle < total
    assert room._cpu_times()[1] >= total
