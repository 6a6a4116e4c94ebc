"""The last packets of nodes, kept in memory until somebody wants them as a file.

The kernel writes packets into blocks that the agent sees (TPACKET_V3, packet_mmap.rst of the kernel's documentation),
and a block is kept as it is: that costs one copy for some hundred packets. They are told apart only for the file.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import socket
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from stressnet.agent.complaints import complain
from stressnet.agent.supervisor import Supervisor

MIB = 1 << 20
_LARGEST_MIB = 64
_ALTOGETHER_MIB = 256
"""Of all nodes. The kernel has as much again to fill, so that nothing is lost while the agent is busy."""

_SOL_PACKET, _RX_RING, _STATISTICS, _VERSION, _VERSION_3 = 263, 5, 6, 10, 2
_EVERY_PROTOCOL = 3
_GET_ADDRESS = 0x8915
_BLOCK, _FRAME = 1 << 17, 2048
_RETIRE_MS = 50
"""A block that is not full is handed over after this time."""
_HEADER_AT = 8
_BLOCK_HEADER = struct.Struct("=IIII")
"""Status, number of packets, place of the first, bytes in use (tpacket_hdr_v1 of if_packet.h)."""
_PACKET = struct.Struct("=6IHH")
"""Distance to the next, seconds, nanoseconds, bytes kept and there, status, place of the bytes (tpacket3_hdr)."""
_OURS = 1
_FILE = struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, 1)
"""Begins a file of Ethernet frames with nanoseconds (pcap-savefile(5))."""


class CaptureRefused(ValueError):
    """So much is not kept; carries the words why."""


@dataclass(frozen=True, slots=True)
class Packets:
    """What was kept of a node."""

    content: bytes
    """A file of the format pcap."""
    count: int
    lost: int
    """Packets that came faster than they were kept, since the node was last wired."""


class Tap:
    """Sees all packets at one interface of the namespace that it is opened in."""

    def __init__(self, address: str, size: int) -> None:
        """Open it where the calling thread is, at the interface with this IPv4 address; OSError says why not.

        `size` is how much the kernel can fill before it loses packets, in bytes.
        """
        # No protocol yet: else it would see the packets of all interfaces until it is bound to one.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._socket.setsockopt(_SOL_PACKET, _VERSION, _VERSION_3)
            self._count = max(2, size // _BLOCK)
            frames = self._count * _BLOCK // _FRAME
            ring = struct.pack("=7I", _BLOCK, self._count, _FRAME, frames, _RETIRE_MS, 0, 0)
            self._socket.setsockopt(_SOL_PACKET, _RX_RING, ring)
            self._blocks = mmap.mmap(self._socket.fileno(), self._count * _BLOCK)
            self._socket.bind((_interface_with(address), _EVERY_PROTOCOL))
        except BaseException:
            self._socket.close()
            raise
        self._next = 0
        self._lost = 0

    def fileno(self) -> int:
        """Return the descriptor that can be read when there are full blocks."""
        return self._socket.fileno()

    def full(self) -> Iterator[bytes]:
        """Yield the blocks that are full."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # else it could be read for ever
        while self._header()[0] & _OURS:
            yield self._take()

    def rest(self) -> Iterator[bytes]:
        """Yield all that there is, also of the block that the kernel fills: for when nothing more comes."""
        yield from self.full()
        yield self._take()

    def _header(self) -> tuple[int, ...]:
        return _BLOCK_HEADER.unpack_from(self._blocks, self._next * _BLOCK + _HEADER_AT)

    def _take(self) -> bytes:
        start = self._next * _BLOCK
        _, count, _, used = self._header()
        block = self._blocks[start : start + used] if count else b""
        self._blocks[start + _HEADER_AT : start + _HEADER_AT + 8] = bytes(
            8
        )  # no packets, and the kernel's again
        self._next = (self._next + 1) % self._count
        return block

    def lost(self) -> int:
        """Return how many packets found no room."""
        _, dropped, _ = struct.unpack("=3I", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 12))
        self._lost += dropped  # asking sets the kernel's count back
        return self._lost

    def close(self) -> None:
        """Let go of the interface."""
        self._blocks.close()
        self._socket.close()


