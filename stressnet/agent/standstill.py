"""Processes that stand still while something is done to their memory, by ptrace(2) and not by signals.

Nobody in the node sees it: no parent hears of a stopped child, what stood still already goes on doing so, and if
the agent dies meanwhile the kernel lets all of them go.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from stressnet.agent import kernel
from stressnet.agent.processes import stat

_STOP_S = 1.0
"""How long a thread may take to stop; those that compute take some microseconds."""
_LOOK_S = 0.0002
_WALL = 0x40000000  # wait for threads too (__WALL of wait(2))
_STACK = 32768
"""Bytes of a thread's stack that are searched for the frame of a signal: as large as Go's stack for its handlers."""


@contextmanager
def standstill(pids: Iterable[int]) -> Iterator[dict[int, str]]:
    """Let no thread of these processes run during the block; yield why of those that cannot be held, by id.

    A thread that waits in the kernel and cannot be woken counts as held: it stops before it next runs anything of
    its own. Only the end of the calling thread releases that one, so call this in a thread that ends.
    """
    stopped: dict[int, int] = {}
    refused: dict[int, str] = {}
    try:
        for pid in pids:
            try:
                _hold(pid, stopped)
            except OSError as error:
                refused[pid] = _words(pid, error)
        yield refused
    finally:
        for thread, number in stopped.items():
            with suppress(OSError):  # it was killed meanwhile, or waits in the kernel
                kernel.detach(thread, number)


def threads(pid: int) -> list[int]:
    """Return the ids of a process's threads, none where it is gone."""
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _hold(pid: int, stopped: dict[int, int]) -> None:
    """Stop all threads, also those that others begin meanwhile; `stopped` gets each with the signal it is due."""
    seen: set[int] = set()
    while fresh := [thread for thread in threads(pid) if thread not in seen]:
        seen.update(fresh)
        seized = [thread for thread in fresh if _seize(thread)]
        stopped |= dict.fromkeys(seized, 0)
        for thread in seized:
            _await_stop(thread, stopped)


def _seize(thread: int) -> bool:
    """Begin to trace a thread, and have it stop; False where it has ended."""
    try:
        if _tracer(thread) != os.getpid():  # else it is ours still, and has waited in the kernel since
            kernel.seize(thread)
        kernel.interrupt(thread)
    except ProcessLookupError:
        return False
    except PermissionError:
        if not lives(thread):
            return False
        raise
    return True


def _tracer(thread: int) -> int:
    """Return the process that traces a thread, 0 where there is none, or none that can be seen from here."""
    with suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{thread}/status") as file:
        for line in file:
            if line.startswith("TracerPid:"):
                return int(line.split()[1])
    return 0


def _await_stop(thread: int, stopped: dict[int, int]) -> None:
    deadline = time.monotonic() + _STOP_S
    while True:
        try:
            found, status = os.waitpid(thread, os.WNOHANG | _WALL)
        except ChildProcessError:
            found, status = thread, 0
        if found and os.WIFSTOPPED(status):
            # Above the signal stands why; without a reason it stopped because the signal is due to it.
            stopped[thread] = 0 if status >> 16 else os.WSTOPSIG(status)
            return
        if found or not lives(thread):
            del stopped[thread]
            return
        if _waits_in_kernel(thread):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"its thread {thread} does not stop")
        time.sleep(_LOOK_S)


def lives(thread: int) -> bool:
    """Tell whether a thread, or a process, has not ended."""
    found = stat(thread)
    return found is not None and found.state not in "ZX"


def _waits_in_kernel(thread: int) -> bool:
    """Tell whether it cannot be woken: who has called vfork waits so for its child."""
    found = stat(thread)
    return found is not None and found.state == "D"


def _words(pid: int, error: OSError) -> str:
    if isinstance(error, PermissionError):
        if tracer := _tracer(pid):
            return f"it is traced by process {tracer}"
        return "it cannot be traced: a debugger has it already, or the kernel forbids it"
    return error.strerror or str(error)


def stands_at(pid: int, places: Collection[int]) -> bool:
    """Tell whether a thread of a process that stands still goes on at one of these addresses, or may later.

    Later: in a handler of a signal it goes back to where it was, which the kernel has put on its stack.
    """
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for thread in threads(pid):
            place = _place(pid, thread)
            if place is not None and (place[1] in places or _returns_to(memory.fileno(), place[0], places)):
                return True
    return False


def _place(pid: int, thread: int) -> tuple[int, int] | None:
    """Return where its stack ends and its next instruction is; None where it has ended."""
    try:
        with open(f"/proc/{pid}/task/{thread}/syscall") as file:
            words = file.read().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if len(words) < 3:
        raise OSError(f"its thread {thread} does not stand still")
    return int(words[-2], 16), int(words[-1], 16)


def _returns_to(memory: int, stack: int, places: Collection[int]) -> bool:
    try:
        raw = os.pread(memory, _STACK, stack)
    except (OSError, OverflowError):  # no stack that can be read: it has not begun, or has ended
        return False
    words = struct.unpack(f"<{len(raw) // 8}Q", raw[: len(raw) // 8 * 8])
    return not set(words).isdisjoint(places)
