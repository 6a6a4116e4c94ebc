"""nf_tables messages, packed by hand and sent in one transaction.

No program is started and none has to be installed: the agent is as small in a container as in a world of
namespaces, and ten thousand elements go to the kernel at once. Either all of a transaction holds or nothing
of it. Numbers are those of the kernel's uapi headers (nfnetlink.h, nf_tables.h); `nft list ruleset` shows
what came of them.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from stressnet.agent.netlink import attribute, attributes, replies, split

_SUBSYSTEM = 10 << 8
_NEWTABLE, _NEWCHAIN, _NEWRULE, _NEWSET, _NEWELEMENT, _DELELEMENT = 0, 3, 6, 9, 12, 14
_GETGEN = 16
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_GENERATION_OF_BATCH, _GENERATION = 1, 1
_REQUEST, _ACK, _CREATE, _APPEND, _DUMP = 0x1, 0x4, 0x400, 0x800, 0x300
_ERROR = 2
_NESTED = 0x8000
_FAMILY_IPV4 = 2
_REGISTER = 8
"""The first of sixteen registers of four bytes; every part of a key takes one."""
_DROP, _ACCEPT, _JUMP = 0, 1, -3
_VERDICT_TYPE = 0xFFFFFF00
_EVAL, _MAP = 0x20, 0x8
_ELEMENTS_PER_MESSAGE = 500
"""A nested attribute holds 65,535 bytes at most."""
_SEND_BUFFER = 1 << 25
_ATTEMPTS = 50
"""At a transaction that others are faster than: so often in a row nobody is by chance."""

IPV4, PORT, MARK, INTERFACE = 7, 13, 19, 20
"""Sorts of key parts, as `nft` names them when it lists a set."""
INCOMING, PROTOCOL = 4, 16
"""Keys of `meta`: index of the interface that a packet came in by, its transport protocol."""
STATE, ORIGINAL_TARGET = 0, 20
"""Keys of `conntrack`: bits of its state, the address that a connection was made to."""
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}

Expression = bytes


def _nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | _NESTED, b"".join(parts))


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def _text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def _message(kind: int, flags: int, body: bytes, family: int = _FAMILY_IPV4) -> bytes:
    return struct.pack("=LHHLLBBH", 20 + len(body), kind, _REQUEST | flags, 0, 0, family, 0, 0) + body


def _expression(name: str, *parts: bytes) -> Expression:
    return _nested(1, _text(1, name), _nested(2, *parts))


# What a rule is made of. Registers count from 0; an address or a port takes one each.


def payload(register: int, base: int, offset: int, length: int) -> Expression:
    """Load bytes of the packet: base 1 is the network header, 2 the transport header."""
    return _expression(
        "payload", _number(1, _REGISTER + register), _number(2, base), _number(3, offset), _number(4, length)
    )


def source(register: int) -> Expression:
    """Load the IPv4 source address."""
    return payload(register, 1, 12, 4)


def destination(register: int) -> Expression:
    """Load the IPv4 destination address."""
    return payload(register, 1, 16, 4)


def target_port(register: int) -> Expression:
    """Load the destination port; a rule must have made sure that the packet is TCP or UDP."""
    return payload(register, 2, 2, 2)


def meta(register: int, key: int) -> Expression:
    """Load something about the packet: INCOMING or PROTOCOL."""
    return _expression("meta", _number(1, _REGISTER + register), _number(2, key))


def interface(register: int) -> Expression:
    """Load the index of the incoming interface so that it can be compared: highest byte first."""
    return meta(register, INCOMING) + _highest_first(register)


def conntrack(register: int, key: int, *, original: bool = False) -> Expression:
    """Load something about the connection: STATE, or (with `original`) ORIGINAL_TARGET."""
    direction = [attribute(3, b"\0")] if original else []
    return _expression("ct", _number(1, _REGISTER + register), _number(2, key), *direction)


def compare(register: int, value: bytes, operator: int = 0) -> Expression:
    """Go on only if the register equals the value (1: does not; 2: is less; 5: is not less)."""
    return _expression(
        "cmp", _number(1, _REGISTER + register), _number(2, operator), _nested(3, attribute(1, value))
    )


def mask(register: int, bits: bytes) -> Expression:
    """Keep only these bits of a register."""
    return _expression(
        "bitwise",
        _number(1, _REGISTER + register),
        _number(2, _REGISTER + register),
        _number(3, len(bits)),
        _nested(4, attribute(1, bits)),
        _nested(5, attribute(1, bytes(len(bits)))),
    )


def within(name: str, *, inverted: bool = False) -> Expression:
    """Go on only if the key in the registers is in a set (or is not)."""
    return _expression("lookup", _text(1, name), _number(2, _REGISTER), _number(5, int(inverted)))


def look_up(name: str) -> Expression:
    """Load what a map has for the key, or go to the next rule if it has nothing."""
    return _expression("lookup", _text(1, name), _number(2, _REGISTER), _number(3, _REGISTER))


def follow(name: str) -> Expression:
    """Do what a map of verdicts says for the key, if it has one."""
    return _expression("lookup", _text(1, name), _number(2, _REGISTER), _number(3, 0))


def chance(share: float) -> Expression:
    """Go on for this share of packets, drawn anew for each."""
    steps = 1 << 24
    return (
        _expression("numgen", _number(1, _REGISTER), _number(2, steps), _number(3, 1), _number(4, 0))
        + _highest_first(0)
        + compare(0, struct.pack(">I", round(share * steps)), 2)
    )


def _highest_first(register: int) -> Expression:
    places = (_number(1, _REGISTER + register), _number(2, _REGISTER + register))
    return _expression("byteorder", *places, _number(3, 1), _number(4, 4), _number(5, 4))


def count(name: str) -> Expression:
    """Count packets and bytes under the key in the registers, in a set of counters."""
    zero = struct.pack(">Q", 0)
    counter = _nested(7, _text(1, "counter"), _nested(2, attribute(1, zero), attribute(2, zero)))
    return _expression("dynset", _text(1, name), _number(3, 1), _number(4, _REGISTER), counter)


def translate(kind: str, *, port: bool) -> Expression:
    """Change the source ("snat") or destination ("dnat") to the address in register 0 (and port in register 1)."""
    ports = [_number(5, _REGISTER + 1)] if port else []
    number = 1 if kind == "dnat" else 0
    return _expression(
        "nat", _number(1, number), _number(2, _FAMILY_IPV4), _number(3, _REGISTER), *ports, _number(7, 0)
    )


def set_priority() -> Expression:
    """Give the packet the priority in register 0: a queue's class, which the queue then need not look for."""
    return _expression("meta", _number(2, 2), _number(3, _REGISTER))


