"""Work that is told to end, as a program of its own on a real terminal and off it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from stressnet.cli.streams import open_standard_streams
from stressnet.cli.told import run_until_told
from stressnet.engine.ending import undisturbed

async def undo():
    print("told to end", flush=True)
    await asyncio.sleep(0.5)
    print("undone", flush=True)
    return 2

async def work():
    try:
        print("at work", flush=True)
        await asyncio.sleep(float(sys.argv[1]))
    except asyncio.CancelledError:
        return await undisturbed(undo())
    print("done", flush=True)
    return 0

open_standard_streams()
sys.exit(run_until_told(work()))
"""
LAST = """
import os, time

class Last:
    def __del__(self, write=os.write, sleep=time.sleep):
        write(1, b"going\\n")
        sleep(0.5)

last = Last()
"""
"""What Python does when it has given up its handlers of signals."""
LONG_S, SHORT_S = 30.0, 1.0


def begin(
    seconds: float,
    *before: str,
    terminal: int | None = None,
    controlling: bool = True,
    program: str = PROGRAM,
) -> subprocess.Popen[str]:
    """Begin the program after the words of another command, with a terminal that controls it or only shows it."""
    away = subprocess.PIPE if terminal is None else terminal

    def prepare() -> None:
        for way in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(way, signal.SIG_DFL)  # who runs these tests may have them ignored, as nohup does
        if terminal and controlling:
            os.close(os.open(os.ttyname(0), os.O_RDWR))

    return subprocess.Popen(
        [*before, sys.executable, "-c", program, str(seconds)],
        stdin=terminal,
        stdout=away,
        stderr=away,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
        preexec_fn=prepare,
    )


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_its_answer_is_given(way: signal.Signals, times: int) -> None:
    """However often it is told: what it undoes is undone to its end, and what it says then is read."""
    program = begin(LONG_S)
    assert program.stdout is not None
    assert program.stdout.readline() == "at work\n"
    program.send_signal(way)
    assert program.stdout.readline() == "told to end\n"
    for _ in range(times - 1):
        program.send_signal(way)
        time.sleep(0.1)
    assert program.communicate(timeout=LONG_S / 2) == ("undone\n", "")
    assert program.returncode == 2


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_its_answer_is_given_also_where_it_is_told_in_its_last_moment(way: signal.Signals) -> None:
    program = begin(0.0, program=LAST + PROGRAM)
    assert program.stdout is not None
    assert [program.stdout.readline() for _ in range(3)] == ["at work\n", "done\n", "going\n"]
    program.send_signal(way)
    assert program.communicate(timeout=LONG_S) == ("", "")
    assert program.returncode == 0


@pytest.mark.parametrize(("seconds", "controlling", "code"), [(LONG_S, True, 2), (SHORT_S, False, 0)])
def test_a_terminal_that_went_away_does_not_change_the_answer(
    seconds: float, controlling: bool, code: int
) -> None:
    """Each write to it is an error. The kernel sends SIGHUP to those whom it controls: a disowned job goes on."""
    screen, keyboard = os.openpty()
    program = begin(seconds, terminal=keyboard, controlling=controlling)
    os.close(keyboard)
    with open(screen, "rb", buffering=0) as shown:
        assert shown.readline() == b"at work\r\n"
    assert program.wait(timeout=LONG_S / 2) == code


def test_what_nohup_begins_outlives_its_terminal() -> None:
    """A signal that whoever began it has it ignore stays ignored."""
    program = begin(SHORT_S, "nohup")
    assert program.stdout is not None
    assert program.stdout.readline() == "at work\n"
    program.send_signal(signal.SIGHUP)
    assert program.communicate(timeout=LONG_S)[0] == "done\n"
    assert program.returncode == 0


def test_what_nobody_has_foreseen_is_no_verdict() -> None:
    """Python ends with 1, which says that a check has failed; and nobody wants its traceback but who asks for it."""
    program = "from stressnet import cli; cli.group.main = lambda **_: {}['height']; cli.main()"
    for debug, code in (("", 255), ("1", 1)):
        answer = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "STRESSNET_DEBUG": debug},
        )
        assert answer.returncode == code
        assert ("Traceback" in answer.stderr) is bool(debug)
        assert "KeyError('height')" in answer.stderr or debug
