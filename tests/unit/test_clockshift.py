"""Clocks of real processes are shifted while they run, and are afterwards what they were, to the byte."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stressnet.agent import vdso
from stressnet.agent.clockshift import Outcome, bring, offset_of
from stressnet.agent.clockstub import FUNCTIONS, SIZE, Stub
from stressnet.agent.clocktrial import tried
from stressnet.agent.processes import stat

WALL, OTHERS = (0, 11), (1, 4, 6, 7)
"""Clock ids of linux/time.h: the time of day, and what counts since a start."""
COARSE_S = 0.02
"""How far the coarse clocks, which go by the kernel's ticks, may be behind."""
DAY_US = 86_400_000_000

ASK = """
import ctypes, sys
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
class Pair(ctypes.Structure): _fields_ = [("seconds", ctypes.c_long), ("rest", ctypes.c_long)]
def clock(number):
    pair = Pair()
    assert libc.clock_gettime(number, ctypes.byref(pair)) == 0
    assert 0 <= pair.rest < 10**9, pair.rest
    return pair.seconds * 10**9 + pair.rest
def of_day():
    pair, zone = Pair(), Pair()
    assert libc.gettimeofday(ctypes.byref(pair), ctypes.byref(zone)) == 0
    assert 0 <= pair.rest < 10**6, pair.rest
    return pair.seconds * 10**9 + pair.rest * 1000
def seconds():
    kept = ctypes.c_long()
    told = libc.time(ctypes.byref(kept))
    assert told == kept.value
    return libc.time(None) * 10**9
def wrong():
    return libc.clock_gettime(99, ctypes.byref(Pair())), libc.gettimeofday(None, None)
for line in sys.stdin:
    try: print(eval(line), flush=True)
    except Exception as error: print(repr(repr(error)), flush=True)
"""
pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="clocks are shifted on x86_64 alone"),
    pytest.mark.timeout(60),
]


class Child:
    """A process of ours that tells what it sees."""

    def __init__(self, program: str = ASK) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-ISc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self.process.pid

    def ask(self, question: str) -> object:
        self.send(question)
        return self.hear()

    def send(self, question: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{question}\n")
        self.process.stdin.flush()

    def hear(self) -> object:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.wait(5)}"
        return eval(line)

    def ahead_s(self, question: str, number: int = time.CLOCK_REALTIME) -> tuple[float, float]:
        """Between which two bounds an answer is ahead of our own clock."""
        before = time.clock_gettime_ns(number)
        answer = self.ask(question)
        after = time.clock_gettime_ns(number)
        assert isinstance(answer, int), answer
        return (answer - after) / 1e9, (answer - before) / 1e9

    def shift(self, offset_us: int) -> Outcome:
        return bring(lambda: [self.pid], offset_us)


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    assert made.ask("1") == 1
    yield made
    made.process.kill()
    made.process.communicate()


def image(pid: int) -> bytes:
    place = vdso.where(pid)
    assert place is not None
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), len(place), place.start)


def put(pid: int, place: int, content: bytes) -> None:
    where = vdso.where(pid)
    assert where is not None
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        os.pwrite(memory.fileno(), content, where.start + place)


@pytest.mark.parametrize(
    "offset_us",
    [30_000_000, -30_000_000, 1, -1, 500_000, -500_000, 999_999, -1_250_001, 366 * DAY_US, -DAY_US],
)
def test_every_way_to_ask_the_time_of_day_is_shifted_and_no_other(child: Child, offset_us: int) -> None:
    """To within the time that asking takes, whatever carries: what is asked comes at many places of a second."""
    assert child.shift(offset_us) == Outcome((offset_us,), {})
    shift = offset_us / 1e6
    for _ in range(25):
        time.sleep(0.03)
        for question in (*(f"clock({number})" for number in WALL), "of_day()"):
            low, high = child.ahead_s(question)
            assert low - 2e-6 <= shift <= high + 2e-6, question
        low, high = child.ahead_s("clock(5)")
        assert low <= shift <= high + COARSE_S
        low, high = child.ahead_s("seconds()")
        assert low <= shift <= high + COARSE_S + 1
    for number in OTHERS:
        low, high = child.ahead_s(f"clock({number})", number)
        assert low <= 0 <= high + COARSE_S, number


