"""Faults on the streams of a link, done by the relay: Toxiproxy's toxics, with its names and units.

Toxiproxy 2.12.0 counts in whole milliseconds, in kB/s of 1,000 bytes, and in bytes. A toxic holds for connections
that are open and for those to come, unless the fault is for new ones only; whether it hits one is drawn for each.
"""

from __future__ import annotations

from stressnet.faults.kind import FaultKind, Parameter

_MS = 1e-3
_US = 1e-6
_KILOBYTE_A_SECOND = 8e3
_LONGEST_S = 86400.0
_LONGEST_RESET_S = 10.0
"""A reset that waits cannot be interrupted: to heal it, and whatever else concerns the link, waits as long."""

TOXICITY = Parameter(
    "toxicity", "share", "share of connections that are hit, drawn for each", "10%", 1.0, least=1e-6, most=1.0
)

CONNECTIONS = Parameter(
    "connections",
    "word",
    "which are hit: all, or only those opened while it is on",
    "new",
    "all",
    choices=("all", "new"),
)


def _duration(name: str, summary: str, example: str) -> Parameter:
    return Parameter(name, "duration", summary, example, least=_MS, most=_LONGEST_S, step=_MS)


STREAM = (
    FaultKind(
        "latency",
        "stream",
        "data takes longer",
        (
            _duration("latency", "how much longer", "80ms"),
            Parameter(
                "jitter",
                "duration",
                "varies by up to this, evenly, both ways",
                "5ms",
                0.0,
                step=_MS,
                up_to="latency",
            ),
            TOXICITY,
            CONNECTIONS,
        ),
        needs="relay",
    ),
    FaultKind(
        "bandwidth",
        "stream",
        "each connection is no faster than this",
        (
            Parameter(
                "rate",
                "rate",
                "the limit of one connection, one way",
                "1Mbit/s",
                least=_KILOBYTE_A_SECOND,
                most=1e11,
                step=_KILOBYTE_A_SECOND,
            ),
            TOXICITY,
            CONNECTIONS,
        ),
        needs="relay",
    ),
    FaultKind(
        "stall",
        "stream",
        "connections stay open and silent; what was sent goes on when the fault is healed",
        (TOXICITY, CONNECTIONS),
        needs="relay",
    ),
    FaultKind(
        "slow_close",
        "stream",
        "an end of data arrives later",
        (_duration("delay", "how much later", "5s"), TOXICITY, CONNECTIONS),
        needs="relay",
    ),
    FaultKind(
        "reset",
        "stream",
        "connections end at their next data: new ones with a reset, those already open with a close",
        (
            Parameter(
                "timeout",
                "duration",
                "how long after that data",
                "100ms",
                0.0,
                most=_LONGEST_RESET_S,
                step=_MS,
            ),
            TOXICITY,
            CONNECTIONS,
        ),
        needs="relay",
    ),
    FaultKind(
        "cut",
        "stream",
        "connections are closed after so many bytes",
        (
            Parameter("bytes", "size", "how many, counted from when the fault begins", "4KiB", most=2**50),
            TOXICITY,
            CONNECTIONS,
        ),
        needs="relay",
    ),
    FaultKind(
        "slice",
        "stream",
        "data arrives in small pieces",
        (
            Parameter("average_size", "size", "size of a piece", "64B", least=1, most=2**20),
            Parameter("size_variation", "size", "varies by up to this", "16B", 0.0, up_to="average_size"),
            Parameter("delay", "duration", "pause between pieces", "10us", 0.0, most=10.0, step=_US),
            TOXICITY,
            CONNECTIONS,
        ),
        needs="relay",
    ),
)
