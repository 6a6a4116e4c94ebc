"""Run a command in a node's place with the terminal of whoever asked: its descriptors come over the socket.

A socket of its own, because descriptors (SCM_RIGHTS, unix(7)) travel beside the bytes of one message.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stressnet.agent.netns import NetnsRuntime
from stressnet.agent.programs import readable
from stressnet.agent.runtime import NoSuchNode
from stressnet.plan import Preparation

SOCKET = "execute.sock"
_LARGEST = 256 * 1024
Answer = dict[str, Any]


class ExecuteServer:
    """Takes one request a connection: a JSON object and three descriptors; answers with one JSON line."""

    def __init__(self, runtime: NetnsRuntime) -> None:
        self._runtime = runtime
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen in the current folder until cancelled."""
        Path(SOCKET).unlink(missing_ok=True)
        listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        before = os.umask(0o177)
        try:
            listener.bind(SOCKET)
        finally:
            os.umask(before)
        listener.listen(16)
        with listener:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                task = asyncio.create_task(self._serve(connection))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with connection:
            await readable(connection.fileno())
            message, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 3)
            try:
                answer = await self._while_connected(connection, self._run(json.loads(message), descriptors))
            except NoSuchNode as error:
                answer = {"error": f"no node {error.name!r} in this net"}
            except (OSError, ValueError) as error:
                answer = {"error": str(error)}
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
            with suppress(ConnectionError):
                await loop.sock_sendall(connection, json.dumps(answer).encode())

    @staticmethod
    async def _while_connected(connection: socket.socket, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Do the work; give it up when whoever asked has gone, as by Ctrl-C."""
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(readable(connection.fileno()))
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in (working, leaving):
            task.cancel()
        try:
            return await working
        except asyncio.CancelledError:
            return {"error": "given up"}

    async def _run(self, request: dict[str, object], descriptors: Sequence[int]) -> Answer:
        if "prepare" in request:
            raw = request["prepare"]
            assert isinstance(raw, dict)
            preparation = Preparation(**{**raw, "command": tuple(raw["command"])})
            return {"code": await self._runtime.prepare(preparation, {}, descriptors[0])}
        node, command = str(request["node"]), request["command"]
        assert isinstance(command, list)
        stdin, stdout, stderr = descriptors
        terminal = str(request.get("terminal", ""))
        return {"code": await self._runtime.execute(node, command, (stdin, stdout, stderr), terminal)}
