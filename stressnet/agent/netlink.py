"""Route netlink messages, packed by hand and sent in one batch.

The kernel takes a veth pair, addresses, neighbours and routes of a node in a single send: 0.4 ms where a
library that builds messages from dictionaries takes 10 (measured, see docs/performance.md). Numbers are those
of the kernel's uapi headers (rtnetlink.h, if_link.h, neighbour.h); RFC 3549 describes the protocol.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress

_NEWLINK, _DELLINK, _NEWADDR, _NEWROUTE, _NEWNEIGH = 16, 17, 20, 24, 28
_REQUEST, _ACK, _EXCLUSIVE, _CREATE, _DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
_ERROR, _DONE = 2, 3
_IFF_UP = 1
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 1, 3, 18, 28
_INFO_KIND, _INFO_DATA, _VETH_INFO_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PREFSRC = 1, 4, 5, 7
_NDA_DST, _NDA_LLADDR = 1, 2
_NUD_PERMANENT = 0x80
_RTNH_F_ONLINK = 4
_TABLE_MAIN, _PROTO_STATIC, _UNICAST = 254, 4, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_GROUP_TC = 0x8
_SO_RCVBUFFORCE = 33
_NEWS_BUFFER = 1 << 25

LOOPBACK = 1
"""Interface index of `lo` in every namespace."""


def attribute(kind: int, value: bytes) -> bytes:
    """Pack one attribute, padded."""
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Pack a request that is to be answered."""
    return struct.pack("=LHHLL", 16 + len(body), kind, _REQUEST | _ACK | flags, 0, 0) + body


def _link(index: int, flags: int = 0, change: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, change)


def veth(
    *,
    name: str,
    index: int,
    hardware: bytes,
    peer: str,
    peer_index: int,
    peer_hardware: bytes,
    peer_namespace: int,
) -> bytes:
    """Make a pair of interfaces: this end here, the peer in the namespace of an open descriptor."""
    other = (
        _link(peer_index)
        + attribute(_IFLA_IFNAME, peer.encode() + b"\0")
        + attribute(_IFLA_ADDRESS, peer_hardware)
        + attribute(_IFLA_NET_NS_FD, struct.pack("=I", peer_namespace))
    )
    information = attribute(_INFO_KIND, b"veth") + attribute(_INFO_DATA, attribute(_VETH_INFO_PEER, other))
    return message(
        _NEWLINK,
        _CREATE | _EXCLUSIVE,
        _link(index)
        + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        + attribute(_IFLA_ADDRESS, hardware)
        + attribute(_IFLA_LINKINFO, information),
    )


def link_up(index: int) -> bytes:
    """Switch an interface on."""
    return message(_NEWLINK, 0, _link(index, _IFF_UP, _IFF_UP))


def delete_link(index: int) -> bytes:
    """Remove an interface, and with a veth its other end."""
    return message(_DELLINK, 0, _link(index))


def address(index: int, ip: str) -> bytes:
    """Give an interface an IPv4 address of its own (/32)."""
    packed = socket.inet_aton(ip)
    header = struct.pack("=BBBBI", socket.AF_INET, 32, 0, _SCOPE_UNIVERSE, index)
    return message(
        _NEWADDR,
        _CREATE | _EXCLUSIVE,
        header + attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed),
    )


def neighbour(index: int, ip: str, hardware: bytes) -> bytes:
    """Pin the hardware address of a neighbour, so that nobody has to ask for it.

    Permanent entries also stay out of the machine-wide limit on neighbours (gc_thresh3, 1024 by default),
    which a net of some hundred nodes would run into.
    """
    header = struct.pack("=BxxxiHBB", socket.AF_INET, index, _NUD_PERMANENT, 0, _UNICAST)
    return message(
        _NEWNEIGH,
        _CREATE,
        header + attribute(_NDA_DST, socket.inet_aton(ip)) + attribute(_NDA_LLADDR, hardware),
    )


def route(index: int, destination: str, length: int, *, gateway: str = "", source: str = "") -> bytes:
    """Send a destination through an interface, by a gateway that is reachable on it without a subnet."""
    header = struct.pack(
        "=BBBBBBBBI",
        socket.AF_INET,
        length,
        0,
        0,
        _TABLE_MAIN,
        _PROTO_STATIC,
        _SCOPE_UNIVERSE if gateway else _SCOPE_LINK,
        _UNICAST,
        _RTNH_F_ONLINK if gateway else 0,
    )
    body = (
        header
        + attribute(_RTA_DST, socket.inet_aton(destination))
        + attribute(_RTA_OIF, struct.pack("=I", index))
    )
    if gateway:
        body += attribute(_RTA_GATEWAY, socket.inet_aton(gateway))
    if source:
        body += attribute(_RTA_PREFSRC, socket.inet_aton(source))
    return message(_NEWROUTE, _CREATE | _EXCLUSIVE, body)


class Route:
    """A netlink socket in the namespace that the calling thread is in when it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._socket.bind((0, 0))
        self.port: int = self._socket.getsockname()[0]
        """By which the kernel tells this socket's changes from those of others."""

    def send(self, messages: Iterable[bytes]) -> None:
        """Send all messages at once and wait for every answer; OSError of the first that the kernel refused."""
        batch = list(messages)
        self._socket.send(b"".join(batch))
        pending, refused = len(batch), 0
        while pending:
            for error in _errors(self._socket.recv(65536)):
                pending -= 1
                refused = refused or error
        if refused:
            raise OSError(refused, f"netlink: {os.strerror(refused)}")

    def dump(self, kind: int, header: bytes) -> Iterator[bytes]:
        """Yield each thing that there is of a kind: its header, and its attributes behind it."""
        return replies(self._socket, message(kind, _DUMP, header), "netlink")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Route:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class QueueNews:
    """What the kernel tells of changes to queues in the namespace that the calling thread is in when this is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        with suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _NEWS_BUFFER)
        self._socket.bind((0, _GROUP_TC))

    def by_others(self, own: int) -> int:
        """Return how many changes were made since the last call through other sockets than the one of this port.

        What the kernel does by itself counts for nobody's; of more news than the buffer holds some are lost.
        """
        found = 0
        while True:
            try:
                news = self._socket.recv(1 << 18, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                continue
            found += sum(port not in (0, own) for _, port, _ in _messages(news))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _errors(answer: bytes) -> Iterable[int]:
    return (-struct.unpack_from("=i", body)[0] for kind, body in split(answer) if kind == _ERROR)


def replies(link: socket.socket, request: bytes, asked: str) -> Iterator[bytes]:
    """Yield what is behind the header of each message by which the kernel answers a request to dump.

    OSError, in whose words `asked` is who refused, where it does.
    """
    link.send(request)
    while True:
        for number, body in split(link.recv(1 << 18)):
            if number == _DONE:
                return
            if number == _ERROR:
                code = -struct.unpack_from("=i", body)[0]
                raise OSError(code, f"{asked}: {os.strerror(code)}")
            yield body


def split(answer: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the messages of an answer: the number of their kind, and what is behind the header."""
    return ((kind, body) for kind, _, body in _messages(answer))


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, port and body of each message; of news, the port is that of the socket by which it was asked for."""
    offset = 0
    while offset < len(data):
        length, kind, port = struct.unpack_from("=LH6xL", data, offset)
        yield kind, port, data[offset + 16 : offset + length]
        offset += length + (-length % 4)


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield attributes that are packed one behind the other: their kinds and values."""
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        yield kind & 0x3FFF, data[offset + 4 : offset + length]
        offset += length + (-length % 4)
