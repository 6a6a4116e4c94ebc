"""What a node with more power than ours could do: done from outside, by root, in a net's network namespaces."""

from __future__ import annotations

import os
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TypeVar

import pytest

from stressnet.agent import inspection, kernel
from stressnet.plan import Node

Made = TypeVar("Made")
_EVERYTHING = 0x0003
"""ETH_P_ALL of if_ether.h."""
_MARK = re.compile(rb"([a-z0-9-]+) ([0-9]+\.[0-9]+)\n")


def require_power() -> None:
    """Skip a test of what only root can do to a net."""
    if os.geteuid():
        pytest.skip("only root may enter the namespaces of a net from outside")


def process_of(node: Node) -> int:
    """Return a process in a node's network namespace, by this machine's ids."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if inspection.addresses(int(name)) == {node.address}:
                return int(name)
    raise AssertionError(f"no process has the address of {node.name}")


def inside(pid: int, work: Callable[[], Made]) -> Made:
    """Return what `work` makes in a process's network namespace."""
    made: list[Made] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            kernel.setns(network, kernel.CLONE_NEWNET)  # of this thread, which ends
            os.close(network)
            made.append(work())
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]


@contextmanager
def heard_at(pid: int) -> Iterator[Callable[[], dict[str, float]]]:
    """For the block, listen to every frame that comes into a namespace; what is given returns the marks that were
    heard since it was last asked: by name, when the last was sent."""
    link = inside(pid, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)))
    link.setblocking(False)

    def heard() -> dict[str, float]:
        found: dict[str, float] = {}
        with suppress(BlockingIOError):
            while True:
                frame, (_, _, direction, *_) = link.recvfrom(65536)
                if direction != socket.PACKET_OUTGOING:
                    found |= {name.decode(): float(sent) for name, sent in _MARK.findall(frame)}
        return found

    with link:
        yield heard


def mark(name: str) -> bytes:
    """Return what attempts send: their name, and the moment."""
    return f"{name} {time.monotonic()}\n".encode()


def hardware(address: str) -> bytes:
    """Return the hardware address that the net gives to whoever has this address."""
    return b"\x02\x00" + socket.inet_aton(address)


def ipv6_of(address: str) -> str:
    """Return the address that a node's interface would have by IPv6 alone (RFC 4291, appendix A)."""
    one, two, three, four = socket.inet_aton(address)
    return f"fe80::{one:x}ff:fe{two:02x}:{three:02x}{four:02x}"


def datagram(source: str, target: str, port: int, data: bytes) -> bytes:
    """Return an IPv4 packet with a UDP datagram."""
    udp = struct.pack(">HHHH", port, port, 8 + len(data), 0) + data
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + ends
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + udp


def datagram_six(source: str, target: str, port: int, data: bytes) -> bytes:
    """Return an IPv6 packet with a UDP datagram; routers do not look at its checksum."""
    udp = struct.pack(">HHHH", port, port, 8 + len(data), 0) + data
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    return struct.pack(">IHBB", 6 << 28, len(udp), socket.IPPROTO_UDP, 64) + ends + udp


def send_frame(target: bytes, source: bytes, packet: bytes, kind: bytes = b"") -> None:
    """Send a frame with a packet out of the one interface of a node's namespace."""
    kind = kind or (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as link:
        link.bind(("eth0", 0))
        link.send(target + source + kind + packet)
