"""A connection of the agent's own along a link of two nodes, to see what becomes of data there.

Both ends are sockets in the nodes' namespaces, so what it sends is under the same rules as what nodes send; see
`Relays.probe` for how it comes to a listener with the same toxics.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stressnet.agent.relays import Relays
from stressnet.faults.compose import Toxic
from stressnet.plan import Node

MESSAGE = 64
"""Bytes of one message."""
_OPEN_S = 5.0
"""How long a connection may take; the listener's toxics do not delay it."""
_READ = 1 << 18

Inside = Callable[[str, Callable[[], socket.socket]], socket.socket]
"""Return a socket that is made in a node's network namespace; LookupError where it has none."""


@dataclass(slots=True)
class Line:
    """One connection: `near` is its opener's end, `far` the other's."""

    near: socket.socket
    far: socket.socket

    async def round_trips(self, times: int, patience_s: float) -> list[float]:
        """Return how many seconds each of so many exchanges of 64 bytes took; TimeoutError where one takes longer."""
        loop = asyncio.get_running_loop()
        echo = asyncio.ensure_future(_echo(self.far))
        found = []
        try:
            for _ in range(times):
                begun = time.perf_counter()
                async with asyncio.timeout(patience_s):
                    await loop.sock_sendall(self.near, bytes(MESSAGE))
                    await _receive(self.near, MESSAGE)
                found.append(time.perf_counter() - begun)
        finally:
            await _end(echo)
        return found


async def throughput(
    sender: socket.socket, receiver: socket.socket, size: int, patience_s: float
) -> tuple[float, int]:
    """Send so many bytes; return bits a second from the first that arrive to the last, and how many were counted."""
    sending = asyncio.ensure_future(_send(sender, size))
    buffer = memoryview(bytearray(_READ))
    loop = asyncio.get_running_loop()
    first = received = 0
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(patience_s):
            # What arrives first had gathered before: it says nothing about speed.
            first = received = await loop.sock_recv_into(receiver, buffer)
            begun = time.perf_counter()
            while received < size:
                got = await loop.sock_recv_into(receiver, buffer)
                if not got:
                    raise ConnectionError("it ended early")
                received += got
    except TimeoutError:
        pass  # so slow is it
    finally:
        took = time.perf_counter() - begun
        await _end(sending)
    return (received - first) * 8 / max(took, 1e-9), received - first


async def passed(sender: socket.socket, receiver: socket.socket, size: int, patience_s: float) -> int:
    """Send so many bytes; return how many arrive before all have, the connection ends, or time is up."""
    sending = asyncio.ensure_future(_send(sender, size))
    received = 0
    try:
        async with asyncio.timeout(patience_s):
            while received < size:
                got = len(await asyncio.get_running_loop().sock_recv(receiver, _READ))
                if not got:
                    break
                received += got
    except (TimeoutError, ConnectionError):
        pass
    finally:
        await _end(sending)
    return received


async def ending(
    sender: socket.socket, receiver: socket.socket, *, close: bool, patience_s: float
) -> tuple[float, str] | None:
    """Send a message, or close; return after how many seconds the receiver's end ended and how, None if it did not."""
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    try:
        if close:
            sender.shutdown(socket.SHUT_WR)
        else:
            await loop.sock_sendall(sender, bytes(MESSAGE))
        async with asyncio.timeout(patience_s):
            while await loop.sock_recv(receiver, _READ):
                pass
    except TimeoutError:
        return None
    except ConnectionError:
        return time.perf_counter() - begun, "reset"
    return time.perf_counter() - begun, "closed"


@asynccontextmanager
async def line(
    inside: Inside, relays: Relays, opener: Node, acceptor: Node, toxics: Iterable[Toxic]
) -> AsyncIterator[Line]:
    """Open a connection from one node's namespace to the other's, through a listener with these toxics.

    OSError (TimeoutError) where it does not come to be, LookupError where a node has no namespace.
    """
    with inside(acceptor.name, lambda: _listening(acceptor)) as listening:
        port = listening.getsockname()[1]
        async with relays.probe((opener.name, acceptor.name), port, toxics):
            with inside(opener.name, _stream) as near, await _meet(listening, near, opener, acceptor) as far:
                yield Line(near, far)


async def _meet(listening: socket.socket, near: socket.socket, opener: Node, acceptor: Node) -> socket.socket:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_OPEN_S):
        await loop.sock_connect(near, (acceptor.address, listening.getsockname()[1]))
        while True:
            far, (address, _) = await loop.sock_accept(listening)
            if address == opener.address:
                far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return far
            far.close()  # some node of the net that looks for open ports


def _stream() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _listening(node: Node) -> socket.socket:
    """Listen at a port that the kernel chooses, and the node has not spoken for."""
    while True:
        made = _stream()
        try:
            made.bind((node.address, 0))
            made.listen()
        except OSError:
            made.close()
            raise
        if made.getsockname()[1] not in {port.number for port in node.ports}:
            return made
        made.close()


async def _echo(end: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(end, MESSAGE):
        await loop.sock_sendall(end, data)


async def _send(end: socket.socket, size: int) -> None:
    await asyncio.get_running_loop().sock_sendall(end, bytes(size))


async def _receive(end: socket.socket, size: int) -> None:
    while size:
        got = len(await asyncio.get_running_loop().sock_recv(end, size))
        if not got:
            raise ConnectionError("it ended early")
        size -= got


async def _end(task: asyncio.Future[Any]) -> None:
    """Stop what goes on at the other end; how it ended is seen at this one."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