def test_seconds_and_clock_agree(child: Child) -> None:
    """time() never tells a second that the clock has not reached, nor one that has passed."""
    for offset_us in (600_000, -600_000):
        child.shift(offset_us)
        for _ in range(40):
            time.sleep(0.025)
            found = child.ask("[clock(5), seconds(), clock(5)]")
            assert isinstance(found, list)
            assert found[0] // 10**9 <= found[1] // 10**9 <= found[2] // 10**9


def test_errors_are_told_as_before(child: Child) -> None:
    before = child.ask("wrong()")
    child.shift(30_000_000)
    assert child.ask("wrong()") == before == (-1, 0)


def test_the_offset_changes_and_healing_leaves_nothing(child: Child) -> None:
    before = image(child.pid)
    for offset_us in (30_000_000, -5, 0, 1, 0):
        assert child.shift(offset_us) == Outcome((offset_us,), {})
        assert offset_of(child.pid) == offset_us
        assert (image(child.pid) == before) == (not offset_us)
    assert image(os.getpid()) == before
    low, high = child.ahead_s("clock(0)")
    assert low <= 0 <= high


def test_children_have_it_and_another_program_has_not(child: Child) -> None:
    """So a program that begins has to be found, and what is found of a child can be changed or taken away."""
    child.shift(30_000_000)
    fork = "(lambda pid: pid or __import__('time').sleep(600))(__import__('os').fork())"
    born = child.ask(fork)
    assert isinstance(born, int)
    try:
        assert offset_of(born) == 30_000_000
        anew = f"print(2, flush=True)\n{ASK}"
        child.send(f"__import__('os').execv(sys.executable, [sys.executable, '-ISc', {anew!r}])")
        assert child.hear() == 2
        assert offset_of(child.pid) == 0
        assert bring(lambda: [child.pid, born], 7) == Outcome((7, 7), {})
        assert bring(lambda: [child.pid, born], 0) == Outcome((0, 0), {})
    finally:
        os.kill(born, signal.SIGKILL)


