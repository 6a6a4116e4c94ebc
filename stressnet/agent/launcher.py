"""The process that starts programs for the agent: small, because a fork costs by the memory of who forks.

It is forked from process 1 before the agent imports anything, and ends with the agent. Its protocol is one
request at a time on a stream socket: eight bytes that say how long it is and how many descriptors come with it
(SCM_RIGHTS, unix(7)), then JSON; the answer is one JSON line. `programs` is the agent's end.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, NoReturn

from stressnet.agent import kernel, names
from stressnet.agent.launch import Launch, launch

HEADER = struct.Struct("=II")
DESCRIPTORS = ("network", "view", "stdin", "stdout", "stderr", "join")
"""The fields of a `Launch` that travel as descriptors, in this order, `join` only where there is one."""
_MOST_DESCRIPTORS = 16


def begin() -> tuple[int, socket.socket]:
    """Start the launcher; return its process id and the socket that it listens to, at whose end it ends too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _serve(theirs)
    theirs.close()
    return pid, ours


def _serve(connection: socket.socket) -> NoReturn:
    try:
        kernel.set_name(names.LAUNCHER)
        gc.disable()  # a collection writes to every object, and each page of them would be copied at each fork
        while request := _receive(connection):
            connection.sendall(json.dumps(_answer(*request)).encode() + b"\n")
    finally:
        os._exit(0)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], Sequence[int]] | None:
    flags = socket.MSG_CMSG_CLOEXEC
    header, descriptors, _, _ = socket.recv_fds(connection, HEADER.size, _MOST_DESCRIPTORS, flags)
    if not header:
        return None
    length, count = HEADER.unpack(header)
    assert len(descriptors) == count
    body = bytearray()
    while len(body) < length:
        body += connection.recv(length - len(body))
    return json.loads(body), descriptors


def _answer(request: dict[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
    try:
        if "bury" in request:
            return {"status": os.waitpid(request["bury"], 0)[1]}
        *places, tell = descriptors
        request.update(zip(DESCRIPTORS, places, strict=False))
        return {"pid": launch(Launch(**request), tell)}
    except OSError as error:
        return {"error": error.errno, "words": str(error)}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
