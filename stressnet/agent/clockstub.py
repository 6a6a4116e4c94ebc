"""The machine code that tells a shifted time of day, and its place in a process's vDSO. Pure; x86_64 alone.

The vDSO is the code that the kernel gives every process for asking the time without a system call. Here are the
bytes that replace three of its functions: they make the system call, and add an offset to what it says.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

FUNCTIONS = ("__vdso_clock_gettime", "__vdso_gettimeofday", "__vdso_time")
"""What is diverted, in the order of `Stub.entries`."""
SIZE = 320
"""Bytes of the stub: the last ones of the vDSO's pages, which are empty behind its end."""
JUMP = 5
"""Bytes at the beginning of each function that a jump takes."""
_MAGIC = b"snclock1"
_DATA = struct.Struct("<8sqqq3I15s5x")  # magic; seconds, nanoseconds, microseconds; entries; what was there

# Clocks that tell the time of day: REALTIME 0, REALTIME_COARSE 5, REALTIME_ALARM 8, TAI 11 (linux/time.h).
_CLOCKS = 1 << 0 | 1 << 5 | 1 << 8 | 1 << 11

Line = bytes | str | tuple[bytes, str]
"""An instruction; a label; or an instruction that ends in the distance to a label, or to one of the numbers."""

_NUMBERS = {"seconds": 8, "nanoseconds": 16, "microseconds": 24}
"""Where they are in the stub."""

_CODE: tuple[Line, ...] = (
    "clock_gettime",  # (edi: which clock, rsi: where to) -> eax
    b"\xb8\xe4\x00\x00\x00",  # mov eax, 228: the number of clock_gettime
    b"\x0f\x05",  # syscall: keeps all registers but rax, rcx, r11, which a caller expects to lose
    b"\x85\xc0",  # test eax, eax
    (b"\x75", "clock_gettime done"),  # jne: an error is told as it is, as the vDSO does
    b"\x83\xff\x0b",  # cmp edi, 11
    (b"\x77", "clock_gettime done"),  # ja: no clock of the mask; those of processes are negative
    b"\xb9" + struct.pack("<I", _CLOCKS),  # mov ecx, mask
    b"\x0f\xa3\xf9",  # bt ecx, edi
    (b"\x73", "clock_gettime done"),  # jnc: it counts since a start, and is left alone
    b"\x48\x8b\x56\x08",  # mov rdx, [rsi+8]: nanoseconds
    b"\x48\x8b\x0e",  # mov rcx, [rsi]: seconds
    (b"\x48\x03\x15", "nanoseconds"),  # add rdx, nanoseconds: 0 to 999,999,999, so the sum carries at most 1
    "clock_gettime torn",  # a thread that stands here has one half of the old offset
    (b"\x48\x03\x0d", "seconds"),  # add rcx, seconds: negative for a clock that is behind
    b"\x48\x81\xfa\x00\xca\x9a\x3b",  # cmp rdx, 1000000000
    (b"\x7c", "clock_gettime keep"),  # jl
    b"\x48\x81\xea\x00\xca\x9a\x3b",  # sub rdx, 1000000000
    b"\x48\xff\xc1",  # inc rcx
    "clock_gettime keep",
    b"\x48\x89\x0e",  # mov [rsi], rcx
    b"\x48\x89\x56\x08",  # mov [rsi+8], rdx
    "clock_gettime done",
    b"\xc3",  # ret
    "gettimeofday",  # (rdi: where to, may be 0; rsi: where the time zone goes) -> eax
    b"\xb8\x60\x00\x00\x00",  # mov eax, 96: the number of gettimeofday
    b"\x0f\x05",  # syscall
    b"\x85\xc0",  # test eax, eax
    (b"\x75", "gettimeofday done"),  # jne
    b"\x48\x85\xff",  # test rdi, rdi
    (b"\x74", "gettimeofday done"),  # je: only the time zone was asked for
    b"\x48\x8b\x57\x08",  # mov rdx, [rdi+8]: microseconds
    b"\x48\x8b\x0f",  # mov rcx, [rdi]: seconds
    (b"\x48\x03\x15", "microseconds"),  # add rdx, microseconds
    "gettimeofday torn",
    (b"\x48\x03\x0d", "seconds"),  # add rcx, seconds
    b"\x48\x81\xfa\x40\x42\x0f\x00",  # cmp rdx, 1000000
    (b"\x7c", "gettimeofday keep"),  # jl
    b"\x48\x81\xea\x40\x42\x0f\x00",  # sub rdx, 1000000
    b"\x48\xff\xc1",  # inc rcx
    "gettimeofday keep",
    b"\x48\x89\x0f",  # mov [rdi], rcx
    b"\x48\x89\x57\x08",  # mov [rdi+8], rdx
    "gettimeofday done",
    b"\xc3",  # ret
    "time",  # (rdi: where to as well, may be 0) -> rax
    b"\x57",  # push rdi
    b"\x48\x83\xec\x10",  # sub rsp, 16: room for seconds and nanoseconds, without which nothing could carry
    b"\xbf\x05\x00\x00\x00",  # mov edi, 5: REALTIME_COARSE, whose seconds are those of time()
    b"\x48\x89\xe6",  # mov rsi, rsp
    b"\xb8\xe4\x00\x00\x00",  # mov eax, 228
    b"\x0f\x05",  # syscall
    b"\x48\x8b\x04\x24",  # mov rax, [rsp]
    b"\x48\x8b\x54\x24\x08",  # mov rdx, [rsp+8]
    b"\x48\x83\xc4\x10",  # add rsp, 16
    b"\x5f",  # pop rdi
    (b"\x48\x03\x15", "nanoseconds"),  # add rdx, nanoseconds
    "time torn",
    (b"\x48\x03\x05", "seconds"),  # add rax, seconds
    b"\x48\x81\xfa\x00\xca\x9a\x3b",  # cmp rdx, 1000000000
    (b"\x7c", "time keep"),  # jl
    b"\x48\xff\xc0",  # inc rax
    "time keep",
    b"\x48\x85\xff",  # test rdi, rdi
    (b"\x74", "time done"),  # je
    b"\x48\x89\x07",  # mov [rdi], rax
    "time done",
    b"\xc3",  # ret
)


