"""A peer that breaks the rules, or only holds on to what it gets, costs a node nothing for long.

All play their part against one node on real sockets. After each the log says why the peer had to go, blocks are still
made, and streams, tasks and open files are what they were before.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from loopback import Net, Process, until
from prometheus_client.parser import text_string_to_metric_families
from syncnode import frames, wire
from syncnode.config import DiscoveryKeys, P2PKeys
from syncnode.discovery import Discovery, Record
from syncnode.frames import ACK, CLOSE, DATA, HEADER, HELLO, OPEN, PING, PONG, RESET, WINDOW
from syncnode.framing import LENGTH
from syncnode.identity import peer_id
from syncnode.log import Log
from syncnode.messages import (
    BLOCK_HASHES,
    BLOCK_NUMBER,
    BLOCKS_BY_HASHES,
    BLOCKS_BY_NUM,
    Request,
    Response,
    decode,
)
from syncnode.metrics import Metrics
from syncnode.rules import Rules
from syncnode.swarm import Swarm

RULES = Rules("localnet", 0, 5, ["v0"], 0.02)
SYNC, GOSSIP, DISC = map(RULES.protocol, ("sync", "gossip", "disc"))
QUICK = """
[p2p]
handshake_timeout = "2s"
keepalive_interval = "4s"
keepalive_timeout = "2s"
"""
"""0.2, 0.4 and 0.2 s after scaling."""
NOBODY_ELSE = (
    '[discovery]\nsoft_low_cap = 0\nhard_low_cap = 0\ntimeout = "3s"\n[gossip]\nfetch_timeout = "2s"'
)
LIMIT = 20 * 1024 * 1024
MIB = 1024 * 1024
RESTING = ("syncnode_open_streams", "syncnode_tasks", "process_open_fds")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    net = Net(tmp_path_factory.mktemp("hostile"), ["v0"], ["v0"], f"block_time = 0.02\n{NOBODY_ELSE}")
    config = net["v0"].home / "config.toml"
    config.write_text(config.read_text().replace("[p2p]\n", QUICK.lstrip()))
    net.start()
    until(lambda: net["v0"].height() >= 12, what="blocks are made")
    yield net["v0"]
    assert net["v0"].end() == 0
    assert "Traceback" not in net["v0"].log()


def figures(node: Process) -> dict[str, float]:
    text = node.get("/metrics", 9900)
    return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}


@pytest.fixture
def sound(node: Process) -> Iterator[Callable[[], str]]:
    """Return what the log says since the test began; see that the node is as before when it has ended."""
    before, begun = figures(node), len(node.log())
    yield lambda: node.log()[begun:]
    height = node.height()
    rested = lambda: all(figures(node)[name] <= before[name] for name in RESTING)  # noqa: E731
    until(rested, 5, f"it is at rest again, as in { ({name: before[name] for name in RESTING}) }")
    until(lambda: node.height() > height, 5, "blocks are made")
    grown = figures(node)["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]
    assert grown < 48 * MIB, "more than what the C library keeps of a heap that was large (twice 20 MiB)"


class Peer:
    """One end of a connection that does as it likes."""

    def __init__(self, node: Process, name: str = "", *, room: int = 0) -> None:
        self.socket = socket.socket()
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.settimeout(5)
        self.socket.connect((node.host, 9000))
        self._decoder = frames.Decoder()
        self._got: list[tuple[int, int, bytes]] = []
        self._credit = 262144
        if name:
            self.send(HELLO, 0, hello(name))
            self.next(HELLO)

    def send(self, kind: int, stream: int, payload: bytes = b"") -> None:
        self.raw(frames.frame(kind, stream, payload))

    def raw(self, data: bytes) -> None:
        """Send as much as the node takes: it may hang up at any moment."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(data)

    def open(self, number: int, protocol: str) -> int:
        """Open a stream; return the type of the answer."""
        self.send(OPEN, number, protocol.encode())
        return self.next(ACK, RESET, stream=number)[0]

    def message(self, number: int, message: bytes, size: int = -1) -> None:
        """Send a message of the size that it claims, or of another, as fast as the window of its stream allows."""
        data = LENGTH.pack(len(message) if size < 0 else size) + message
        for at in range(0, len(data), frames.MAX_PAYLOAD):
            piece = data[at : at + frames.MAX_PAYLOAD]
            while self._credit < len(piece):
                self._credit += frames.code(self.next(WINDOW, stream=number)[2])
            self._credit -= len(piece)
            self.send(DATA, number, piece)

    def next(self, *kinds: int, stream: int | None = None) -> tuple[int, int, bytes]:
        """Return the next frame of one of some types."""
        while True:
            while self._got:
                frame = self._got.pop(0)
                if frame[0] in kinds and stream in (None, frame[1]):
                    return frame
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            for frame in self._decoder.feed(data):
                self._got.append(frame)
                if frame[0] == PING:
                    self.send(PONG, 0, frame[2])

    def answer(self, number: int) -> bytes:
        """Return the next message on a stream, which comes in one frame."""
        return self.next(DATA, stream=number)[2][LENGTH.size :]

    def ends(self) -> bool:
        """Read until the node hangs up."""
        with contextlib.suppress(EOFError, ConnectionError):
            self.next()
        self.socket.close()
        return True


