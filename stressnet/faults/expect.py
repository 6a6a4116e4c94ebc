"""What a connection along a link has to expect from all that is on the link: what a probe is compared with. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from stressnet.faults.compose import FOREVER_MS, Link, Packet, Toxic

Stream = Literal["upstream", "downstream"]
Measure = Literal[
    "round trip",
    "throughput",
    "bytes",
    "end",
    "datagrams",
    "packets",
    "arrivals",
    "toxics",
    "free space",
    "node",
]

MEASURES: Mapping[str, Measure] = {
    "drop": "packets",
    "partition": "datagrams",
    "reject": "datagrams",
    "rate": "throughput",
    "delay": "round trip",
    "loss": "arrivals",
    "duplicate": "arrivals",
    "corrupt": "arrivals",
    "reorder": "arrivals",
    "latency": "round trip",
    "bandwidth": "throughput",
    "stall": "bytes",
    "slow_close": "end",
    "reset": "end",
    "cut": "bytes",
    "slice": "toxics",
    "disk_full": "free space",
    "pause": "node",
    "kill": "node",
    "cpu": "node",
    "memory": "node",
}
"""How a kind of fault is measured. Of streams it is also asked whether the relay has the toxics that it should."""

PAYLOAD = 1448 / 1514
"""Share of a full frame on the wire that is data of a TCP stream: rates of packets count the whole of it."""


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of a connection that every toxic of its listener hits."""

    delay_s: float
    """Of a message so small that it is one packet, without what rates add to it."""
    jitters_s: tuple[float, ...]
    """Half-widths of what varies evenly, each by itself."""
    rates: tuple[float, ...]
    """Bits a second of data; each is waited for in turn."""
    close_s: float
    """By how much an end of data comes later."""
    reset_s: float | None
    """How long after its first data the connection ends."""
    cut: int | None
    """Bytes after which it ends."""
    stalled: bool
    sliced: bool
    """Data comes in pieces with pauses, which takes a time that depends on chance."""
    silent: bool
    """No packet arrives."""
    lossy: bool
    """Some packets do not, so times depend on chance."""

    @property
    def rate(self) -> float:
        """The narrowest, in bits a second; 0: no limit."""
        return min(self.rates, default=0.0)

    def takes_s(self, size: int) -> float:
        """Return how long a small message of this many bytes is under way, jitter aside."""
        return self.delay_s + sum(size * 8 / rate for rate in self.rates)


def way(row: Iterable[Toxic], stream: Stream, packet: Packet | None) -> Way:
    """Return what one direction of a connection has to expect; `packet` is what holds for packets that way."""
    packet = packet or Packet()
    here = [toxic for toxic in row if toxic.stream == stream]
    delays = [toxic for toxic in here if toxic.type == "latency"]
    passing = [toxic for toxic in delays if toxic.attributes["latency"] < FOREVER_MS]
    kilobytes = [toxic.attributes["rate"] for toxic in here if toxic.type == "bandwidth"]
    jitters = [*(toxic.attributes["jitter"] / 1e3 for toxic in passing), packet.jitter_s]
    return Way(
        delay_s=packet.delay_s + _milliseconds(passing, "latency"),
        jitters_s=tuple(jitter for jitter in jitters if jitter),
        rates=(*(rate * 8e3 for rate in kilobytes), *([packet.rate * PAYLOAD] if packet.rate else [])),
        close_s=packet.delay_s + _milliseconds([one for one in here if one.type == "slow_close"], "delay"),
        reset_s=_reset(here, packet.delay_s),
        cut=min((toxic.attributes["bytes"] for toxic in here if toxic.type == "limit_data"), default=None),
        stalled=len(passing) < len(delays),
        sliced=any(toxic.type == "slicer" and toxic.attributes["delay"] for toxic in here),
        silent=packet.reject or packet.drop >= 1,
        lossy=bool(packet.drop or packet.loss or packet.corrupt),
    )


def _milliseconds(toxics: Iterable[Toxic], attribute: str) -> float:
    return math.fsum(toxic.attributes[attribute] for toxic in toxics) / 1e3


def _reset(row: list[Toxic], delay_s: float) -> float | None:
    for place, toxic in enumerate(row):
        if toxic.type == "reset_peer":  # it is woken by data, which what stands before it delays
            before = [one for one in row[:place] if one.type == "latency"]
            return delay_s + _milliseconds(before, "latency") + toxic.attributes["timeout"] / 1e3
    return None


@dataclass(frozen=True, slots=True)
class Holding:
    """All that should be on links, as `compose` says it."""

    packets: Mapping[Link, Packet] = field(default_factory=dict)
    toxics: Mapping[Link, tuple[Toxic, ...]] = field(default_factory=dict)

    def row(self, opener: str, acceptor: str) -> tuple[Toxic, ...]:
        """Return the toxics of one proxy."""
        return self.toxics.get((opener, acceptor), ())

    def ways(self, opener: str, acceptor: str) -> tuple[Way, Way]:
        """Return what a connection has to expect from its opener to its acceptor, and back."""
        row = self.row(opener, acceptor)
        return (
            way(row, "upstream", self.packets.get((opener, acceptor))),
            way(row, "downstream", self.packets.get((acceptor, opener))),
        )

    def same(self, other: Holding, links: Iterable[Link]) -> bool:
        """Tell whether the same is on these links in both, either way."""
        both = [pair for source, target in links for pair in ((source, target), (target, source))]
        return all(
            self.packets.get(pair) == other.packets.get(pair)
            and self.toxics.get(pair) == other.toxics.get(pair)
            for pair in both
        )
