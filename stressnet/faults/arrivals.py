"""What becomes of numbered datagrams on a link with an emulator, and what share of them should. Pure.

Shares follow the order of `netem_enqueue` in the kernel's net/sched/sch_netem.c. A packet is drawn to be doubled, then
to be lost; where both come true, one is left. Its copy goes through the whole again, but is not doubled. A packet that
is left may have one bit flipped, whichever, also in a header. The last draw is whether it waits or overtakes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from stressnet.faults.compose import Packet
from stressnet.faults.figure import Figure, share_of

_WORD = 4
SIZE = 300 * _WORD
"""Bytes of one datagram: with its headers it fits into a frame, and 97 % of flipped bits are not in those."""
_FRAME = 14 + 20 + 8 + SIZE
"""Bytes in which a bit may be flipped: headers of Ethernet, IPv4 and UDP are before the data."""
_UNNOTICED = 6 + 2
"""Of these: the sender's hardware address and port. Without a checksum of UDP nobody looks at them."""
_FATAL = 14 + 20 + 8 - _UNNOTICED
"""Of these: what makes others drop it, most of all by the checksum of the IPv4 header."""

Arrival = tuple[int, bool]
"""Number of a datagram, and whether it is as it was sent."""


def packed(number: int) -> bytes:
    """Return the data of a datagram: its number again and again, so that any flipped bit is seen."""
    return number.to_bytes(_WORD, "big") * (SIZE // _WORD)


def unpacked(data: bytes) -> Arrival | None:
    """Return which datagram this was; None where it is none of ours."""
    if not data:
        return None
    first = int.from_bytes(data[:_WORD], "big")
    if data == packed(first):
        return first, True
    words = Counter(data[place : place + _WORD] for place in range(0, len(data), _WORD))
    word, times = words.most_common(1)[0]
    return (int.from_bytes(word, "big"), False) if 2 * times > words.total() else None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What was sent, and what arrived of it."""

    sent: Sequence[float]
    """When each was, by its number, in seconds of any clock."""
    came: Sequence[Arrival]
    """In the order of arrival; copies too."""

    def lost(self) -> int:
        """Count those of which nothing arrived, or nothing whole."""
        return len(self.sent) - len({number for number, whole in self.came if whole})

    def twice(self) -> int:
        """Count those that arrived more than once."""
        return sum(times > 1 for times in Counter(number for number, _ in self.came).values())

    def damaged(self) -> int:
        """Count arrivals with a flipped bit."""
        return sum(not whole for _, whole in self.came)

    def overtook(self) -> int:
        """Count arrivals before one that was sent earlier."""
        found, lowest = 0, len(self.sent)
        for number, _ in reversed(self.came):
            found += number > lowest
            lowest = min(lowest, number)
        return found


def _lost(packet: Packet, arrivals: Arrivals) -> float:
    twice, loss = packet.duplicate, packet.loss
    harmed = packet.corrupt * (1 - _UNNOTICED / _FRAME)
    copy = 1 - (1 - loss) * (1 - harmed)
    emulated = (
        (1 - twice) * (loss + (1 - loss) * harmed)
        + twice * loss * harmed
        + twice * (1 - loss) * harmed * copy
    )
    return len(arrivals.sent) * (packet.drop + (1 - packet.drop) * emulated)


def _twice(packet: Packet, arrivals: Arrivals) -> float:
    both = packet.duplicate * ((1 - packet.loss) * (1 - packet.corrupt * _FATAL / _FRAME)) ** 2
    return len(arrivals.sent) * (1 - packet.drop) * both


def _damaged(packet: Packet, arrivals: Arrivals) -> float:
    arrive = 1 - packet.corrupt * _FATAL / _FRAME
    return len(arrivals.came) * packet.corrupt * (SIZE / _FRAME) / arrive


def _overtook(packet: Packet, arrivals: Arrivals) -> float:
    """Of each arrival: that it does not wait, and at least one of those does that were sent within the delay before."""
    times = sorted(arrivals.sent[number] for number, _ in arrivals.came)
    before = (bisect_left(times, sent) - bisect_left(times, sent - packet.delay_s) for sent in times)
    return sum(packet.reorder * (1 - packet.reorder**waiting) for waiting in before)


@dataclass(frozen=True, slots=True)
class _Share:
    name: str
    found: Callable[[Arrivals], int]
    of: Callable[[Arrivals], int]
    expected: Callable[[Packet, Arrivals], float]


def _sent(arrivals: Arrivals) -> int:
    return len(arrivals.sent)


def _came(arrivals: Arrivals) -> int:
    return len(arrivals.came)


_SHARES: Mapping[str, _Share] = {
    "loss": _Share("lost or damaged", Arrivals.lost, _sent, _lost),
    "duplicate": _Share("arrived twice", Arrivals.twice, _sent, _twice),
    "corrupt": _Share("arrived damaged", Arrivals.damaged, _came, _damaged),
    "reorder": _Share("overtook", Arrivals.overtook, _came, _overtook),
}
"""By kind of fault, which is also what its probability is called in `Packet`."""


def share(kind: str, packet: Packet, arrivals: Arrivals, among: int = 1) -> Figure | None:
    """Compare what became of datagrams with all that holds on their link; None where none is there to be counted.

    `among`: of how many figures the worst counts.
    """
    one = _SHARES[kind]
    of = one.of(arrivals)
    if not of:
        return None
    correlation = packet.loss_correlation if kind == "loss" else 0.0
    return share_of(one.name, one.expected(packet, arrivals), one.found(arrivals), of, among, correlation)


def is_hidden(kind: str, packet: Packet, arrivals: Arrivals, found: Figure) -> bool:
    """Whether this figure would hold as well if nothing of the kind were on the link that should be there."""
    bare = replace(packet, **{kind: 0.0})  # type: ignore[arg-type]
    without = _SHARES[kind].expected(bare, arrivals) / found.of
    return bare != packet and found.low <= without <= (found.high or 0.0)