def hello(name: str, genesis: bytes = RULES.genesis.hash) -> bytes:
    instance = int.from_bytes(os.urandom(7))
    return frames.Hello(peer_id(5, name), name, "127.0.0.1:1", genesis, instance, 1).encode()


# Before the greeting.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", "no frame starts with"),
        (os.urandom(100_000).replace(b"\x09", b"\x00"), "no frame starts with"),
        (frames.frame(PING, 0, bytes(4)), "the first frame is no greeting"),
        (frames.frame(HELLO, 0, hello("x")[:-3]), "field is longer than|cut off"),
        (frames.frame(HELLO, 0, b""), "a greeting without a peer id"),
        (frames.frame(HELLO, 0, hello("x" * 5000)), "a text of 5000 bytes"),
        (frames.frame(HELLO, 0, hello("x"))[:-3], "no greeting in time"),
        (b"", "no greeting in time"),
    ],
    ids=["http", "noise", "ping", "cut greeting", "nobody", "long name", "half a greeting", "nothing"],
)
def test_who_does_not_greet_has_to_go(node, sound, data, reason):
    peer = Peer(node)
    peer.raw(data)
    assert peer.ends()
    until(
        lambda: re.search(f"event=stranger_gone host=.* reason=.*({reason})", sound()), 2, "the log says why"
    )


def test_a_peer_of_another_net_is_told_so(node, sound):
    peer = Peer(node)
    peer.send(HELLO, 0, hello("stranger", b"other"))
    peer.next(RESET)
    assert peer.ends()
    assert 'event=peer_refused peer=stranger host=127.0.0.1 reason="another net"' in sound()


# What the peer is to blame for: it is dropped, and is not let in again.


def streamed(number: int, message: bytes) -> list[tuple[int, int, bytes]]:
    return [(DATA, number, LENGTH.pack(len(message)) + message)]


def asked(request: Request) -> list[tuple[int, int, bytes]]:
    return [(OPEN, 1, SYNC.encode()), *streamed(1, request.encode())]


def gossiped(message: bytes) -> list[tuple[int, int, bytes]]:
    return [(OPEN, 1, GOSSIP.encode()), *streamed(1, message)]


