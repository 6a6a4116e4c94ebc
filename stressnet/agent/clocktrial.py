"""Whether the time of day of another process can be shifted here: tried on a child, which is asked for its clocks."""

from __future__ import annotations

import platform
import select
import subprocess
import sys
import time

from stressnet.agent.clockshift import bring

_CHILD = "import sys, time\nfor _ in sys.stdin: print(time.time(), time.monotonic(), flush=True)"
_OFFSET_US = -86_400_500_000
_NEAR_S = 5.0
"""How far a right answer may be from our own clock: the child is slow on a busy machine."""
_ANSWER_S = 10.0


def tried() -> str:
    """Return why it cannot be done, empty where it can. A child on which it fails may die of it; no node does."""
    if platform.machine() != "x86_64":
        return f"there is no code for {platform.machine()}, only for x86_64"
    command = [sys.executable, "-ISc", _CHILD]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            return _trial(child)
        except OSError as error:
            return error.strerror or str(error)
        finally:
            child.kill()


def _trial(child: subprocess.Popen[bytes]) -> str:
    if any(abs(off) > _NEAR_S for off in _asked(child)):
        return "a child's clock is not ours from the beginning"
    for offset_us in (_OFFSET_US, 0):
        if why := bring(lambda: [child.pid], offset_us).why.get(child.pid):
            return why
        time_of_day, monotonic = _asked(child)
        if abs(time_of_day - offset_us / 1e6) > _NEAR_S:
            return f"a child's clock is {time_of_day:.1f} s from ours, not {offset_us / 1e6:.1f} s"
        if abs(monotonic) > _NEAR_S:
            return "a child's monotonic clock is shifted too"
    return ""


def _asked(child: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Return how far a child's clocks are ahead of ours, in seconds: the time of day and the monotonic one."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(b"\n")
    child.stdin.flush()
    if not select.select([child.stdout], [], [], _ANSWER_S)[0]:
        raise OSError("a child whose clock was shifted does not answer")
    words = child.stdout.readline().split()
    if len(words) != 2:
        raise OSError("a child whose clock was shifted has died")
    return float(words[0]) - time.time(), float(words[1]) - time.monotonic()
