"""Queues of the kernel as netlink messages: a tree of classes on an interface, each with a rate and an emulator.

Structures and numbers are those of the kernel's uapi header pkt_sched.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from stressnet.agent.netlink import Route, attribute, attributes, message
from stressnet.faults.compose import Packet

_NEWQDISC, _DELQDISC, _GETQDISC, _NEWCLASS, _DELCLASS, _GETCLASS = 36, 37, 38, 40, 41, 42
_CREATE, _REPLACE, _EXCLUSIVE = 0x400, 0x100, 0x200
_ROOT = 0xFFFFFFFF
_TREE = 1 << 16
"""Handle of the tree, `1:`; class 1:N is `_TREE | N`."""
_KIND, _OPTIONS = 1, 2
_HTB_PARAMETERS, _HTB_INIT = 1, 2
_HTB_VERSION = 3
_ETHERNET = 1
_NETEM = b"netem\0"
_NETEM_CORRELATIONS, _NETEM_REORDER, _NETEM_CORRUPT, _NETEM_LOSS = 1, 3, 4, 5
_GILBERT_ELLIOTT = 2
_TICK_NS = 64
"""What the scheduler counts time in."""
_UNLIMITED = 1.25e9
"""Bytes a second of a class that has no limit: 10 Gbit/s, more than a stream gets through a relay."""
_BURST_S = 0.01
_LEAST_BURST = 65536
"""Bytes: a packet of the greatest size that segmentation offload makes must fit."""
_QUEUE = 100_000
"""Packets that an emulator holds: 80 ms of 10 Gbit/s."""
_BACKLOG_S = 0.3
"""How long data may wait for its turn. By default it is 1,000 packets: 12 s of 1 Mbit/s, which TCP takes for a loss."""
_FIFOS = 0x8000
"""Handles of plain queues begin here, so that an emulator can come in the place of one."""
MOST_CLASSES = _FIFOS - 2


def class_id(number: int) -> int:
    """Return what a packet's priority must be for it to go into a class."""
    return _TREE | number


def _header(interface: int, handle: int, parent: int) -> bytes:
    return struct.pack("=BxxxiIII", 0, interface, handle, parent, 0)


def tree(interface: int) -> bytes:
    """Put a tree on an interface; packets without a class go straight through."""
    start = struct.pack("=IIIII", _HTB_VERSION, 10, 0, 0, 0)
    options = attribute(_OPTIONS, attribute(_HTB_INIT, start))
    body = _header(interface, _TREE, _ROOT) + attribute(_KIND, b"htb\0") + options
    return message(_NEWQDISC, _CREATE | _EXCLUSIVE, body)  # the kernel changes no tree that is there


def remove_tree(interface: int) -> bytes:
    """Take the tree off again, with all that waits in it."""
    return message(_DELQDISC, 0, _header(interface, _TREE, _ROOT))


def limit(interface: int, number: int, rate: float) -> bytes:
    """Make or change a class; `rate` in bits a second, 0 for no limit."""
    bytes_a_second = _speed(rate)
    burst = max(_LEAST_BURST, bytes_a_second * _BURST_S)
    ticks = round(burst / bytes_a_second * 1e9 / _TICK_NS)
    speed = struct.pack("=BBHhHI", 0, _ETHERNET, 0, 0, 0, round(bytes_a_second))
    parameters = (
        speed + speed + struct.pack("=IIIII", min(ticks, 2**32 - 1), min(ticks, 2**32 - 1), 1500, 0, 0)
    )
    options = attribute(_OPTIONS, attribute(_HTB_PARAMETERS, parameters))
    body = _header(interface, class_id(number), _TREE) + attribute(_KIND, b"htb\0") + options
    return message(_NEWCLASS, _CREATE | _REPLACE, body)


def _speed(rate: float) -> float:
    return min(rate / 8 or _UNLIMITED, _UNLIMITED)


def queue(interface: int, number: int, rate: float) -> bytes:
    """Give a class a queue that holds what its rate takes a moment for; `rate` in bits a second."""
    limit_bytes = max(_LEAST_BURST, round(rate / 8 * _BACKLOG_S))
    header = _header(interface, (_FIFOS + number) << 16, class_id(number))
    body = header + attribute(_KIND, b"bfifo\0") + attribute(_OPTIONS, struct.pack("=I", limit_bytes))
    return message(_NEWQDISC, _CREATE | _REPLACE, body)


def remove_class(interface: int, number: int) -> bytes:
    """Remove a class with its emulator."""
    return message(_DELCLASS, 0, _header(interface, class_id(number), _TREE))


def emulate(interface: int, number: int, packet: Packet) -> bytes:
    """Put an emulator on a class: delay, jitter, loss, duplicates, damage, overtaking."""
    header = _header(interface, _emulator(number), class_id(number))
    body = header + attribute(_KIND, _NETEM) + attribute(_OPTIONS, _emulation(packet))
    return message(_NEWQDISC, _CREATE | _REPLACE, body)