def _interface_with(address: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asker:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asker, _GET_ADDRESS, struct.pack("256s", name.encode()))
            except OSError:
                continue  # it has no address, as tunnels that the kernel brings along
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    raise OSError(f"no interface has the address {address}")


class _Ring:
    """The blocks of one node, the oldest first, and what brings more while the node has a namespace."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.tap: Tap | None = None
        self.blocks: deque[bytes] = deque()
        self._held = 0

    def keep(self, blocks: Iterable[bytes]) -> None:
        for block in filter(None, blocks):
            self.blocks.append(block)
            self._held += len(block)
        while self._held > self.size and len(self.blocks) > 1:
            self._held -= len(self.blocks.popleft())

    def drain(self) -> None:
        if self.tap is not None:
            self.keep(self.tap.full())


class Captures:
    """Which nodes' packets are kept. An agent that is started anew has none."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._rings: dict[str, _Ring] = {}

    def keep(self, names: Iterable[str], mib: int) -> None:
        """Keep the last MiB of each of these nodes from now on, also over their ends; 0 forgets what is kept.

        CaptureRefused where it is too much, OSError where the kernel does not let us. A node without a namespace begins
        as soon as it has one.
        """
        if type(mib) is not int or not 0 <= mib <= _LARGEST_MIB:
            raise CaptureRefused(f"{mib!r} MiB: 0 to {_LARGEST_MIB} of one node can be kept")
        wanted = {name: ring.size for name, ring in self._rings.items()} | dict.fromkeys(names, mib * MIB)
        total = sum(wanted.values())
        if mib and total > _ALTOGETHER_MIB * MIB:
            raise CaptureRefused(f"that is {total // MIB} MiB in all: at most {_ALTOGETHER_MIB} can be kept")
        for name in names:
            if not mib:
                self.ended(name)
                self._rings.pop(name, None)
                continue
            ring = self._rings.setdefault(name, _Ring(mib * MIB))
            ring.size = mib * MIB
            try:
                self._open(name, ring)
            except OSError:
                del self._rings[name]
                raise

    def wired(self, name: str) -> None:
        """Note that a node stands in a namespace that may be a new one."""
        self.ended(name)
        self.started(name)

    def started(self, name: str) -> None:
        """Note that a node runs."""
        ring = self._rings.get(name)
        if ring is not None:
            try:
                self._open(name, ring)
            except OSError as error:
                complain(f"the packets of {name} are not kept any more: {error}")

    def _open(self, name: str, ring: _Ring) -> None:
        if ring.tap is not None:
            return
        node = self._supervisor.plan.node(name)
        with suppress(LookupError):  # it has no namespace yet
            ring.tap = self._supervisor.inside(name, lambda: Tap(node.address, ring.size))
            asyncio.get_running_loop().add_reader(ring.tap, ring.drain)

    def ended(self, name: str) -> None:
        """Note that a node has ended; what it sent last is kept, and its namespace can go."""
        ring = self._rings.get(name)
        if ring is None or ring.tap is None:
            return
        asyncio.get_running_loop().remove_reader(ring.tap)
        ring.keep(ring.tap.rest())
        ring.tap.close()
        ring.tap = None

    async def take(self, name: str) -> Packets:
        """Return what is kept of a node, and go on keeping it; CaptureRefused where nothing is kept of it."""
        ring = self._rings.get(name)
        if ring is None:
            raise CaptureRefused(f"no packets of {name} are kept")
        await asyncio.sleep(2 * _RETIRE_MS / 1000)  # until the kernel has handed over what came before now
        ring.drain()
        records = await asyncio.to_thread(lambda blocks: list(_records(blocks)), tuple(ring.blocks))
        lost = ring.tap.lost() if ring.tap else 0
        return Packets(b"".join((_FILE, *records)), len(records), lost)

    def close(self) -> None:
        """Forget everything."""
        for name in list(self._rings):
            self.ended(name)
        self._rings.clear()


def _records(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield each packet as a file has it."""
    for block in blocks:
        _, count, place, _ = _BLOCK_HEADER.unpack_from(block, _HEADER_AT)
        for _ in range(count):
            distance, seconds, nanoseconds, kept, length, _, start, _ = _PACKET.unpack_from(block, place)
            data = block[place + start : place + start + kept]
            yield struct.pack("=4I", seconds, nanoseconds, len(data), length) + data
            place += distance
