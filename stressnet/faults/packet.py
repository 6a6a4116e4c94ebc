"""Faults on packets of a link: nft drops and refuses, tc limits the rate, netem does the rest."""

from __future__ import annotations

from stressnet.faults.kind import FaultKind, Parameter

_LEAST_SHARE = 1e-6
_LONGEST_S = 60.0
"""A packet held longer is lost to every protocol, and the kernel's queue holds only so many."""


def _probability(summary: str, example: str) -> Parameter:
    return Parameter("probability", "share", summary, example, least=_LEAST_SHARE, most=1.0)


def _delay(summary: str, example: str) -> Parameter:
    return Parameter("delay", "duration", summary, example, least=1e-6, most=_LONGEST_S)


PACKET = (
    FaultKind(
        "drop",
        "packet",
        "packets are lost, each with a probability",
        (_probability("share of packets that are lost", "5%"),),
        needs="nft",
    ),
    FaultKind("partition", "packet", "nothing arrives, and nobody is told", needs="nft"),
    FaultKind("reject", "packet", "connections are refused and reset, as by a closed port", needs="nft"),
    FaultKind(
        "rate",
        "packet",
        "all packets of the link together are no faster than this",
        (Parameter("rate", "rate", "the limit", "1Mbit/s", least=8e3, most=1e11),),
        needs="tc",
    ),
    FaultKind(
        "delay",
        "packet",
        "packets take longer; without netem the relay delays streams instead, and says so",
        (
            _delay("how much longer", "80ms"),
            Parameter(
                "jitter", "duration", "varies by up to this, evenly, both ways", "5ms", 0.0, up_to="delay"
            ),
        ),
        needs="netem",
    ),
    FaultKind(
        "loss",
        "packet",
        "packets are lost in bursts: whether one is depends on the one before",
        (
            _probability("share of packets that are lost", "5%"),
            Parameter(
                "correlation",
                "share",
                "how much the one before decides: the correlation of neighbours, at the same share of losses",
                "25%",
                0.0,
                most=0.99,
            ),
        ),
        needs="netem",
    ),
    FaultKind(
        "duplicate",
        "packet",
        "packets arrive twice",
        (_probability("share of packets that do", "1%"),),
        needs="netem",
    ),
    FaultKind(
        "corrupt",
        "packet",
        "one bit of a packet is flipped; its checksum then lets it be dropped",
        (_probability("share of packets that are hit", "1%"),),
        needs="netem",
    ),
    FaultKind(
        "reorder",
        "packet",
        "some packets overtake: they skip every delay of the link",
        (
            _probability("share of packets that overtake", "25%"),
            _delay("by how much the others are held back", "10ms"),
        ),
        needs="netem",
    ),
)
