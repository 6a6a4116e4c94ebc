"""From a held namespace to a running process: the last steps before a program's first instruction.

The child is made by fork and enters everything itself, where a launcher program would cost a second exec. A
fork costs by the memory of who forks, so it is the launcher's (see `launcher`), not the agent's: whatever is
imported here is paid for by every node.
A node has a PID namespace of its own, as in a container: it sees and signals nobody else, least of all the
agent, and when it ends the kernel ends whatever it has started.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import socket
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from stressnet.agent import kernel
from stressnet.agent.world import KEPT, NODES, PREPARE

_FILES = 65536
"""Open files a node may have, where the hard limit allows."""

_INHERITED = (
    *(signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGXFSZ),
    *(signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
)
"""Signals that Python, or who called `up` (nohup), may have had ignored."""


@dataclass(slots=True)
class Launch:
    """One program to start. Descriptors are open in who starts it; `groups` are cgroup.procs files."""

    command: Sequence[str]
    env: Mapping[str, str]
    directory: str
    hostname: str
    network: int
    """The namespace that was made for it."""
    view: int
    """The mount namespace to start from."""
    stdin: int
    stdout: int
    stderr: int
    join: int = -1
    """A pidfd of a running node to join in all its namespaces, instead; -1 for namespaces of its own."""
    groups: Sequence[str] = ()
    terminal: bool = False
    """Whether stdin is a terminal that is to be the session's: Ctrl-C there is a signal, and shells have jobs."""


def launch(what: Launch, tell: int) -> int:
    """Start the program and return its process id; it leads a session. `tell` is closed by its exec.

    Where it cannot be started the child writes why to its stderr and ends with 126 or 127, as a shell does.
    """
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if what.join < 0:
            kernel.unshare(kernel.CLONE_NEWPID)
        else:
            kernel.setns(what.join, kernel.CLONE_NEWPID)
        pid = os.fork()
        if pid == 0:
            _become(what, tell)
    finally:
        kernel.setns(home, kernel.CLONE_NEWPID)  # also where fork failed: else no later one could succeed
        os.close(home)
    return pid


def _become(what: Launch, tell: int) -> NoReturn:
    code = 126
    try:
        for group in what.groups:
            _join(group)
        os.setsid()
        if what.join < 0:
            _own_place(what)
        else:
            kernel.setns(what.join, kernel.CLONE_NEWNET | kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
        os.chdir(what.directory)
        _keep_only(what.stdin, what.stdout, what.stderr, tell)
        if what.terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _fresh_process()
        kernel.drop_capabilities()
        os.execvpe(what.command[0], list(what.command), dict(what.env))
    except OSError as error:
        code = 127 if isinstance(error, FileNotFoundError) else 126
        os.write(2, f"stressnet: cannot start {what.command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _keep_only(stdin: int, stdout: int, stderr: int, tell: int) -> None:
    """Close everything but these; the last is closed by exec."""
    for source, target in ((stdin, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    last = tell if tell == 3 else os.dup2(tell, 3, inheritable=False)
    os.closerange(last + 1, 65536)


def _own_place(what: Launch) -> None:
    """Give the node its host name, and show it its own processes only: programs look themselves up in /proc."""
    own = kernel.copy_mount(what.directory)  # here it may be a disk of its own, which the view does not show
    kernel.setns(what.network, kernel.CLONE_NEWNET)
    kernel.setns(what.view, kernel.CLONE_NEWNS)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS)
    socket.sethostname(what.hostname)
    # Its own directory stays writable, those of the others do not.
    kernel.put_mount(own, what.directory)
    for folder in (NODES, KEPT, PREPARE):
        kernel.set_read_only(folder, read_only=True, recursive=False)
    flags = kernel.MS_RDONLY | kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", flags)


def _join(group: str) -> None:
    with open(group, "w") as file:
        file.write("0")


def _fresh_process() -> None:
    for number in _INHERITED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
