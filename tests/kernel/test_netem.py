"""The kernel's network emulator does what we ask of it, in a class of our tree, on a veth between two namespaces."""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from dataclasses import replace
from functools import partial

import pytest
from kernel.apart import HERE, INDEX, THERE, Pair, apart, arrived
from needs import require_kernel

from stressnet.agent import netlink, qdisc
from stressnet.agent.traffic import Traffic
from stressnet.faults.compose import Packet

PACKETS = 2000


@pytest.fixture(autouse=True)
def _emulator() -> None:
    missing = apart(lambda pair: None)
    require_kernel(f"netem ({missing})", missing is None)


def test_a_delay_is_added_one_way() -> None:
    """No packet is earlier than the delay; the way back has none."""
    times = apart(partial(_round_trips, count=20), delay_s=0.05)
    print("delay 50 ms:", _spread(times))
    assert min(times) >= 0.05


def test_jitter_varies_the_delay_both_ways() -> None:
    """Packets are as early as the delay less the jitter, and none is earlier."""
    times = apart(partial(_round_trips, count=60), delay_s=0.05, jitter_s=0.04)
    print("delay 50 ± 40 ms:", _spread(times))
    assert 0.01 <= min(times) < 0.04
    assert max(times) > 0.06


def test_packets_are_lost() -> None:
    """As many as asked, within six standard deviations."""
    seen = apart(_sent, loss=0.1)
    print(f"loss 10 %: {PACKETS - len(seen)} of {PACKETS}")
    assert 120 < PACKETS - len(seen) < 280


def test_packets_are_doubled() -> None:
    """As many as asked, within six standard deviations; none is lost."""
    seen = apart(_sent, duplicate=0.1)
    print(f"duplicate 10 %: {len(seen) - PACKETS} of {PACKETS}")
    assert len({packet[:4] for packet in seen}) == PACKETS
    assert 120 < len(seen) - PACKETS < 280


def test_packets_are_corrupted() -> None:
    """As many as asked, within six standard deviations: a bit differs, or, in a header, the packet is gone."""
    seen = apart(_sent, corrupt=0.1)
    whole = set(map(_packet, range(PACKETS)))
    flipped = [packet for packet in seen if packet not in whole]
    print(f"corrupt 10 %: {len(flipped)} flipped, {PACKETS - len(seen)} gone, of {PACKETS}")
    assert len(flipped) > 100
    assert 120 < len(flipped) + PACKETS - len(seen) < 280


def test_packets_are_reordered() -> None:
    """As many as asked, within six standard deviations, overtake those that wait for their delay."""
    seen = apart(partial(_sent, count=150, size=50), delay_s=0.5, reorder=0.25)
    numbers = [int(packet[:4]) for packet in seen]
    early = sum(number > min(numbers[place:]) for place, number in enumerate(numbers))
    print(f"reorder 25 %: {early} of {len(numbers)}")
    assert len(numbers) == 150
    assert 5 < early < 70


@pytest.mark.parametrize(
    "before",
    [
        {"loss": 1.0},
        {"loss": 0.5, "loss_correlation": 0.5},
        {"duplicate": 1.0},
        {"corrupt": 1.0},
        {"reorder": 0.5, "delay_s": 0.5},
    ],
    ids=str,
)
def test_asking_again_replaces_what_was_asked(before: dict[str, float]) -> None:
    """A fault that ends leaves a link as it was."""

    def story(pair: Pair) -> list[bytes]:
        _ask(Packet())
        return _sent(pair)

    assert apart(story, **before) == list(map(_packet, range(PACKETS)))


def test_losses_come_in_bursts_and_are_as_many_as_asked() -> None:
    """Of 10 % with a correlation of 60 % as many are lost as without, each time several at once; then one by one."""

    def story(pair: Pair) -> tuple[list[bytes], list[bytes]]:
        before = _sent(pair)
        _ask(Packet(loss=0.1))
        return before, _sent(pair)

    bursts, single = map(_gaps, apart(story, loss=0.1, loss_correlation=0.6))
    print(
        f"loss 10 %, correlation 60 %: {sum(bursts)} in {len(bursts)} bursts; without {sum(single)} in {len(single)}"
    )
    # Bursts are 2.8 long on average, and single losses 1.1; six standard deviations of either sum.
    assert 40 < sum(bursts) < 360
    assert 120 < sum(single) < 280
    assert sum(bursts) / len(bursts) > 1.8 > 1.4 > sum(single) / len(single)


def _gaps(seen: list[bytes]) -> list[int]:
    """Return how many packets in a row each loss took."""
    there = {int(packet[:4]) for packet in seen}
    lost = [number for number in range(PACKETS) if number not in there]
    starts = [number for number in lost if number - 1 not in lost]
    return [next(size for size in range(1, PACKETS) if start + size not in lost) for start in starts]


def _ask(packet: Packet) -> None:
    with netlink.Route() as route:
        route.send([qdisc.emulate(INDEX, 1, packet)])


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
    found = []
    for number in range(count):
        pair.here.send(_packet(number, size))
        found += arrived(pair.there, wait_s=0)
    return found + list(arrived(pair.there, wait_s=2))


@pytest.mark.parametrize(
    "asked",
    [
        {"delay_s": 0.08, "jitter_s": 0.01, "rate": 1e6},
        {"loss": 0.1, "duplicate": 0.05, "corrupt": 0.02},
        {"loss": 0.2, "loss_correlation": 0.5},
        {"delay_s": 0.5, "reorder": 0.25},
    ],
    ids=" ".join,
)
def test_what_an_emulator_does_is_read_back(asked: dict[str, float]) -> None:
    """It is told from one that somebody has changed, and from none."""
    link, packet = (HERE, THERE), Packet(**asked)

    def story(_: Pair) -> list[str]:
        traffic = Traffic(lambda address: INDEX)
        with closing(traffic), netlink.Route() as route:
            traffic.adopt({THERE: None})
            traffic.put({link: packet})
            said = [traffic.lacking({link: packet})[link]]
            for message in (qdisc.emulate(INDEX, 1, replace(packet, loss=0.3)), qdisc.remove_tree(INDEX)):
                route.send([message])
                said.append(traffic.lacking({link: packet})[link])
        return said

    assert apart(story) == ["", "another emulator", "no queue"]