def reset() -> Expression:
    """Answer with a TCP reset, and drop the packet."""
    return _expression("reject", _number(1, 1), attribute(2, b"\0"))


def prohibit() -> Expression:
    """Answer that it is administratively prohibited (ICMP 3/13), and drop the packet."""
    return _expression("reject", _number(1, 0), attribute(2, b"\x0d"))


def drop() -> Expression:
    """Drop the packet."""
    return _expression("immediate", _number(1, 0), _nested(2, _nested(2, _number(1, _DROP))))


# What a table is made of.


def table(name: str) -> bytes:
    """Make a table of IPv4."""
    return _message(_SUBSYSTEM | _NEWTABLE, _CREATE, _text(1, name))


def chain(table_name: str, name: str, kind: str = "", hook: str = "", priority: int = 0) -> bytes:
    """Make a chain: at a hook, or without one for jumps."""
    body = _text(1, table_name) + _text(3, name)
    if hook:
        body += _nested(4, _number(1, HOOKS[hook]), _number(2, priority)) + _number(5, _ACCEPT)
        body += _text(7, kind)
    return _message(_SUBSYSTEM | _NEWCHAIN, _CREATE, body)


def rule(table_name: str, chain_name: str, *expressions: Expression) -> bytes:
    """Append a rule to a chain."""
    body = _text(1, table_name) + _text(2, chain_name) + _nested(4, *expressions)
    return _message(_SUBSYSTEM | _NEWRULE, _CREATE | _APPEND, body)


@dataclass(frozen=True, slots=True)
class Set:
    """A set, a map (with `data`), a map of verdicts, or a set of counters that packets fill."""

    name: str
    key: Sequence[int]
    """Sorts of the parts of its key: IPV4, PORT, INTERFACE."""
    data: Sequence[int] = ()
    verdicts: bool = False
    counters: bool = False
    size: int = field(default=1 << 20, kw_only=True)


def new_set(table_name: str, wanted: Set, number: int) -> bytes:
    """Make a set; `number` is one that no other of the transaction has."""
    flags = (_MAP if wanted.data or wanted.verdicts else 0) | (_EVAL if wanted.counters else 0)
    body = _text(1, table_name) + _text(2, wanted.name) + _number(3, flags)
    body += _number(4, _sort(wanted.key)) + _number(5, 4 * len(wanted.key))
    if wanted.data:
        body += _number(6, _sort(wanted.data)) + _number(7, 4 * len(wanted.data))
    if wanted.verdicts:
        body += _number(6, _VERDICT_TYPE) + _number(7, 16)
    body += (_nested(9, _number(1, wanted.size)) if wanted.counters else b"") + _number(10, number)
    return _message(_SUBSYSTEM | _NEWSET, _CREATE, body)


def _sort(parts: Sequence[int]) -> int:
    sort = 0
    for part in parts:
        sort = sort << 6 | part
    return sort


def port_number(port: int) -> bytes:
    """Return a port as a part of a key: four bytes, the port first."""
    return struct.pack(">Hxx", port)


def jump(chain_name: str) -> bytes:
    """Return the verdict to go through another chain, as the data of an element."""
    return _nested(2, _number(1, _JUMP), _text(2, chain_name))


