"""What the kernel says of a namespace's TCP sockets (sock_diag(7))."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=LHHLL")
_QUERY = struct.Struct("=BBBxI36s4x8s")
ESTABLISHED, LISTEN = 1, 10
_ALL_BUT_LISTEN = 0xFFFFFFFF & ~(1 << LISTEN)
_STATE_AT, _PORTS_AT = 17, 20
"""Where in a message the state and the two ports stand (inet_diag.h)."""


def open_diagnosis() -> socket.socket:
    """Return a socket that asks about the network namespace that the calling thread is in now."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)


def accepts(diagnosis: socket.socket, address: str, port: int) -> bool:
    """Tell whether a TCP socket listens at this IPv4 address and port, also one of IPv6 that speaks both.

    The kernel looks it up by its hash: some 10 us, where a list of all that listen would take it 100 times as long.
    """
    place = struct.pack(">HH4s12x16x", port, 0, socket.inet_aton(address))
    query = _QUERY.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << LISTEN, place, b"\xff" * 8)
    diagnosis.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST, 0, 0) + query)
    answer = diagnosis.recv(1 << 12)
    (kind,) = struct.unpack_from("=H", answer, 4)
    return bool(kind == _BY_FAMILY and answer[_STATE_AT] == LISTEN)


def tcp_sockets(
    diagnosis: socket.socket, families: Iterable[int] = (socket.AF_INET, socket.AF_INET6)
) -> Mapping[tuple[int, int, int], int]:
    """Return how many TCP sockets there are by state, own port and other port, of these families together.

    Without those that listen: these are in a table of the whole machine, which takes long to go through.
    """
    found: Counter[tuple[int, int, int]] = Counter()
    for family in families:
        for answer, offset in _messages(diagnosis, family, _ALL_BUT_LISTEN):
            near, far = struct.unpack_from(">HH", answer, offset + _PORTS_AT)
            found[answer[offset + _STATE_AT], near, far] += 1
    return found


def connected(diagnosis: socket.socket, p2p: Container[int]) -> set[str]:
    """Return the IPv4 addresses at the other ends of open connections of which either end is a p2p port."""
    found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        for answer, offset in _messages(diagnosis, family, 1 << ESTABLISHED):
            near, far, address = struct.unpack_from(">HH16x16s", answer, offset + _PORTS_AT)
            if near in p2p or far in p2p:
                # One of IPv6 that speaks IPv4 has it in its last four bytes (RFC 4291, 2.5.5.2).
                found.add(socket.inet_ntoa(address[:4] if family == socket.AF_INET else address[12:]))
    return found


def _messages(diagnosis: socket.socket, family: int, states: int) -> Iterator[tuple[bytes, int]]:
    """Yield each message on a socket, as the answer that it is in and its place there."""
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, states, b"", b"")
    diagnosis.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST | _DUMP, 0, 0) + query)
    while True:
        answer = diagnosis.recv(1 << 17)
        offset = 0
        while offset < len(answer):
            length, kind = struct.unpack_from("=LH", answer, offset)
            if kind in (_DONE, _ERROR):
                return  # a kernel without IPv6 has an error for it, which is as good as none
            yield answer, offset
            offset += length + (-length % 4)
