"""How a process ended, as the kernel tells it and as people read it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from stressnet.agent.kernel import exit_code
from stressnet.engine.explain import exit_words


def ended(program: str) -> tuple[int | None, int | None]:
    """Return what a pidfd says before and after the parent has heard of the end."""
    process = subprocess.Popen([sys.executable, "-c", f"import os; {program}"])
    watch = os.pidfd_open(process.pid)
    try:
        os.waitid(os.P_PIDFD, watch, os.WEXITED | os.WNOWAIT)
        before = exit_code(watch)
        process.wait()
        return before, exit_code(watch)
    finally:
        os.close(watch)


@pytest.mark.parametrize(
    ("program", "code"), [("os._exit(137)", 137), ("os.kill(os.getpid(), 9)", -9), ("os._exit(0)", 0)]
)
def test_the_kernel_tells_a_signal_from_a_number(program: str, code: int) -> None:
    """Also to who is not the parent, once the parent knows; a kernel before 6.15 says nothing."""
    assert ended(program) in ((None, code), (None, None))
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15):
        assert ended(program) == (None, code)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exit code 0"),
        (127, "exit code 127 (its program is not there)"),
        (128, "exit code 128"),
        (137, "exit code 137 (SIGKILL?)"),
        (168, "exit code 168 (signal 40?)"),
        (128 + signal.NSIG, f"exit code {128 + signal.NSIG}"),
        (255, "exit code 255"),
        (-9, "killed by SIGKILL"),
        (-40, "killed by signal 40"),
        (None, "it ended, and nobody saw with what exit code"),
    ],
)
def test_words_claim_no_more_than_is_known(code: int | None, words: str) -> None:
    """A number above 128 may be the program's own."""
    assert exit_words(code) == words
