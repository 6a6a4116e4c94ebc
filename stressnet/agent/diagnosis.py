"""What the kernel says of a namespace's TCP sockets (sock_diag(7)), without a walk through the whole machine's.

/proc/net/tcp goes through the table of all namespaces; this asks for states, and gets those alone.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Container, Iterator, Mapping

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=LHHLL")
_QUERY = struct.Struct("=BBBxI48x")
_LOOPBACK = 127
ESTABLISHED, LISTEN = 1, 10
_ALL = 0xFFFFFFFF
_STATE_AT, _PORTS_AT = 17, 20
"""Where in a message the state and the two ports stand (inet_diag.h)."""


def open_diagnosis() -> socket.socket:
    """Return a socket that asks about the network namespace that the calling thread is in now."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)


def listening_ports(diagnosis: socket.socket) -> set[int]:
    """Return the TCP ports that other nodes can connect to by IPv4, also those of sockets that speak both."""
    return {port for family in (socket.AF_INET, socket.AF_INET6) for port in _ports(diagnosis, family)}


def tcp_sockets(diagnosis: socket.socket) -> Mapping[tuple[int, int, int], int]:
    """Return how many TCP sockets there are by state, own port and other port, of IPv4 and IPv6 together."""
    found: Counter[tuple[int, int, int]] = Counter()
    for family in (socket.AF_INET, socket.AF_INET6):
        for answer, offset in _messages(diagnosis, family, _ALL):
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


def _ports(diagnosis: socket.socket, family: int) -> Iterator[int]:
    for answer, offset in _messages(diagnosis, family, 1 << LISTEN):
        port, address = struct.unpack_from(">H2x16s", answer, offset + _PORTS_AT)
        if family != socket.AF_INET or address[0] != _LOOPBACK:
            yield port


def _messages(diagnosis: socket.socket, family: int, states: int) -> Iterator[tuple[bytes, int]]:
    """Yield each message on a socket, as the answer that it is in and its place there."""
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, states)
    diagnosis.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST_DUMP, 0, 0) + query)
    while True:
        answer = diagnosis.recv(1 << 17)
        offset = 0
        while offset < len(answer):
            length, kind = struct.unpack_from("=LH", answer, offset)
            if kind in (_DONE, _ERROR):
                return  # a kernel without IPv6 has an error for it, which is as good as none
            yield answer, offset
            offset += length + (-length % 4)
