"""`exec` on a terminal: the command has one too, and this one is given back as it was."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.nets import Quiet, kill_agent, plan_text, python_nodes, until

from stressnet.engine.choose import backend_for
from stressnet.engine.up import up
from stressnet.plan import Plan

SLEEP = "import time\ntime.sleep(600)"
PATIENCE_S = 20
SIZE = 'python3 -c \'import os; print(*os.get_terminal_size(), "columns" + " and lines")\'\n'

WAIT_FOR_SIZE = "; ".join(
    (
        "import signal",
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])",
        "print(6 * 7)",
        "signal.sigwait([signal.SIGWINCH])",
        "print(6 * 7 + 1)",
    )
)
FIND_7777 = """
import os, sys
others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]
sys.exit(any(b'(7777)' in open(f'/proc/{p}/cmdline', 'rb').read() for p in others))
"""


@pytest.fixture
def plan(backend: str, tmp_path: Path, state_home: Path) -> Iterator[Plan]:
    """A live net with the node `n`."""
    plan = plan_text(tmp_path, python_nodes("contract-tty", {"n": SLEEP}), backend)
    net = backend_for(backend, plan.net)
    asyncio.run(up(plan, net, Quiet()))
    yield plan
    asyncio.run(net.destroy())


class Terminal:
    """Somebody who sits before `stressnet exec`."""

    def __init__(self, net: str, *command: str) -> None:
        self.screen, self.keyboard = os.openpty()
        self.resize(33, 90)
        self.before = termios.tcgetattr(self.keyboard)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stressnet", "exec", "--net", net, "n", *command],
            stdin=self.keyboard,
            stdout=self.keyboard,
            stderr=self.keyboard,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.seen = ""

    def resize(self, lines: int, columns: int) -> None:
        termios.tcsetwinsize(self.screen, (lines, columns))

    def type(self, text: str) -> None:
        os.write(self.screen, text.encode())

    def expect(self, text: str) -> None:
        """Wait until a text has appeared after what was expected before."""
        while text not in self.seen:
            assert select.select([self.screen], [], [], PATIENCE_S)[0], f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self.screen, 65536).decode()
        self.seen = self.seen.partition(text)[2]

    def end(self) -> int:
        return self.process.wait(PATIENCE_S)

    def restored(self) -> bool:
        return termios.tcgetattr(self.keyboard) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.screen)
        os.close(self.keyboard)


@pytest.fixture
def shell(plan: Plan) -> Iterator[Terminal]:
    """A shell in the node, that has shown that it listens."""
    terminal = Terminal(plan.net, "sh")
    terminal.type("echo it is $((40 + 2))\n")
    terminal.expect("it is 42")
    yield terminal
    terminal.close()


def test_ctrl_c_ends_what_the_shell_runs_and_not_the_shell(shell: Terminal) -> None:
    """The command has a terminal of its own, with jobs; what it wrote last is shown; its exit code is ours."""
    assert "job control" not in shell.seen
    shell.type("python3 -c 'import time; print(6 * 7, \"begun\"); time.sleep(600)'\n")
    shell.expect("42 begun")
    shell.type("\x03")
    shell.expect("KeyboardInterrupt")
    shell.type("echo alive $((6 * 7)); test -t 0 && test -t 2 && echo both $((6 * 7))\n")
    shell.expect("alive 42")
    shell.expect("both 42")
    shell.type("echo the last $((6 * 7)); exit 5\n")
    shell.expect("the last 42")
    assert shell.end() == 5
    assert shell.restored()


def test_the_window_is_as_large_as_ours(shell: Terminal) -> None:
    """From the start, and when it changes."""
    shell.type(SIZE)
    shell.expect("90 33 columns and lines")
    shell.type(f"python3 -c '{WAIT_FOR_SIZE}'\n")
    shell.expect("42")
    shell.resize(44, 120)
    shell.expect("43")
    shell.type(SIZE)
    shell.expect("120 44 columns and lines")


def test_the_terminal_is_restored_before_a_signal_ends_us(shell: Terminal, backend: str) -> None:
    """Whoever kills the command line, the terminal is as it was; the node's shell does not stay behind on netns."""
    assert not shell.restored()
    shell.process.send_signal(signal.SIGTERM)
    assert shell.end() == -signal.SIGTERM
    assert shell.restored()


def test_the_terminal_is_restored_when_interrupted_from_outside(shell: Terminal) -> None:
    """SIGINT that comes from elsewhere is the end of the command line, at once."""
    shell.process.send_signal(signal.SIGINT)
    assert shell.end() == 130
    assert shell.restored()


@pytest.mark.parametrize("backend", ["netns"], indirect=True)
def test_the_terminal_is_restored_when_the_agent_dies(shell: Terminal, plan: Plan) -> None:
    """The session ends with it, and the message is readable."""
    kill_agent(plan)
    shell.expect("went away")
    assert shell.end() == 255
    assert shell.restored()


@pytest.mark.parametrize("backend", ["netns"], indirect=True)
@pytest.mark.parametrize("way", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_runs_on_in_the_node(plan: Plan, way: signal.Signals) -> None:
    """However the command line ended: its terminal hangs up, and takes the command with it."""
    terminal = Terminal(plan.net, "python3", "-c", "import time; print(6 * 7); time.sleep(7777)")
    terminal.expect("42")
    terminal.process.send_signal(way)
    terminal.end()
    net = backend_for(plan.backend, plan.net)

    async def gone() -> bool:
        return await net.execute("n", ["python3", "-c", FIND_7777]) == 0

    asyncio.run(until(gone))
    terminal.close()


def test_a_command_that_is_not_there_says_so(plan: Plan) -> None:
    """The last words of a command that ends at once are shown."""
    terminal = Terminal(plan.net, "nowhere")
    terminal.expect("nowhere")
    assert terminal.end() in (126, 127)
    assert terminal.restored()
    terminal.close()