def test_who_stands_still_goes_on_doing_so(child: Child) -> None:
    """A node that is paused, or was stopped by somebody else, is shifted all the same."""
    os.kill(child.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    for offset_us in (30_000_000, 0, 30_000_000):
        assert child.shift(offset_us) == Outcome((offset_us,), {})
        # Let go, it is woken for a moment to stop again, without an instruction of its own.
        for _ in range(200):
            found = stat(child.pid)
            assert found
            if found.state == "T":
                break
            time.sleep(0.01)
        else:
            raise AssertionError(f"it stands still no more: {found}")
    os.kill(child.pid, signal.SIGCONT)
    low, high = child.ahead_s("clock(0)")
    assert low <= 30 <= high


@pytest.mark.parametrize("half", ["stub without jumps", "jumps to another offset", "one jump lacks"])
@pytest.mark.parametrize("offset_us", [12, 0, 30_000_000])
def test_what_was_left_half_done_is_finished_or_undone(child: Child, half: str, offset_us: int) -> None:
    """Whoever was killed in between: all that is needed is in the process."""
    before = image(child.pid)
    child.shift(30_000_000)
    stub = Stub.from_bytes(image(child.pid)[-SIZE:])
    assert stub
    if half == "jumps to another offset":
        put(child.pid, len(before) - SIZE, Stub(99, stub.entries, stub.saved).to_bytes())
    for entry, saved in zip(stub.entries, stub.saved, strict=True):
        if half == "stub without jumps" or (half == "one jump lacks" and entry == stub.entries[1]):
            put(child.pid, entry, saved)
    assert child.shift(offset_us) == Outcome((offset_us,), {})
    assert (image(child.pid) == before) == (not offset_us)
    low, high = child.ahead_s("clock(0)")
    assert low <= offset_us / 1e6 <= high + 1e-6


def test_who_dies_while_processes_stand_still_leaves_them_running(child: Child) -> None:
    program = (
        "import os, signal\nfrom stressnet.agent.standstill import standstill\n"
        f"with standstill([{child.pid}]) as refused:\n"
        f"    print(refused, open('/proc/{child.pid}/stat').read().split()[2], flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "{} t\n")
    assert child.ask("1") == 1


def test_who_is_traced_by_another_is_named_and_left_alone(child: Child) -> None:
    program = (
        "import sys\nfrom stressnet.agent import kernel\n"
        f"kernel.seize({child.pid})\nprint(flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tracer:
        assert tracer.stdout
        tracer.stdout.readline()
        assert child.shift(5).why == {child.pid: f"it is traced by process {tracer.pid}"}
        tracer.communicate()
    assert child.shift(5) == Outcome((5,), {})


def test_who_waits_for_a_child_that_shares_its_memory_is_shifted(child: Child, tmp_path: Path) -> None:
    """vfork(2): it cannot be woken, and so cannot be stopped; it stops before it runs on."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    actions = f"[(__import__('os').POSIX_SPAWN_OPEN, 9, {str(fifo)!r}, 0, 0)]"
    child.send(f"__import__('os').posix_spawn('/bin/true', ['true'], {{}}, file_actions={actions})")
    deadline = time.monotonic() + 5
    while (found := stat(child.pid)) and found.state != "D":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    born = [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
    assert len(born) == 1
    try:
        own = subprocess.run(  # in a process of its own, whose end lets go who cannot be let go otherwise
            [
                *(sys.executable, "-c"),
                "from stressnet.agent.clockshift import bring\n"
                f"for offset in (5, 30_000_000): print(bring(lambda: [{child.pid}, {born[0]}], offset))",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert own.stdout.splitlines()[-1] == str(Outcome((30_000_000, 30_000_000), {})), own.stderr
        os.close(os.open(fifo, os.O_RDWR))
        assert isinstance(child.hear(), int)
    finally:
        os.kill(born[0], signal.SIGKILL)  # else it would wait for ever, and who waits for it as well
    low, high = child.ahead_s("clock(0)")
    assert low <= 30 <= high


IN_A_HANDLER = """
import faulthandler, signal, sys, time
# The handler itself writes, in C: it waits there while the pipe is full.
faulthandler.register(signal.SIGUSR1, file=int(sys.argv[1]))
print(1, flush=True)
clock = time.clock_gettime
while True: clock(0)
"""


def test_who_was_interrupted_within_the_functions_comes_back_to_them() -> None:
    """A handler of a signal goes back to where it was called: what is there may not be taken away meanwhile."""
    reading, writing = os.pipe()
    room = fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-ISc", IN_A_HANDLER, str(writing)]
    waited = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=[writing]) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == b"1\n"
            for _ in range(20):
                assert bring(lambda: [child.pid], 30_000_000) == Outcome((30_000_000,), {})
                os.write(writing, bytes(room))
                child.send_signal(signal.SIGUSR1)
                _until_it_waits(child.pid)
                healed = bring(lambda: [child.pid], 0)
                waited += healed.offsets_us == (None,)
                assert not any(image(child.pid)[entry] == 0xE9 for entry in _entries(child.pid))
                os.read(reading, room)  # the handler goes on
                time.sleep(0.01)
                while select.select([reading], [], [], 0)[0]:
                    os.read(reading, room)
                assert child.poll() is None, child.returncode
                assert bring(lambda: [child.pid], 0) == Outcome((0,), {})
        finally:
            child.kill()
            os.close(reading)
            os.close(writing)
    assert waited, "nobody was ever interrupted within the functions"


def _until_it_waits(pid: int) -> None:
    """Wait until a process that never rests of itself stands in its handler."""
    deadline = time.monotonic() + 5.0
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _entries(pid: int) -> list[int]:
    known = vdso.functions(image(pid))
    return [known[name].start for name in FUNCTIONS]


BUSY = """
import threading, time, sys
def spin():
    last = time.monotonic()
    while True:
        now = time.monotonic(); assert now >= last; last = now
        time.time()
for _ in range(3): threading.Thread(target=spin, daemon=True).start()
for line in sys.stdin: print(len(threading.enumerate()), flush=True)
"""


def test_threads_that_ask_all_the_time_are_never_torn() -> None:
    child = Child(BUSY)
    try:
        assert child.ask("") == 4
        for turn in range(100):
            offset_us = (30_000_000, -1, 0)[turn % 3]
            assert child.shift(offset_us) == Outcome((offset_us,), {})
        assert child.ask("") == 4
    finally:
        child.process.kill()
        child.process.communicate()


def test_a_process_that_has_ended_is_no_process() -> None:
    with subprocess.Popen(["true"]) as gone:
        os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
        assert bring(lambda: [gone.pid, 2**22 + 1], 5) == Outcome((), {})


def test_it_is_tried_on_a_child_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tried() == ""
    monkeypatch.setattr("stressnet.agent.clocktrial.bring", lambda *_: Outcome())
    assert re.fullmatch(r"a child's clock is -?0\.0 s from ours, not -86400\.5 s", tried())
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert tried() == "there is no code for aarch64, only for x86_64"
