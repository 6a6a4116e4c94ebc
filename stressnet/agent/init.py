"""Process 1 of a net's world, or of the agent's container: as little as can be, because nothing restarts it.

It starts the agent, starts it again when it dies, buries orphans and writes down how they ended (the only
witness of a node's exit while the agent is away), and ends everything at the net's time to live.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from collections.abc import Callable

RESTART_PAUSE_S = 0.2
"""Between the end of an agent and the start of the next, so that one that cannot start does not spin."""


def supervise(
    agent: Callable[[], None],
    *,
    exits: str,
    expires_at: float,
    owner: int = -1,
    on_end: Callable[[], None] = lambda: None,
) -> None:
    """Run `agent` in a child, and again in another when that dies, until it returns there (or its program ends
    with status 0), the time `expires_at` (Unix, 0: never) comes, a SIGTERM, or the pipe `owner` closes before a
    byte came through it (whoever was making this net died half-way).

    Nothing that `agent` imports is imported here: this process stays small.
    """
    wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    running = _start(agent)
    ended = False
    while not ended:
        readable = _wait(wake_read, owner, expires_at)
        if owner in readable:
            ended, owner = not os.read(owner, 1), _close(owner)
        if wake_read in readable:
            ended = ended or signal.SIGTERM in os.read(wake_read, 4096)
        for pid, status in _bury(exits, running):
            if pid == running:
                ended = ended or status == 0
                running = -1
        if running < 0 and not ended:
            time.sleep(RESTART_PAUSE_S)
            running = _start(agent)
        ended = ended or bool(expires_at and time.time() >= expires_at)
    on_end()


def _wait(wake: int, owner: int, expires_at: float) -> list[int]:
    left = max(0.0, expires_at - time.time()) if expires_at else None
    watched = [wake] if owner < 0 else [wake, owner]
    return select.select(watched, [], [], left)[0]


def _close(descriptor: int) -> int:
    os.close(descriptor)
    return -1


def _start(agent: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        agent()
        status = 0
    except BaseException:  # whatever it is, the log must say it
        traceback.print_exc()
    finally:
        os._exit(status)


def _bury(exits: str, agent: int) -> list[tuple[int, int]]:
    """Reap whatever has ended; write down all but the agent, in lines that a torn write cannot confuse."""
    buried = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        buried.append((pid, status))
        if pid != agent:
            _note(exits, pid, os.waitstatus_to_exitcode(status))
    return buried


def _note(exits: str, pid: int, code: int) -> None:
    with open(exits, "a", encoding="ascii") as file:
        file.write(json.dumps({"pid": pid, "code": code}) + "\n")


def end_everyone_else() -> None:
    """Kill every process of this PID namespace but this one, and wait until they are gone."""
    try:
        os.kill(-1, signal.SIGKILL)
        while True:
            os.waitpid(-1, 0)
    except (ProcessLookupError, ChildProcessError):
        return
