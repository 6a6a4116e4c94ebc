"""What the kernel says of a namespace's TCP sockets (sock_diag(7)), without a walk through the whole machine's.

/proc/net/tcp goes through the table of all namespaces; this asks for states, and gets those alone.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=LHHLL")
_QUERY = struct.Struct("=BBBxI48x")
_LOOPBACK = 127
LISTEN = 10


def open_diagnosis() -> socket.socket:
    """Return a socket that asks about the network namespace that the calling thread is in now."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _SOCK_DIAG)


def listening_ports(diagnosis: socket.socket) -> set[int]:
    """Return the TCP ports that other nodes can connect to by IPv4, also those of sockets that speak both."""
    return {port for family in (socket.AF_INET, socket.AF_INET6) for port in _ports(diagnosis, family)}


def _ports(diagnosis: socket.socket, family: int) -> Iterator[int]:
    query = _QUERY.pack(family, socket.IPPROTO_TCP, 0, 1 << LISTEN)
    diagnosis.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST_DUMP, 0, 0) + query)
    while True:
        answer = diagnosis.recv(1 << 17)
        offset = 0
        while offset < len(answer):
            length, kind = struct.unpack_from("=LH", answer, offset)
            if kind in (_DONE, _ERROR):
                return  # a kernel without IPv6 has an error for it, which is as good as none
            port, address = struct.unpack_from(">H2x16s", answer, offset + _HEADER.size + 4)
            if family != socket.AF_INET or address[0] != _LOOPBACK:
                yield port
            offset += length + (-length % 4)
