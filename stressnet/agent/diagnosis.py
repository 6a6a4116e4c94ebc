"""What the kernel says of a namespace's TCP sockets (sock_diag(7))."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST, _DUMP = 0x1, 0x300
_DONE, _ERROR = 3, 2
_HEADER = struct.Struct("=LHHLL")
_QUERY = struct.Struct("=BBBxI36s4x8s")
ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10
_SYN_RECEIVED = 3
_ALL_BUT_LISTEN = 0xFFFFFFFF & ~(1 << LISTEN)
_STATE_AT, _PORTS_AT = 17, 20
"""Where in a message the state and the two ports stand (inet_diag.h)."""
_ADDRESSES_AT, _QUEUES_AT, _INODE_AT, _ATTRIBUTES_AT = 24, 72, 84, 88
_ATTRIBUTE = struct.Struct("=HH")
_INFO, _MEMORY = 2, 7
_ACKNOWLEDGED_AT = 120
"""Where in a tcp_info the count of acknowledged bytes stands (tcp.h)."""


_STATES = (
    "NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT",
    "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
"""The states of a connection by their numbers (tcp_states.h)."""
_OF_CONNECTIONS = (1 << len(_STATES)) - 1 & ~(1 << LISTEN)
"""Without sockets that are only bound, which later kernels list too (13)."""
_IPV4_WITHIN_IPV6 = bytes(10) + b"\xff\xff"
"""What an address of IPv6 begins with that stands for one of IPv4 (RFC 4291, 2.5.5.2)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A TCP connection as one of its ends has it; addresses with their ports."""

    state: str
    local: tuple[str, int]
    remote: tuple[str, int]
    rqueue: int
    """Bytes that have arrived and that the program has not read."""
    wqueue: int
    """Bytes that the program has written and that the other end has not acknowledged."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a socket has still to send."""

    waiting: int
    """Bytes of the kernel's memory that it takes."""
    room: int
    """How many it may take."""
    acknowledged: int
    """Bytes that the other end has taken so far."""

    @property
    def full(self) -> bool:
        """Tell whether whoever writes may have to wait: the kernel wakes him when a third is free."""
        return self.waiting * 3 > self.room * 2


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


def all_connections(diagnosis: socket.socket) -> Iterator[Connection]:
    """Yield every TCP connection of the namespace, also those that have no program any more."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for answer, offset in _messages(diagnosis, family, _OF_CONNECTIONS):
            near, far, source, target = struct.unpack_from(">HH16s16s", answer, offset + _PORTS_AT)
            queues = struct.unpack_from("=II", answer, offset + _QUEUES_AT)
            ends = (_address(family, source), near), (_address(family, target), far)
            yield Connection(_STATES[answer[offset + _STATE_AT]], *ends, *queues)


def _address(family: int, raw: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntoa(raw[:4])
    return socket.inet_ntoa(raw[12:]) if raw[:12] == _IPV4_WITHIN_IPV6 else socket.inet_ntop(family, raw)


def connections(diagnosis: socket.socket) -> tuple[Counter[str], Counter[str]]:
    """Return how many TCP connections of IPv4 have these ends, as `ADDRESS:PORT`: own ends, and others.

    Of those that a program has, or will have accepted: what is closed already, the kernel brings to its end by itself.
    """
    near, far = Counter[str](), Counter[str]()
    for answer, offset in _messages(diagnosis, socket.AF_INET, _ALL_BUT_LISTEN):
        (inode,) = struct.unpack_from("=I", answer, offset + _INODE_AT)
        if inode or answer[offset + _STATE_AT] in (ESTABLISHED, _SYN_RECEIVED):
            ends = _ends(answer, offset)
            near[ends[0]] += 1
            far[ends[1]] += 1
    return near, far


def backlogs(diagnosis: socket.socket) -> Iterator[tuple[str, str, Backlog]]:
    """Yield for each open TCP connection of IPv4 both ends as `ADDRESS:PORT`, own end first, and what waits in it."""
    states = 1 << ESTABLISHED | 1 << CLOSE_WAIT
    wanted = 1 << _INFO - 1 | 1 << _MEMORY - 1
    for answer, offset in _messages(diagnosis, socket.AF_INET, states, wanted):
        near, far = _ends(answer, offset)
        has = dict(_attributes(answer, offset))
        if _MEMORY in has:
            _, _, _, room, _, waiting = struct.unpack_from("=6I", has[_MEMORY])
            yield near, far, Backlog(waiting, room, _acknowledged(has.get(_INFO, b"")))


def _ends(answer: bytes, offset: int) -> tuple[str, str]:
    """Return both ends of a socket of IPv4, the own one first."""
    ports = struct.unpack_from(">HH", answer, offset + _PORTS_AT)
    start = offset + _ADDRESSES_AT
    addresses = answer[start : start + 4], answer[start + 16 : start + 20]
    near, far = (f"{socket.inet_ntoa(one)}:{port}" for one, port in zip(addresses, ports, strict=True))
    return near, far


def _acknowledged(info: bytes) -> int:
    if len(info) < _ACKNOWLEDGED_AT + 8:
        return 0
    return int(struct.unpack_from("=Q", info, _ACKNOWLEDGED_AT)[0])


def _attributes(answer: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    end = offset + struct.unpack_from("=L", answer, offset)[0]
    place = offset + _ATTRIBUTES_AT
    while place + _ATTRIBUTE.size <= end:
        length, kind = _ATTRIBUTE.unpack_from(answer, place)
        yield kind, answer[place + _ATTRIBUTE.size : place + length]
        place += length + (-length % 4)


def _messages(
    diagnosis: socket.socket, family: int, states: int, more: int = 0
) -> Iterator[tuple[bytes, int]]:
    """Yield each message on a socket, as the answer that it is in and its place there; `more` asks for attributes."""
    query = _QUERY.pack(family, socket.IPPROTO_TCP, more, states, b"", b"")
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
