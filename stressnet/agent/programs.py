"""The agent's end of the launcher: programs are started and buried by it, watched by the agent."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from dataclasses import fields
from typing import Any, TypeVar

from stressnet.agent.launch import Launch
from stressnet.agent.launcher import DESCRIPTORS, HEADER

_LONGEST_ANSWER = 4096

Made = TypeVar("Made")


class Programs:
    """Starts programs by way of the launcher."""

    def __init__(self, launcher: int, connection: socket.socket) -> None:
        """`launcher` is the process id of a child, `connection` the socket that it listens to."""
        self._launcher = launcher
        self._connection = connection
        self._connection.setblocking(False)
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Go on as long as the launcher does; its end is an error, because without it nothing can start."""
        watch = os.pidfd_open(self._launcher)
        try:
            await readable(watch)
        finally:
            os.close(watch)
        raise RuntimeError("the launcher has ended")

    async def launch(self, what: Launch) -> int:
        """Start the program and return its process id once its first instruction runs; see `launch.launch`.

        Given up half-way, it lets nothing run that nobody would know of.
        """
        starting = asyncio.ensure_future(self._start(what))
        try:
            return await _unbroken(starting)
        except asyncio.CancelledError:
            if not starting.cancelled() and starting.exception() is None:
                os.killpg(starting.result(), signal.SIGKILL)
                await self.bury(starting.result())
            raise

    async def _start(self, what: Launch) -> int:
        begun, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            places = [getattr(what, name) for name in DESCRIPTORS]
            request = {
                field.name: getattr(what, field.name)
                for field in fields(what)
                if field.name not in DESCRIPTORS
            }
            answer = await self._ask(request, [*(place for place in places if place >= 0), tell])
        except BaseException:
            os.close(begun)
            raise
        finally:
            os.close(tell)
        # Closed by the kernel at exec. Until then the child is ours, with a foot in our namespaces.
        try:
            await readable(begun)
        finally:
            os.close(begun)
        return int(answer["pid"])

    async def bury(self, pid: int) -> int:
        """Return the exit code, negative for a signal, of a program that has ended, and let its id be used again."""
        return os.waitstatus_to_exitcode((await self._ask({"bury": pid}, []))["status"])

    async def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        async with self._turn:
            # Its answer to nobody would be taken for that to the next request.
            line = await _unbroken(asyncio.ensure_future(self._exchange(request, descriptors)))
        if not line:
            raise ConnectionError("the launcher has ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OSError(answer["error"], answer["words"])
        return answer

    async def _exchange(self, request: dict[str, Any], descriptors: list[int]) -> bytes:
        loop = asyncio.get_running_loop()
        body = json.dumps(request).encode()
        # A new request on an idle socket: these few bytes never have to wait.
        socket.send_fds(self._connection, [HEADER.pack(len(body), len(descriptors))], descriptors)
        await loop.sock_sendall(self._connection, body)
        return await loop.sock_recv(self._connection, _LONGEST_ANSWER)


async def _unbroken(task: asyncio.Future[Made]) -> Made:
    """Wait until the task is done, however often this is cancelled meanwhile; the cancellation is raised then."""
    given_up: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            given_up = error
    if given_up is not None:
        raise given_up
    return task.result()


async def readable(descriptor: int) -> None:
    """Wait until a descriptor can be read: data, the end of a pipe, or of the process behind a pidfd."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_reader(descriptor)
