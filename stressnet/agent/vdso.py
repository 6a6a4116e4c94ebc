"""Where a process has its vDSO, and which functions are in it: maps of proc(5), and the ELF format. See vdso(7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SYMTAB = 5, 6
_X86_64 = 62
_WORD_BITS = {1: 32, 2: 64}
_HEADER = struct.Struct("<4sB11xHHIQQQIHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_TAG = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")


class NoSuchCode(ValueError):
    """These are not the functions of a vDSO that we know; carries why."""


def where(pid: int) -> range | None:
    """Return the addresses of a process's vDSO; None where it has none. OSError where it may not be seen."""
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file:
            if line.endswith(b"[vdso]\n"):
                start, _, end = line.partition(b" ")[0].partition(b"-")
                return range(int(start, 16), int(end, 16))
    return None


def functions(image: bytes) -> dict[str, range]:
    """Return where in a vDSO each of its functions is; NoSuchCode where this is none for x86_64."""
    try:
        return dict(_functions(image))
    except NoSuchCode:
        raise
    except (struct.error, LookupError, ValueError) as error:
        raise NoSuchCode(f"the vDSO cannot be read: {error!r}") from error


def _functions(image: bytes) -> Iterator[tuple[str, range]]:
    magic, word, _, machine, _, _, segments, _, _, _, size, count = _HEADER.unpack_from(image)
    if magic != b"\x7fELF":
        raise NoSuchCode("the vDSO is no ELF file")
    if (word, machine) != (2, _X86_64):
        raise NoSuchCode(f"code for {_WORD_BITS.get(word, '?')} bits of machine {machine}, not x86_64")
    base, dynamic = 0, range(0)
    for place in range(segments, segments + count * size, size):
        kind, _, offset, address, _, length, _, _ = _SEGMENT.unpack_from(image, place)
        if kind == _PT_LOAD:
            base = address - offset
        elif kind == _PT_DYNAMIC:
            dynamic = range(offset, offset + length, _TAG.size)
    tags = dict(_TAG.unpack_from(image, place) for place in dynamic)
    symbols, names = tags[_DT_SYMTAB] - base, tags[_DT_STRTAB] - base
    # The kernel's linker script puts the names right behind the symbols.
    for place in range(symbols, names, _SYMBOL.size):
        name, _, _, _, value, length = _SYMBOL.unpack_from(image, place)
        start = names + name
        yield image[start : image.index(b"\0", start)].decode(), range(value - base, value - base + length)