BAD = {
    "no such type": ([(99, 1, b"")], "no frame starts with type 99"),
    "a second greeting": ([(HELLO, 0, hello("again"))], "a frame of type 9"),
    "a ping of a wrong size": ([(PING, 0, b"12345")], "a number of the wrong size"),
    "a stream of our numbers": ([(OPEN, 2, SYNC.encode())], "stream 2 cannot be opened"),
    "an opening played again": ([(OPEN, 1, DISC.encode())] * 2, "stream 1 cannot be opened"),
    "an ACK that is not due": ([(OPEN, 1, DISC.encode()), (ACK, 1, b"")], "a frame of type 2 for stream 1"),
    "data after the end": (
        [(OPEN, 1, DISC.encode()), (CLOSE, 1, b""), (DATA, 1, b"x")],
        "data after the stream was closed",
    ),
    "more than the window": (
        [(OPEN, 1, DISC.encode()), *streamed(1, wire.data(1, SYNC.encode())), *[(DATA, 1, bytes(65536))] * 5],
        "more data than the window",
    ),
    "windows without end": (
        [(OPEN, 1, DISC.encode()), *[(WINDOW, 1, b"\xff" * 4)] * 2],
        "a window beyond 4 GiB",
    ),
    "a message above the limit": (
        [(OPEN, 1, GOSSIP.encode()), (DATA, 1, LENGTH.pack(LIMIT + 1))],
        f"a message of {LIMIT + 1} bytes",
    ),
    "no message": (asked(Request(BLOCK_NUMBER))[:1] + streamed(1, b"\xff" * 40), "cut off or too long"),
    "no gossip": (gossiped(wire.number(1, 7)), "a gossip message that is no message"),
    "gossip of many parts": (gossiped(wire.data(9, b"") * 17), "a gossip message that is no message"),
    "a wish for a hash of no bytes": (gossiped(wire.data(4, b"")), "a hash of the wrong size"),
    "a wish for a hash of one byte": (gossiped(wire.data(4, b"\x00")), "a hash of the wrong size"),
    "a response nobody asked for": (
        [(OPEN, 1, SYNC.encode()), *streamed(1, Response(BLOCK_NUMBER, 7, number=3).encode())],
        "a response that nobody asked for",
    ),
    "51 hashes": (asked(Request(BLOCK_HASHES, range(51))), "51 hashes, above the cap of 50"),
    "11 blocks by number": (
        asked(Request(BLOCKS_BY_NUM, range(11))),
        "11 blocks by number, above the cap of 10",
    ),
    "11 blocks by hash": (
        asked(Request(BLOCKS_BY_HASHES, hashes=[bytes(32)] * 11)),
        "11 blocks by hash, above the cap of 10",
    ),
    "a block by a hash of one byte": (
        asked(Request(BLOCKS_BY_HASHES, hashes=[b"\x00"])),
        "a hash of the wrong size",
    ),
    "another namespace": (
        [(OPEN, 1, DISC.encode()), *streamed(1, wire.data(1, b"other"))],
        "a query for another namespace",
    ),
    "a registration for another": (
        [
            (OPEN, 1, DISC.encode()),
            *streamed(1, wire.data(1, SYNC.encode()) + wire.data(3, wire.data(1, b"me"))),
        ],
        "a registration for somebody else",
    ),
}


@pytest.mark.parametrize("wrong", BAD)
def test_who_breaks_the_rules_is_dropped_and_not_let_in_again(node, sound, wrong):
    sent, reason = BAD[wrong]
    peer = Peer(node, wrong)
    peer.raw(b"".join(frames.frame(*frame) for frame in sent))
    assert peer.ends()
    until(
        lambda: re.search(f"event=peer_dropped peer={peer_id(5, wrong)} reason=.*{reason}", sound()),
        3,
        reason,
    )
    again = Peer(node, wrong)
    assert frames.code(again.next(RESET)[2]) == frames.BANNED
    assert again.ends()


def test_a_frame_above_the_limit_is_not_waited_for(node, sound):
    peer = Peer(node, "large")
    peer.raw(HEADER.pack(DATA, 1, frames.MAX_PAYLOAD + 1))
    assert peer.ends()
    until(lambda: f"no frame starts with type 3 and length {frames.MAX_PAYLOAD + 1}" in sound(), 2)