def value(parts: bytes) -> bytes:
    """Return parts of addresses and ports as the data of an element."""
    return attribute(1, parts)


def add(table_name: str, set_name: str, elements: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Put elements into a set: each a key, and data made by `value` or `jump`, empty for a plain set."""
    yield from _elements(_NEWELEMENT, _CREATE, table_name, set_name, elements)


def remove(table_name: str, set_name: str, keys: Iterable[bytes]) -> Iterator[bytes]:
    """Take elements out of a set; all must be there."""
    yield from _elements(_DELELEMENT, 0, table_name, set_name, ((key, b"") for key in keys))


def flush(table_name: str, set_name: str) -> bytes:
    """Empty a set."""
    return _message(_SUBSYSTEM | _DELELEMENT, 0, _text(1, table_name) + _text(2, set_name))


def _elements(
    kind: int, flags: int, table_name: str, set_name: str, elements: Iterable[tuple[bytes, bytes]]
) -> Iterator[bytes]:
    packed = [
        _nested(1, _nested(1, attribute(1, key)), *([_nested(2, data)] if data else []))
        for key, data in elements
    ]
    head = _text(1, table_name) + _text(2, set_name)
    for start in range(0, len(packed), _ELEMENTS_PER_MESSAGE):
        body = head + _nested(3, *packed[start : start + _ELEMENTS_PER_MESSAGE])
        yield _message(_SUBSYSTEM | kind, flags, body)


class Nftables:
    """A netfilter socket in the network namespace that the calling thread is in when it is made.

    The kernel numbers what is committed there: a transaction of ours says which number it follows, so none of anybody
    else's goes unnoticed, though all is as before after two of them.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 12)
        self._socket.bind((0, 0))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SEND_BUFFER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, 32, _SEND_BUFFER)  # SO_SNDBUFFORCE
        except PermissionError:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        self._generation = 0
        """The number of the latest transaction that we know of; 0, which follows any: none yet."""
        self._of_others = 0

    def of_others(self) -> int:
        """Return how many transactions of others were committed since the first of ours."""
        if self._generation:
            self._follow(0)
        return self._of_others

    def _follow(self, own: int) -> None:
        """Count what was committed since the last look, of which so many may be ours."""
        now = self._ask_generation()
        if self._generation:
            self._of_others += max(0, (now - self._generation) % (1 << 32) - own)
        self._generation = now

    def _ask_generation(self) -> int:
        body = next(replies(self._socket, _message(_SUBSYSTEM | _GETGEN, 0, b""), "nf_tables"))
        return int.from_bytes(dict(attributes(body[4:]))[_GENERATION], "big")

    def commit(self, messages: Iterable[bytes]) -> None:
        """Send one transaction; OSError of the first thing that the kernel refused, and then nothing holds."""
        batch = list(messages)
        if not batch:
            return
        batch[-1] = _with_ack(batch[-1])
        for _ in range(_ATTEMPTS):
            refused = self._send(batch)
            if refused != errno.ERESTART:
                break
            self._follow(0)
        if refused:
            raise OSError(refused, f"nf_tables: {os.strerror(refused)}")
        self._follow(1)

    def _send(self, batch: Sequence[bytes]) -> int:
        """Send what follows the transaction that we know of; return the error by which it was refused, or 0."""
        edge = struct.pack(">BBH", 0, 0, 10)
        follows = _number(_GENERATION_OF_BATCH, self._generation)
        begin = struct.pack("=LHHLL", 20 + len(follows), _BATCH_BEGIN, _REQUEST, 0, 0) + edge + follows
        end = struct.pack("=LHHLL", 20, _BATCH_END, _REQUEST, 0, 0) + edge
        self._socket.send(begin + b"".join(batch) + end)
        # The kernel has worked through the whole transaction before `send` returns: its answers are there.
        acknowledged = False
        refused = 0
        while not (acknowledged or refused):
            for kind, body in split(self._socket.recv(1 << 18)):
                if kind == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    refused = refused or code
                    acknowledged = acknowledged or not code
        self._drain()
        return refused

    def _drain(self) -> None:
        while True:
            try:
                self._socket.recv(1 << 18, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return

    def dump(self, kind: int, *names: str) -> Iterator[dict[int, bytes]]:
        """Yield the parts of each thing that there is of a kind, below a table (and a set); nothing where that is not
        there. `nfread` knows kinds and parts."""
        named = b"".join(_text(number, name) for number, name in enumerate(names, 1))
        with suppress(FileNotFoundError):
            for body in replies(self._socket, _message(_SUBSYSTEM | kind, _DUMP, named), "nf_tables"):
                yield dict(attributes(body[4:]))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Nftables:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _with_ack(message: bytes) -> bytes:
    flags = struct.unpack_from("=H", message, 6)[0] | _ACK
    return message[:6] + struct.pack("=H", flags) + message[8:]
