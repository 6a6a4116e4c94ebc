"""The knock socket: gates connect to it, and the kernel says who they are.

It is the only thing of ours that a node's container can reach, so it does nothing else: no byte is read from
it but the end of the stream. Any user of any image may connect; only processes that execute the gate program
itself are heard.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from stressnet.agent import kernel

VOLUME = Path("/.stressnet")
"""Where the net's volume is mounted, in the agent's container and (read-only) in every node's."""
_BACKLOG = 4096
_GO = b"g"
_CREDENTIALS = struct.Struct("3i")


class Visit:
    """One process at the door, or found beyond it. Holds a pidfd: its id cannot come to mean another."""

    def __init__(self, pid: int, line: socket.socket | None = None) -> None:
        self.pid = pid
        self.watch = os.pidfd_open(pid)
        self.line = line
        self.since = time.time() if line else 0.0
        """When it knocked, Unix time: everything that its container wrote before was another run's."""

    def alive(self) -> bool:
        """Whether the process has not ended: what /proc/PID said before this answer was said of it."""
        if self.watch < 0:
            return False
        poll = select.poll()
        poll.register(self.watch, select.POLLIN)
        return not poll.poll(0)

    def exit_code(self) -> int | None:
        """Return how the process ended, negative for a signal; None where the kernel does not say."""
        return kernel.exit_code(self.watch) if self.watch >= 0 else None

    def let_go(self) -> None:
        """Send the byte that the gate waits for."""
        if self.line is not None:
            self.line.send(_GO)

    def hang_up(self) -> None:
        """Close the line; a gate that still waits there knocks again."""
        if self.line is not None:
            asyncio.get_running_loop().remove_reader(self.line)
            self.line.close()
            self.line = None

    def close(self) -> None:
        """Close everything."""
        self.hang_up()
        if self.watch >= 0:
            asyncio.get_running_loop().remove_reader(self.watch)
            os.close(self.watch)
            self.watch = -1


class Door:
    """Listens for gates and hands each to `visit`, with its line still open."""

    def __init__(self, volume: Path, visit: Callable[[Visit], None]) -> None:
        self._volume = volume
        self._visit = visit
        self._gate = _identity(volume / "gate")
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Begin to listen. The name appears when the socket answers, and replaces an earlier agent's."""
        unfinished = self._volume / "knock.new"
        unfinished.unlink(missing_ok=True)
        listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        listener.bind(str(unfinished))
        unfinished.chmod(0o666)  # images run as any user; the volume is mounted by this net's containers only
        listener.listen(_BACKLOG)
        unfinished.rename(self._volume / "knock")
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    def close(self) -> None:
        """Stop listening; gates wait until somebody listens again."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()

    def is_gate(self, pid: int) -> bool:
        """Whether the process executes this net's gate program: the very file, not one like it."""
        try:
            return _identity(Path(f"/proc/{pid}/exe")) == self._gate
        except OSError:
            return False

    def is_ours(self, pid: int) -> bool:
        """Whether the process is process 1 of a container that mounts this net's volume."""
        try:
            return _is_first(pid) and _identity(Path(f"/proc/{pid}/root{self._volume}/gate")) == self._gate
        except OSError:
            return False

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                line, _ = self._listener.accept()
            except BlockingIOError:
                return
            line.setblocking(False)
            self._hear(line)

    def _hear(self, line: socket.socket) -> None:
        pid = _CREDENTIALS.unpack(line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[
            0
        ]
        try:
            visit = Visit(pid, line)
        except OSError:
            line.close()  # it has gone, or is of a process namespace that we cannot see
            return
        if self.is_gate(pid) and self.is_ours(pid) and visit.alive():
            self._visit(visit)
        else:
            visit.close()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _is_first(pid: int) -> bool:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("NSpid:"):
            ids = line.split()[1:]
            return len(ids) > 1 and ids[-1] == "1"
    return False