@pytest.mark.parametrize(
    ("protocol", "message", "reason"),
    [
        (SYNC, wire.number(7, 1) * (5 * MIB), "a message of more than 65536 fields"),
        (
            SYNC,
            wire.data(1, wire.data(3, wire.data(1, b"\x01" * 10 * MIB))),
            "a list of more than 65536 numbers",
        ),
        (GOSSIP, wire.data(9, b"") * (5 * MIB), "a gossip message that is no message"),
    ],
    ids=["fields", "numbers", "gossip"],
)
def test_10_mib_of_crumbs_do_not_hold_the_node_up(node, sound, protocol, message, reason):
    slowest = 0.0
    for number in range(3):
        peer = Peer(node, f"crumbs {reason} {number}")
        assert peer.open(1, protocol) == ACK
        peer.message(1, message)
        for _ in range(5):
            start = time.monotonic()
            assert node.height() > 0
            slowest = max(slowest, time.monotonic() - start)
        assert peer.ends()
    assert len(re.findall(f"event=peer_dropped .*{reason}", sound())) == 3
    assert slowest < 1


def test_a_message_that_never_ends_takes_no_more_than_its_limit_and_goes_with_its_peer(node, sound):
    begun = figures(node)["process_resident_memory_bytes"]
    for number in range(4):
        peer = Peer(node, f"endless {number}")
        assert peer.open(1, GOSSIP) == ACK
        peer.message(1, bytes(LIMIT - 1), LIMIT)
        assert figures(node)["process_resident_memory_bytes"] - begun < 4 * LIMIT
        peer.socket.close()
        until(lambda: figures(node)["syncnode_peers"] == 0, 3)


# Too much of what is allowed.


def test_a_protocol_that_nobody_speaks_is_refused_and_the_peer_stays(node, sound):
    peer = Peer(node, "other tongue")
    peer.send(OPEN, 1, b"harmony/light/localnet/0/9.9.9")
    assert frames.code(peer.next(RESET, stream=1)[2]) == frames.UNKNOWN_PROTOCOL
    assert peer.open(3, DISC) == ACK
    peer.socket.close()


@pytest.mark.parametrize("protocol", [DISC, "nobody/speaks/this"])
def test_streams_without_end_are_refused_and_then_their_peer_is_dropped(node, sound, protocol):
    peer = Peer(node, f"opens {protocol}")
    most = 0
    for number in range(1, 200_001, 2):
        try:
            peer.socket.sendall(frames.frame(OPEN, number, protocol.encode()))
        except OSError:
            break
        if number % 101 == 0:
            most = max(most, figures(node)["syncnode_open_streams"])
    assert peer.ends()
    until(lambda: "257 streams in a row that had to be refused" in sound(), 3, "the log says why")
    assert most <= 256


def test_a_peer_has_one_stream_of_gossip(node, sound):
    peer = Peer(node, "talks twice")
    assert peer.open(1, GOSSIP) == ACK
    peer.send(OPEN, 3, GOSSIP.encode())
    assert frames.code(peer.next(RESET, stream=3)[2]) == frames.EXISTS
    peer.socket.close()


def test_streams_on_which_nobody_speaks_are_taken_back(node, sound):
    peer = Peer(node, "mute")
    for number in range(1, 101, 2):
        assert peer.open(number, DISC) == ACK
    assert figures(node)["syncnode_open_streams"] >= 50
    for _ in range(50):
        peer.next(RESET)
    peer.socket.close()


def test_10_000_pings_have_10_000_answers(node, sound):
    peer = Peer(node, "pings")
    for number in range(10):
        peer.raw(b"".join(frames.frame(PING, 0, frames.U32.pack(number * 1000 + n)) for n in range(1000)))
        for n in range(1000):
            assert frames.code(peer.next(PONG)[2]) == number * 1000 + n
    peer.socket.close()