def _emulator(number: int) -> int:
    """Return the handle of a class's emulator: numbered as classes are, from 2: on."""
    return (number + 1) << 16


def _emulation(packet: Packet) -> bytes:
    options = struct.pack(
        "=IIIIII",
        _ticks(packet.delay_s),
        _QUEUE,
        0 if packet.loss_correlation else _share(packet.loss),
        1 if packet.reorder else 0,
        _share(packet.duplicate),
        _ticks(packet.jitter_s),
    )
    # Also where they are 0: the kernel leaves as it was what it is not told.
    options += attribute(_NETEM_CORRELATIONS, struct.pack("=III", 0, 0, 0))
    options += attribute(_NETEM_REORDER, struct.pack("=II", _share(packet.reorder), 0))
    options += attribute(_NETEM_CORRUPT, struct.pack("=II", _share(packet.corrupt), 0))
    if packet.loss_correlation:
        options += attribute(_NETEM_LOSS, attribute(_GILBERT_ELLIOTT, _bursts(packet)))
    return options


def _bursts(packet: Packet) -> bytes:
    """Return a chain of a state in which every packet is lost and one in which none is (Gilbert 1960, Elliott 1963).

    It loses the share that is asked, and each packet decides the next by as much as is asked. Netem's own correlation
    of draws does neither: of 10 % with 25 % it loses 1.5 %.
    """
    changes = 1 - packet.loss_correlation
    return struct.pack(
        "=IIII", _share(packet.loss * changes), _share((1 - packet.loss) * changes), 0, 0
    )  # into the bad state, out of it; what passes there, and what is lost elsewhere


def has_emulation(packet: Packet) -> bool:
    """Whether these conditions need an emulator."""
    return bool(packet.delay_s or packet.loss or packet.duplicate or packet.corrupt or packet.reorder)


def is_queued(packet: Packet) -> bool:
    """Whether these conditions need a queue at all."""
    return bool(packet.rate) or has_emulation(packet)


def _ticks(seconds: float) -> int:
    return min(round(seconds * 1e9 / _TICK_NS), 2**32 - 1)


def _share(share: float) -> int:
    return min(round(share * 2**32), 2**32 - 1)


class Queues:
    """The queues that the kernel has on some interfaces, at the moment when this is made."""

    def __init__(self, route: Route, interfaces: Iterable[int]) -> None:
        self._emulators = {
            (interface, handle): parts.get(_OPTIONS, b"")
            for interface, handle, parts in _dump(route, _GETQDISC, 0)
            if parts[_KIND] == _NETEM
        }
        self._speeds = {
            (interface, handle): _speed_of(parts.get(_OPTIONS, b""))
            for one in set(interfaces)
            for interface, handle, parts in _dump(route, _GETCLASS, one)
        }

    def lack(self, interface: int, number: int, packet: Packet) -> str:
        """Return what is not there of a class and its emulator, in words; empty where all is as it should be."""
        speed = self._speeds.get((interface, class_id(number)))
        emulator = self._emulators.get((interface, _emulator(number)))
        if speed is None or (emulator is None and has_emulation(packet)):
            return "no queue"
        if speed != round(_speed(packet.rate)):
            return "another rate"
        return "" if emulator is None or _emulates(emulator, packet) else "another emulator"


def _dump(route: Route, kind: int, interface: int) -> Iterator[tuple[int, int, dict[int, bytes]]]:
    for body in route.dump(kind, _header(interface, 0, 0)):
        _, there, handle, _, _ = struct.unpack_from("=BxxxiIII", body)
        yield there, handle, dict(attributes(body[20:]))


def _speed_of(options: bytes) -> int:
    """Return the bytes a second of a class, 0 for what is no class of a tree."""
    parameters = dict(attributes(options)).get(_HTB_PARAMETERS, b"")
    return int(struct.unpack_from("=8xI", parameters)[0]) if parameters else 0


def _emulates(options: bytes, packet: Packet) -> bool:
    return _figures(options) == _figures(_emulation(packet))


def _figures(options: bytes) -> tuple[object, ...]:
    """Return what decides what an emulator does: delay, loss, duplicates, jitter, overtaking, damage, bursts."""
    delay, _, loss, _, duplicate, jitter = struct.unpack_from("=IIIIII", options)
    parts = dict(attributes(options[24:]))
    shares = (
        struct.unpack_from("=I", parts.get(kind, bytes(4)))[0] for kind in (_NETEM_REORDER, _NETEM_CORRUPT)
    )
    bursts = dict(attributes(parts.get(_NETEM_LOSS, b""))).get(_GILBERT_ELLIOTT, bytes(8))
    return delay, loss, duplicate, jitter, *shares, bursts[:8]
