"""Datagrams of the agent's own along a link of two nodes, to see what becomes of packets there.

Both ends are sockets in the nodes' namespaces, so what is sent is under the same rules as what nodes send.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from stressnet.agent.linkprobe import MESSAGE, Inside
from stressnet.faults.arrivals import SIZE, Arrival, Arrivals, packed, unpacked
from stressnet.plan import Node

PAUSE_S = 0.001
"""Between two datagrams."""
SILENCE_S = 0.5
"""After the last datagram: how long those that come late are waited for."""
_BEHIND_S = 0.02
"""So late may datagrams be for those after them to make up for it, on a machine whose pauses are longer."""
_NO_CHECKSUM = 11
"""SO_NO_CHECK of socket(7): with a checksum, the receiver's kernel drops those that are damaged."""
_ROOM = 1 << 20
"""Bytes that the receiver's socket may hold; usually the kernel gives less, some 180 datagrams."""


async def datagrams(
    inside: Inside, source: Node, target: Node, count: int, patience_s: float
) -> tuple[int, int]:
    """Send datagrams from one node's namespace to the other's; return how many were sent, and how many arrived in
    time."""
    loop = asyncio.get_running_loop()
    sent = received = 0
    with inside(target.name, _datagram) as far, inside(source.name, _datagram) as near:
        far.bind((target.address, 0))
        near.connect(far.getsockname())
        for _ in range(count):
            with contextlib.suppress(OSError):  # that it is refused comes back with the next one
                near.send(bytes(MESSAGE))
                sent += 1
            await asyncio.sleep(PAUSE_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while received < sent:
                    await loop.sock_recv(far, MESSAGE)
                    received += 1
    return sent, received


async def numbered(inside: Inside, source: Node, target: Node, count: int, patience_s: float) -> Arrivals:
    """Send datagrams with numbers from one node's namespace to the other's; return what arrives of them, until so long
    after the last."""
    loop = asyncio.get_running_loop()
    came: list[Arrival] = []
    with inside(target.name, _datagram) as far, inside(source.name, _datagram) as near:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        near.setsockopt(socket.SOL_SOCKET, _NO_CHECKSUM, 1)
        far.bind((target.address, 0))
        near.connect(far.getsockname())
        loop.add_reader(far, _take, far, came)
        try:
            sent = await _send(near, count)
            await asyncio.sleep(patience_s)
            _take(far, came)
        finally:
            loop.remove_reader(far)
    return Arrivals(sent, [one for one in came if one[0] < len(sent)])


async def _send(near: socket.socket, count: int) -> list[float]:
    """Send at an even pace; return when each was sent."""
    sent: list[float] = []
    due = time.monotonic()
    for _ in range(count):
        now = time.monotonic()
        if _went(near, packed(len(sent))):
            sent.append(now)
        due = max(due + PAUSE_S, now - _BEHIND_S)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
    return sent


def _went(near: socket.socket, data: bytes) -> bool:
    for _ in range(2):  # the first time it may be told that an earlier one was refused
        with contextlib.suppress(OSError):
            near.send(data)
            return True
    return False


def _take(far: socket.socket, came: list[Arrival]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            one = unpacked(far.recv(2 * SIZE))
            if one is not None:
                came.append(one)


def _datagram() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
