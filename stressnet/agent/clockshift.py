"""Shifts the time of day that running processes see, by rewriting the functions of their vDSO that tell it.

A page of the vDSO that is written to becomes the process's own: its children inherit it, an exec drops it, and no
other process of the machine sees it. What is there is always read from the process itself, byte for byte, so whoever
comes later can change it or take it away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from stressnet.agent import vdso
from stressnet.agent.clockstub import CODE, FUNCTIONS, JUMP, SIZE, TORN, Stub
from stressnet.agent.standstill import lives, stands_at, standstill

_ROUNDS = 50
"""How often processes are gone through until all are as they should be: some begin meanwhile, some are in the way."""
_PAUSE_S = 0.002


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the processes of one node were found to be, after all that could be done."""

    offsets_us: tuple[int | None, ...] = ()
    """Of each process; None where what is there is not whole."""
    why: dict[int, str] = field(default_factory=dict)
    """By process, why it is not as it should be."""


def bring(processes: Callable[[], Iterable[int]], offset_us: int) -> Outcome:
    """Have the time of day of all these processes ahead by so many microseconds; 0: as the kernel made it.

    To be called in a thread that ends soon after, because of `standstill`.
    """
    why: dict[int, str] = {}
    offsets: dict[int, int | None] = {}
    for _ in range(_ROUNDS):
        offsets, why = _look(processes(), why)
        wrong = [pid for pid, found in offsets.items() if found != offset_us and pid not in why]
        if not wrong:
            break
        if not _change_all(wrong, offset_us, why):
            time.sleep(_PAUSE_S)
    busy = "its threads do not leave the functions that tell the time"
    late = {pid: busy for pid, found in offsets.items() if found != offset_us and pid not in why}
    return Outcome(tuple(offsets.values()), why | late)


def _look(pids: Iterable[int], why: dict[int, str]) -> tuple[dict[int, int | None], dict[int, str]]:
    """Read the offsets of those that live; and keep of `why` what is said of them."""
    offsets: dict[int, int | None] = {}
    unseen: dict[int, str] = {}
    for pid in pids:
        try:
            offsets[pid] = offset_of(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        except OSError as error:
            offsets[pid], unseen[pid] = None, error.strerror or str(error)
    return offsets, {pid: words for pid, words in why.items() if pid in offsets} | unseen


def _change_all(pids: list[int], offset_us: int, why: dict[int, str]) -> bool:
    """Change processes while they stand still; False where a thread is in the way. Those that cannot be go to `why`."""
    done = True
    with standstill(pids) as refused:
        why |= refused
        for pid in [pid for pid in pids if pid not in refused]:
            try:
                done &= _change(pid, offset_us)
            except (FileNotFoundError, ProcessLookupError):
                continue
            except (vdso.NoSuchCode, OSError) as error:
                why[pid] = getattr(error, "strerror", None) or str(error)
    return done


def offset_of(pid: int) -> int | None:
    """Return by how many microseconds a process's time of day is ahead; None where what is there is not whole."""
    with _code(pid) as code:
        if code is None or (stub := code.stub()) is None:
            return 0
        whole = code.end() == stub.to_bytes() and code.heads(stub) == stub.jumps(code.place)
        return stub.offset_us if whole else None


def _change(pid: int, offset_us: int) -> bool:
    """Change one process that stands still; False where a thread is in the way, and part of it is still to be done."""
    with _code(pid) as code:
        if code is None:
            raise vdso.NoSuchCode("it has no vDSO")
        stub = code.stub()
        if stub is None:
            stub = code.fresh()
            in_the_way = {entry + place for entry in stub.entries for place in range(1, JUMP)}
        else:
            in_the_way = {code.place + place for place in TORN}
        if offset_us:
            if code.has_someone_at(in_the_way):
                return False
            code.write_end(replace(stub, offset_us=offset_us).to_bytes())  # before anything leads there
            code.write_heads(stub, stub.jumps(code.place))
            return True
        code.write_heads(stub, stub.saved)
        if code.has_someone_at(code.place + place for place in CODE):
            return False  # they leave it in a moment, and nobody enters it any more
        code.write_end(bytes(SIZE))
        return True


@contextmanager
def _code(pid: int) -> Iterator[_Code | None]:
    """Open a process's vDSO; None where it has none, ProcessLookupError where it has ended."""
    place = vdso.where(pid)
    if place is None:
        if not lives(pid):
            raise ProcessLookupError(pid)
        yield None
        return
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
    try:
        yield _Code(pid, place, memory)
    finally:
        os.close(memory)


@dataclass(frozen=True, slots=True)
class _Code:
    """The vDSO of one process. Places are counted from its beginning."""

    pid: int
    where: range
    memory: int
    """A descriptor of all its memory."""

    @property
    def place(self) -> int:
        """Where the stub is."""
        return len(self.where) - SIZE

    def end(self) -> bytes:
        return self._read(self.place, SIZE)

    def stub(self) -> Stub | None:
        return Stub.from_bytes(self.end())

    def heads(self, stub: Stub) -> tuple[bytes, ...]:
        return tuple(self._read(entry, JUMP) for entry in stub.entries)

    def fresh(self) -> Stub:
        """Return a stub for code that is as the kernel made it; NoSuchCode where there can be none."""
        image = self._read(0, len(self.where))
        known = vdso.functions(image)
        lacking = [name for name in FUNCTIONS if len(known.get(name, ())) < JUMP]
        if lacking:
            raise vdso.NoSuchCode(f"the vDSO has no {lacking[0]}")
        if any(image[-SIZE:]):
            raise vdso.NoSuchCode("the vDSO has no room behind its end")
        entries = tuple(known[name].start for name in FUNCTIONS)
        return Stub(0, entries, tuple(image[entry : entry + JUMP] for entry in entries))

    def write_end(self, content: bytes) -> None:
        self._write(self.place, content)

    def write_heads(self, stub: Stub, heads: tuple[bytes, ...]) -> None:
        for entry, head in zip(stub.entries, heads, strict=True):
            self._write(entry, head)

    def has_someone_at(self, places: Iterable[int]) -> bool:
        return stands_at(self.pid, {self.where.start + place for place in places})

    def _read(self, place: int, size: int) -> bytes:
        return os.pread(self.memory, size, self.where.start + place)

    def _write(self, place: int, content: bytes) -> None:
        try:
            os.pwrite(self.memory, content, self.where.start + place)
        except PermissionError:
            raise
        except OSError as error:
            raise vdso.NoSuchCode(f"the kernel lets nobody write there: {error.strerror}") from error
