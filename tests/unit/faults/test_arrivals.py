"""What became of datagrams is counted from what arrived, and compared with what the kernel's emulator does to them."""

from __future__ import annotations

import random

import pytest

from stressnet.faults.arrivals import SIZE, Arrival, Arrivals, is_hidden, packed, share, unpacked
from stressnet.faults.compose import Packet

KINDS = ("loss", "duplicate", "corrupt", "reorder")
HEADERS = 14 + 20 + 8


def came(*numbers: int, of: int = 5, damaged: tuple[int, ...] = ()) -> Arrivals:
    """Arrivals in this order; at the places `damaged` a bit is wrong."""
    return Arrivals(
        [float(number) for number in range(of)],
        [(number, place not in damaged) for place, number in enumerate(numbers)],
    )


@pytest.mark.parametrize(
    ("arrivals", "lost", "twice", "damaged", "overtook"),
    [
        (came(0, 1, 2, 3, 4), 0, 0, 0, 0),
        (came(), 5, 0, 0, 0),
        (came(0, 2, 3), 2, 0, 0, 0),
        (came(0, 0, 1, 1, 1, 2, 3, 4), 0, 2, 0, 0),
        (came(0, 1, 2, 3, 4, damaged=(1, 2)), 2, 0, 2, 0),
        (came(0, 0, 1, 2, 3, 4, damaged=(1,)), 0, 1, 1, 0),
        (came(0, 3, 1, 2, 4), 0, 0, 0, 1),
        (came(4, 3, 2, 1, 0), 0, 0, 0, 4),
        (came(0, 2, 2, 1, 3, 1, 4), 0, 2, 0, 3),
    ],
    ids=["all", "none", "gaps", "copies", "damage", "a damaged copy", "one early", "reversed", "copies too"],
)
def test_what_became_of_them(arrivals: Arrivals, lost: int, twice: int, damaged: int, overtook: int) -> None:
    """A datagram with a whole copy is not lost; each arrival before an earlier number has overtaken it."""
    assert (arrivals.lost(), arrivals.twice()) == (lost, twice)
    assert (arrivals.damaged(), arrivals.overtook()) == (damaged, overtook)


@pytest.mark.parametrize("number", [0, 1, 255, 256, 1999])
def test_any_flipped_bit_is_seen_and_the_number_still_known(number: int) -> None:
    data = packed(number)
    assert len(data) == SIZE
    assert unpacked(data) == (number, True)
    for place in (0, 3, 4, 601, SIZE - 1):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[place] ^= 1 << bit
            assert unpacked(bytes(flipped)) == (number, False)
    assert unpacked(data[: SIZE // 2]) == (number, False)


def test_what_is_not_ours_is_left_alone() -> None:
    assert unpacked(b"") is None
    assert unpacked(random.Random(1).randbytes(SIZE)) is None


def emulated(packet: Packet, count: int, pause_s: float, seed: int) -> Arrivals:
    """Do what the kernel does to datagrams, draw by draw, with the bytes of their headers and data."""
    chance = random.Random(seed)
    arrived: list[tuple[float, int, bool]] = []

    def enqueue(number: int, now: float, *, double: bool) -> None:
        copies = 1 + (double and chance.random() < packet.duplicate) - (chance.random() < packet.loss)
        if copies == 0:
            return
        if copies == 2:
            enqueue(number, now, double=False)
        whole = True
        if chance.random() < packet.corrupt:
            place = chance.randrange(HEADERS + SIZE)
            if place < 6 or 12 <= place < 34 or 36 <= place < HEADERS:
                return
            whole = place < HEADERS
        waits = packet.delay_s if chance.random() >= packet.reorder else 0.0
        arrived.append((now + waits, number, whole))

    for number in range(count):
        if chance.random() >= packet.drop:
            enqueue(number, number * pause_s, double=True)
    order: list[Arrival] = [(number, whole) for _, number, whole in sorted(arrived, key=lambda one: one[0])]
    return Arrivals([number * pause_s for number in range(count)], order)


EMULATED = [
    Packet(loss=0.05),
    Packet(duplicate=0.2),
    Packet(corrupt=0.3),
    Packet(corrupt=1.0, duplicate=0.3),
    Packet(reorder=0.25, delay_s=0.0105),
    Packet(reorder=0.7, delay_s=0.0035),
    Packet(loss=0.3, duplicate=0.4),
    Packet(drop=0.1, loss=0.2, duplicate=0.3, corrupt=0.2, reorder=0.4, delay_s=0.0105),
    Packet(loss=0.9, duplicate=1.0, corrupt=0.5),
]


@pytest.mark.parametrize("packet", EMULATED, ids=str)
def test_what_is_expected_is_what_the_emulator_does(packet: Packet) -> None:
    """Of 40,000 datagrams, within five standard deviations."""
    arrivals = emulated(packet, 40_000, 0.001, seed=7)
    for kind in KINDS:
        found = share(kind, packet, arrivals)
        assert found is not None
        deviation = (found.asked * (1 - found.asked) / found.of) ** 0.5
        assert abs(found.error) <= 5 * deviation, (kind, found)


@pytest.mark.parametrize(
    ("kind", "packet"),
    [
        ("loss", Packet(loss=0.05)),
        ("duplicate", Packet(duplicate=0.05)),
        ("corrupt", Packet(corrupt=0.05)),
        ("reorder", Packet(reorder=0.05, delay_s=0.01)),
    ],
)
def test_five_per_cent_that_are_not_there_do_not_hold(kind: str, packet: Packet) -> None:
    """Nor does anything that is left when nothing is asked."""
    untouched, treated = emulated(Packet(), 500, 0.001, 1), emulated(packet, 500, 0.001, 1)
    holds = {
        (asked, there): found.holds
        for asked, wanted in (("asked", packet), ("not asked", Packet()))
        for there, arrivals in (("there", treated), ("not there", untouched))
        if (found := share(kind, wanted, arrivals, 8))
    }
    assert holds == {
        ("asked", "there"): True,
        ("asked", "not there"): False,
        ("not asked", "there"): False,
        ("not asked", "not there"): True,
    }


def test_a_figure_that_would_hold_without_the_fault_says_nothing() -> None:
    """A loss of 1 % cannot be seen beside a drop of half of all."""
    packet = Packet(loss=0.01, drop=0.5)
    arrivals = emulated(packet, 800, 0.001, 1)
    found = share("loss", packet, arrivals)
    assert found
    assert is_hidden("loss", packet, arrivals, found)
    alone = Packet(loss=0.01)
    arrivals = emulated(alone, 800, 0.001, 1)
    found = share("loss", alone, arrivals)
    assert found
    assert not is_hidden("loss", alone, arrivals, found)
    gone = share("loss", Packet(drop=0.5), arrivals)
    assert gone
    assert not is_hidden("loss", Packet(drop=0.5), arrivals, gone)


def test_of_nothing_there_is_no_share() -> None:
    assert share("corrupt", Packet(corrupt=0.1), came()) is None
    assert share("reorder", Packet(reorder=0.1), came()) is None
    assert share("loss", Packet(loss=0.1), Arrivals([], [])) is None
