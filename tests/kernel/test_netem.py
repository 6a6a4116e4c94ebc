"""The kernel's network emulator does what we ask of it, in a class of our tree, on a veth between two namespaces."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from needs import require_kernel

from stressnet.agent import kernel, netlink, qdisc
from stressnet.faults.compose import Packet

HERE, THERE = "198.18.0.1", "198.18.0.2"
INDEX = 2
MACS = {HERE: b"\x02\0\0\0\0\1", THERE: b"\x02\0\0\0\0\2"}
PACKETS = 2000
_NO_CHECKSUM = 11
"""SO_NO_CHECK of socket(7): without it the receiver drops corrupt packets."""


@pytest.fixture(autouse=True)
def _emulator() -> None:
    missing = _apart(lambda pair: None)
    require_kernel(f"netem ({missing})", missing is None)


def test_a_delay_is_added_one_way() -> None:
    """No packet is earlier than the delay; the way back has none."""
    times = _apart(partial(_round_trips, count=20), delay_s=0.05)
    print("delay 50 ms:", _spread(times))
    assert min(times) >= 0.05


def test_jitter_varies_the_delay_both_ways() -> None:
    """Packets are as early as the delay less the jitter, and none is earlier."""
    times = _apart(partial(_round_trips, count=60), delay_s=0.05, jitter_s=0.04)
    print("delay 50 ± 40 ms:", _spread(times))
    assert 0.01 <= min(times) < 0.04
    assert max(times) > 0.06


def test_packets_are_lost() -> None:
    """As many as asked, within six standard deviations."""
    seen = _apart(_sent, loss=0.1)
    print(f"loss 10 %: {PACKETS - len(seen)} of {PACKETS}")
    assert 120 < PACKETS - len(seen) < 280


def test_packets_are_doubled() -> None:
    """As many as asked, within six standard deviations; none is lost."""
    seen = _apart(_sent, duplicate=0.1)
    print(f"duplicate 10 %: {len(seen) - PACKETS} of {PACKETS}")
    assert len({packet[:4] for packet in seen}) == PACKETS
    assert 120 < len(seen) - PACKETS < 280


def test_packets_are_corrupted() -> None:
    """As many as asked, within six standard deviations: a bit differs, or, in a header, the packet is gone."""
    seen = _apart(_sent, corrupt=0.1)
    whole = set(map(_packet, range(PACKETS)))
    flipped = [packet for packet in seen if packet not in whole]
    print(f"corrupt 10 %: {len(flipped)} flipped, {PACKETS - len(seen)} gone, of {PACKETS}")
    assert len(flipped) > 100
    assert 120 < len(flipped) + PACKETS - len(seen) < 280


def test_packets_are_reordered() -> None:
    """As many as asked, within six standard deviations, overtake those that wait for their delay."""
    seen = _apart(partial(_sent, count=150, size=50), delay_s=0.5, reorder=0.25)
    numbers = [int(packet[:4]) for packet in seen]
    early = sum(number > min(numbers[place:]) for place, number in enumerate(numbers))
    print(f"reorder 25 %: {early} of {len(numbers)}")
    assert len(numbers) == 150
    assert 5 < early < 70


def test_asking_again_replaces_what_was_asked() -> None:
    """A fault that ends leaves a link as it was."""

    def story(pair: Pair) -> list[bytes]:
        with netlink.Route() as route:
            route.send([qdisc.emulate(INDEX, 1, Packet())])
        return _sent(pair)

    assert len(_apart(story, loss=1.0)) == PACKETS


@dataclass
class Pair:
    """A socket in each namespace; what `here` sends passes the emulator."""

    here: socket.socket
    there: socket.socket


def _apart(story: Callable[[Pair], Any], **emulator: float) -> Any:
    """Run a story in a thread with namespaces of its own, which end with it; return why there is no emulator."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_in_namespaces, story, emulator).result()


def _in_namespaces(story: Callable[[Pair], Any], emulator: dict[str, float]) -> Any:
    if os.geteuid():
        return "not as root"
    here, there = (_new_namespace() for _ in range(2))
    kernel.setns(here, kernel.CLONE_NEWNET)
    with netlink.Route() as route:
        macs = {"hardware": MACS[HERE], "peer_hardware": MACS[THERE]}
        route.send(
            [netlink.veth(name="a", index=INDEX, peer="b", peer_index=INDEX, peer_namespace=there, **macs)]
        )
        route.send(_configure(HERE, THERE))
        kernel.setns(there, kernel.CLONE_NEWNET)
        with netlink.Route() as beyond:
            beyond.send(_configure(THERE, HERE))
        with _socket(THERE) as other:
            kernel.setns(here, kernel.CLONE_NEWNET)
            os.close(here)
            os.close(there)
            with _socket(HERE) as one:
                pair = Pair(one, other)
                _wait_until_open(pair)
                try:
                    packet = Packet(**emulator)
                    route.send([qdisc.tree(INDEX), qdisc.limit(INDEX, 1, 0), qdisc.emulate(INDEX, 1, packet)])
                except OSError as error:
                    return str(error)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, qdisc.class_id(1))  # as the router does
                return story(pair)


def _wait_until_open(pair: Pair) -> None:
    """A new interface drops what it is given until a worker of the kernel has noticed that its peer is up."""
    pair.here.connect((THERE, 7000))
    pair.there.connect((HERE, 7000))
    for one, other in ((pair.here, pair.there), (pair.there, pair.here)):
        while True:
            one.send(b"?")
            if list(_arrived(other, wait_s=0.1)):
                break


def _new_namespace() -> int:
    kernel.unshare(kernel.CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _configure(own: str, other: str) -> list[bytes]:
    return [
        netlink.link_up(INDEX),
        netlink.address(INDEX, own),
        netlink.neighbour(INDEX, other, MACS[other]),
        netlink.route(INDEX, other, 32),
    ]


@contextmanager
def _socket(address: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as made:
        made.setsockopt(socket.SOL_SOCKET, _NO_CHECKSUM, 1)
        made.bind((address, 7000))
        yield made


def _round_trips(pair: Pair, count: int) -> list[float]:
    times = []
    for end in (pair.here, pair.there):
        end.settimeout(10)
    for _ in range(count):
        begun = time.perf_counter()
        pair.here.send(b"x")
        pair.there.send(pair.there.recv(10))
        pair.here.recv(10)
        times.append(time.perf_counter() - begun)
    return times


def _spread(times: list[float]) -> str:
    median, least, most = (1e3 * time_s for time_s in (statistics.median(times), min(times), max(times)))
    return f"median {median:.1f} ms, {least:.1f} to {most:.1f}"


def _packet(number: int, size: int = 1000) -> bytes:
    return f"{number:04}".encode() + b"." * size


def _sent(pair: Pair, count: int = PACKETS, size: int = 1000) -> list[bytes]:
    """Send packets with numbers; return what arrives, as it arrives."""
    arrived = []
    for number in range(count):
        pair.here.send(_packet(number, size))
        arrived += _arrived(pair.there, wait_s=0)
    return arrived + list(_arrived(pair.there, wait_s=2))


def _arrived(there: socket.socket, *, wait_s: float) -> Iterator[bytes]:
    there.settimeout(wait_s)
    try:
        while True:
            yield there.recv(2000)
    except (BlockingIOError, TimeoutError):
        return