def _width(label: str) -> int:
    """How many bytes hold the distance to it: numbers are addressed with four, jumps are short."""
    return 4 if label in _NUMBERS else 1


def _assemble(lines: Sequence[Line], start: int) -> tuple[bytes, dict[str, int]]:
    """Return the code, and where its labels are, both counted from the beginning of the stub."""
    labels, place = dict(_NUMBERS), start
    for line in lines:
        if isinstance(line, str):
            labels[line] = place
        else:
            place += len(line) if isinstance(line, bytes) else len(line[0]) + _width(line[1])
    code = bytearray()
    for line in lines:
        if isinstance(line, bytes):
            code += line
        elif not isinstance(line, str):
            code += line[0]
            width = _width(line[1])
            behind = start + len(code) + width  # distances are counted from the next instruction
            code += (labels[line[1]] - behind).to_bytes(width, "little", signed=True)
    return bytes(code), labels


_BYTES, _LABELS = _assemble(_CODE, _DATA.size)
_STARTS = tuple(_LABELS[name] for name in ("clock_gettime", "gettimeofday", "time"))
CODE = range(_DATA.size, _DATA.size + len(_BYTES))
"""Where in the stub a thread can stand."""
assert CODE.stop <= SIZE
TORN = tuple(place for name, place in _LABELS.items() if name.endswith(" torn"))
"""Where no thread may stand while the offset is changed."""


@dataclass(frozen=True, slots=True)
class Stub:
    """What is, or is to be, in one vDSO. Places are counted from its beginning."""

    offset_us: int
    """By how many microseconds the time of day is ahead."""
    entries: tuple[int, ...]
    """Where the functions begin."""
    saved: tuple[bytes, ...]
    """What the kernel had put there, which heals them."""

    def to_bytes(self) -> bytes:
        """Return all that is written at the end of the vDSO: it says of itself what it replaces."""
        seconds, rest = divmod(self.offset_us, 10**6)
        data = _DATA.pack(_MAGIC, seconds, rest * 1000, rest, *self.entries, b"".join(self.saved))
        return (data + _BYTES).ljust(SIZE, b"\0")

    @classmethod
    def from_bytes(cls, raw: bytes) -> Stub | None:
        """Read the end of a vDSO; None where there is no stub."""
        magic, seconds, _, rest, *entries, saved = _DATA.unpack_from(raw)
        if magic != _MAGIC:
            return None
        heads = tuple(saved[place : place + JUMP] for place in range(0, len(saved), JUMP))
        return cls(seconds * 10**6 + rest, tuple(entries), heads)

    def jumps(self, place: int) -> tuple[bytes, ...]:
        """Return what leads each function to a stub at `place`."""
        return tuple(
            b"\xe9" + (place + start - entry - JUMP).to_bytes(4, "little", signed=True)  # jmp rel32
            for entry, start in zip(self.entries, _STARTS, strict=True)
        )
