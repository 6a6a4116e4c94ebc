"""Offsets add up exactly, and a stub says of itself what it is and what it replaces."""

from __future__ import annotations

import struct

import pytest

from stressnet.agent.clockstub import CODE, JUMP, SIZE, Stub
from stressnet.agent.vdso import NoSuchCode, functions
from stressnet.faults.clock import offsets
from stressnet.faults.fault import Fault

ENTRIES = (0xAF0, 0x810, 0xAC0)
SAVED = (b"abcde", b"fghij", b"klmno")
PLACE = 0x2000 - SIZE


def clock(offset: float, *nodes: str) -> Fault:
    return Fault("f1", "clock", {"offset": offset}, nodes=nodes)


def test_offsets_of_a_node_add_up_to_the_microsecond() -> None:
    found = offsets(
        [clock(0.1, "a", "b"), clock(0.2, "a"), clock(-30, "b"), Fault("f2", "pause", nodes=("c",))]
    )
    assert found == {"a": 300_000, "b": -29_900_000}
    assert offsets([clock(30, "a"), clock(-30, "a")]) == {"a": 0}


@pytest.mark.parametrize(
    ("offset_us", "seconds", "rest"),
    [(30_000_000, 30, 0), (-30_000_000, -30, 0), (-1, -1, 999_999), (-1_500_000, -2, 500_000), (1, 0, 1)],
)
def test_an_offset_is_whole_seconds_and_a_positive_rest(offset_us: int, seconds: int, rest: int) -> None:
    """So that whatever is added to it carries at most one second, and never borrows."""
    raw = Stub(offset_us, ENTRIES, SAVED).to_bytes()
    assert struct.unpack_from("<qqq", raw, 8) == (seconds, rest * 1000, rest)
    assert Stub.from_bytes(raw) == Stub(offset_us, ENTRIES, SAVED)
    assert len(raw) == SIZE


def test_what_is_no_stub_is_none() -> None:
    assert Stub.from_bytes(bytes(SIZE)) is None


def test_jumps_lead_from_each_function_into_the_stub() -> None:
    jumps = Stub(1, ENTRIES, SAVED).jumps(PLACE)
    reached = [
        entry + JUMP + int.from_bytes(jump[1:], "little", signed=True) - PLACE
        for entry, jump in zip(ENTRIES, jumps, strict=True)
    ]
    assert {jump[:1] for jump in jumps} == {b"\xe9"}
    assert reached[0] == CODE.start
    assert all(place in CODE for place in reached)
    assert len(set(reached)) == 3


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (bytes(4096), "no ELF"),
        (b"\x7fELF\1" + bytes(4091), "code for 32 bits of machine 0, not x86_64"),
        (b"\x7fELF\2" + bytes(13) + b"\xb7" + bytes(4077), "code for 64 bits of machine 183"),
        (b"\x7fELF", "cannot be read"),
        (b"\x7fELF\2" + bytes(13) + b"\x3e" + bytes(4077), "cannot be read"),
    ],
)
def test_code_that_is_not_known_is_refused(image: bytes, why: str) -> None:
    with pytest.raises(NoSuchCode, match=why):
        functions(image)
