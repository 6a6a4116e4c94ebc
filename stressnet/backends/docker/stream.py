"""A program in a container with its input and output in our hands, over the engine's own connection.

Threads, not asyncio: the stream may be a unix socket, TLS or an SSH channel, and blocking reads and writes
are all that these have in common.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import docker
import docker.errors

from stressnet.images.engine import explained

_CHUNK = 65536
_HEADER = 8
_STDERR = 2
_PAUSE_S = 0.01
_VERDICT_S = 5.0
"""How long after a program's output ended the engine may take to notice that it has."""
_LOOK_S, _LONGEST_LOOK_S = 1.0, 10.0
"""To the first look whether the program is still known, and between two later ones: engines were seen to leave the
connection open for ever where the container was removed just as the program began."""


class ExecStream:
    """One exec in a container."""

    def __init__(
        self,
        engine: docker.APIClient,
        container: str,
        command: Sequence[str],
        *,
        tty: bool = False,
        directory: str = "",
    ) -> None:
        self._engine = engine
        sdk: Any = engine  # for what its stubs do not show
        with explained(f"running {command[0]} in {container}"):
            created = engine.exec_create(
                container, list(command), stdin=True, tty=tty, workdir=directory or None
            )
            self.id: str = created["Id"]
            self._response = _start(sdk, self.id, tty)
        self._file = self._response.raw._fp.fp
        self._socket = sdk._get_raw_response_socket(self._response)
        self._socket = getattr(self._socket, "_sock", self._socket)
        self._tty = tty
        # The SDK's time-out for answers would end a program that is silent for longer, and an idle connection.
        self._socket.settimeout(None)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name=f"{container}-watch", daemon=True).start()

    def _watch(self) -> None:
        pause = _LOOK_S
        while not self._closed.wait(pause):
            pause = min(2 * pause, _LONGEST_LOOK_S)
            try:
                self._engine.exec_inspect(self.id)
            except docker.errors.NotFound:  # it went with its container
                self.hang_up()
                break
            except (docker.errors.DockerException, OSError):
                continue  # whether it is there is not known

    def read(self) -> tuple[int, bytes]:
        """Return the next bytes and whether they are of output (1) or errors (2); no bytes at the end."""
        if self._tty:
            return 1, self._some(_CHUNK)
        header = self._exactly(_HEADER)
        if len(header) < _HEADER:
            return 1, b""
        return header[0], self._exactly(int.from_bytes(header[4:], "big"))

    def write(self, chunk: bytes) -> None:
        """Send bytes to its input."""
        self._socket.sendall(chunk)

    def end_input(self) -> None:
        """Close its input."""
        with contextlib.suppress(OSError):
            # Not an SSLSocket's own shutdown, which would end both directions: the engine takes the end of the
            # TCP stream between two records for the end of the input, and goes on to send.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def hang_up(self) -> None:
        """Cut the connection: whoever reads it comes to the end."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def exit_code(self) -> int:
        """Return how it ended; only after `read` has come to the end. 126: it could not be started."""
        deadline = time.monotonic() + _VERDICT_S
        with explained("asking how a program ended"):
            while (found := self._engine.exec_inspect(self.id))["Running"] and time.monotonic() < deadline:
                time.sleep(_PAUSE_S)
        code = found["ExitCode"]
        return 126 if code is None else int(code)

    def close(self) -> None:
        """Close the connection; the program sees the end of its input."""
        self._closed.set()
        self._response.close()
        self._file.close()
        self._socket.close()

    def _some(self, count: int) -> bytes:
        # Through the buffered file where there is one: it may hold bytes that came with the answer's head.
        read: Callable[[int], bytes] = getattr(self._file, "read1", None) or self._socket.recv
        try:
            return read(count)
        except (OSError, ValueError):
            return b""

    def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count and (chunk := self._some(count - len(found))):
            found += chunk
        return found


def _start(engine: Any, exec_id: str, tty: bool) -> Any:
    # The SDK's own exec_start gives the socket alone, and what its buffer holds already is lost.
    response = engine._post_json(
        engine._url("/exec/{0}/start", exec_id),
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
        data={"Tty": tty, "Detach": False},
        stream=True,
    )
    engine._raise_for_status(response)
    return response


def as_socket(stream: ExecStream, name: str) -> socket.socket:
    """Return a socket whose bytes are the program's input and output; closing it ends the program's input."""
    ours, theirs = socket.socketpair()
    inward = threading.Thread(target=_carry_in, args=(stream, theirs), name=f"{name}-in", daemon=True)
    outward = threading.Thread(
        target=_carry_out, args=(stream, theirs, inward), name=f"{name}-out", daemon=True
    )
    inward.start()
    outward.start()
    return ours


def _carry_out(stream: ExecStream, theirs: socket.socket, inward: threading.Thread) -> None:
    with contextlib.suppress(OSError):
        while True:
            kind, chunk = stream.read()
            if not chunk:
                break
            if kind != _STDERR:
                theirs.sendall(chunk)
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)  # ends the other thread's wait, before both ends are closed
    inward.join()
    theirs.close()
    stream.close()


def _carry_in(stream: ExecStream, theirs: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := theirs.recv(_CHUNK):
            stream.write(chunk)
    stream.end_input()