def test_who_asks_and_does_not_read_is_dropped(node, sound):
    """What waits for it stays below some MiB, most of it in the kernel."""
    peer = Peer(node, "deaf", room=4096)
    many = frames.frame(PING, 0, bytes(4)) * 5000
    with contextlib.suppress(OSError):
        for _ in range(400):
            peer.socket.sendall(many)
    until(lambda: "it asks for more than it reads" in sound(), 3, "the log says why")
    until(lambda: figures(node)["syncnode_peers"] == 0, 3)
    peer.socket.close()


def test_half_open_connections_are_noticed(node, sound):
    peer = Peer(node, "asleep")
    assert peer.open(1, SYNC) == ACK
    until(lambda: 'event=peer_disconnected peer=asleep reason="silent for' in sound(), 3, "the log says so")
    peer.socket.close()


def test_requests_come_again_and_in_any_order(node, sound):
    """A request that is played again is answered again; what comes on a stream that is not open is nothing."""
    peer = Peer(node, "in a mess")
    peer.send(DATA, 1, b"too early")
    assert peer.open(1, SYNC) == ACK
    request = Request(BLOCK_HASHES, (2, 1, 1), req_id=9).encode()
    for _ in range(3):
        peer.message(1, request)
    answers = [decode(peer.answer(1)) for _ in range(3)]
    assert len({answer.hashes for answer in answers if isinstance(answer, Response)}) == 1
    peer.send(RESET, 1, bytes(4))
    peer.send(DATA, 1, b"too late")
    peer.send(WINDOW, 1, bytes(4))
    assert peer.open(3, DISC) == ACK
    peer.socket.close()


def test_a_tip_that_is_told_a_million_times_is_asked_for_once(node, sound):
    peer = Peer(node, "repeats")
    assert peer.open(1, GOSSIP) == ACK
    tip = wire.data(3, wire.number(1, 1) + wire.data(2, bytes(32)))
    for _ in range(20):
        peer.raw(frames.frame(DATA, 1, (LENGTH.pack(len(tip)) + tip) * 100))
    until(lambda: peer.answer(1) == wire.data(4, bytes(32)), 3, "it wishes for the block")
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        assert peer.answer(1) != wire.data(4, bytes(32))
    peer.socket.close()


@pytest.mark.parametrize("name", ["x\x1b[2J\r\nts=0 level=error event=forged", "x\x1b[2J\rts"])
def test_a_name_writes_nothing_into_the_log_but_itself(node, sound, name):
    peer = Peer(node, name)
    until(lambda: "event=peer_connected" in sound(), 2)
    assert "\x1b" not in sound()
    assert not any(line.startswith("ts=0") for line in sound().splitlines())
    peer.socket.close()


def test_names_that_peers_make_up_are_forgotten_the_oldest_first():
    async def main() -> None:
        greeting = frames.Hello("me", "me", "127.0.0.1:1", b"g", 1, 0)
        log, metrics, rng = Log("error"), Metrics(), random.Random(1)
        swarm = Swarm(P2PKeys(), greeting, log, metrics, rng)
        discovery = Discovery(swarm, DiscoveryKeys(), SYNC, [], log, metrics, rng, lambda work: work.close())
        for number in range(5000):
            connection = swarm._connection(dialled=True)
            connection.remote = frames.Hello(f"Qm{number}", "", "127.0.0.1:2", b"g", 1, 0)
            discovery._register(connection, Record(f"Qm{number}", "", ""))
            swarm.drop(f"Qm{number}", "a reason")
            connection.abort("gone")
        assert (len(swarm._bans), len(discovery._registered)) == (4096, 4096)
        assert (swarm.banned("Qm0"), swarm.banned("Qm4999")) == (False, True)
        assert "Qm4999" in discovery._registered
        assert not swarm._all

    asyncio.run(main())
