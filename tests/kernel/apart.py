"""Two namespaces with a veth between, and an emulator on it, for tests of this kernel's own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from stressnet.agent import kernel, netlink, qdisc
from stressnet.faults.compose import Packet

HERE, THERE = "198.18.0.1", "198.18.0.2"
INDEX = 2
MACS = {HERE: b"\x02\0\0\0\0\1", THERE: b"\x02\0\0\0\0\2"}
_NO_CHECKSUM = 11
"""SO_NO_CHECK of socket(7): without it the receiver drops corrupt packets."""


@dataclass
class Pair:
    """A socket in each namespace; what `here` sends passes the emulator."""

    here: socket.socket
    there: socket.socket
    networks: tuple[int, int]
    """The namespaces, of which the first is the thread's."""


def apart(story: Callable[[Pair], Any], **emulator: float) -> Any:
    """Run a story in a thread with namespaces of its own, which end with it; return why there is no emulator."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_in_namespaces, story, emulator).result()


def _in_namespaces(story: Callable[[Pair], Any], emulator: dict[str, float]) -> Any:
    if os.geteuid():
        return "not as root"
    with _new_namespace() as here, _new_namespace() as there:
        return _between(here, there, story, emulator)


def _between(here: int, there: int, story: Callable[[Pair], Any], emulator: dict[str, float]) -> Any:
    kernel.setns(here, kernel.CLONE_NEWNET)
    with netlink.Route() as route:
        macs = {"hardware": MACS[HERE], "peer_hardware": MACS[THERE]}
        route.send(
            [netlink.veth(name="a", index=INDEX, peer="b", peer_index=INDEX, peer_namespace=there, **macs)]
        )
        route.send(_configure(HERE, THERE))
        kernel.setns(there, kernel.CLONE_NEWNET)
        with netlink.Route() as beyond:
            beyond.send(_configure(THERE, HERE))
        with _socket(THERE) as other:
            kernel.setns(here, kernel.CLONE_NEWNET)
            with _socket(HERE) as one:
                pair = Pair(one, other, (here, there))
                _wait_until_open(pair)
                try:
                    packet = Packet(**emulator)
                    route.send([qdisc.tree(INDEX), qdisc.limit(INDEX, 1, 0), qdisc.emulate(INDEX, 1, packet)])
                except OSError as error:
                    return str(error)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, qdisc.class_id(1))  # as the router does
                return story(pair)


def _wait_until_open(pair: Pair) -> None:
    """A new interface drops what it is given until a worker of the kernel has noticed that its peer is up."""
    pair.here.connect((THERE, 7000))
    pair.there.connect((HERE, 7000))
    for one, other in ((pair.here, pair.there), (pair.there, pair.here)):
        while True:
            one.send(b"?")
            if list(arrived(other, wait_s=0.1)):
                break


@contextmanager
def _new_namespace() -> Iterator[int]:
    kernel.unshare(kernel.CLONE_NEWNET)
    made = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield made
    finally:
        os.close(made)


def _configure(own: str, other: str) -> list[bytes]:
    return [
        netlink.link_up(INDEX),
        netlink.address(INDEX, own),
        netlink.neighbour(INDEX, other, MACS[other]),
        netlink.route(INDEX, other, 32),
    ]


@contextmanager
def _socket(address: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
        made.setsockopt(socket.SOL_SOCKET, _NO_CHECKSUM, 1)
        made.bind((address, 7000))
        yield made


def arrived(there: socket.socket, *, wait_s: float) -> Iterator[bytes]:
    there.settimeout(wait_s)
    try:
        while True:
            yield there.recv(2000)
    except (BlockingIOError, TimeoutError):
        return
