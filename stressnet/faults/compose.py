"""What holds for a link when several faults are on it. The rules are in docs/faults.md.

Pure: the same faults give the same result, whatever was healed before, so healing one leaves exactly the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from stressnet.faults.fault import Fault
from stressnet.faults.kind import Parameter, Value
from stressnet.faults.kinds import KINDS
from stressnet.faults.stream import CONNECTIONS, STREAM, TOXICITY

Link = tuple[str, str]

FOREVER_MS = 365 * 86_400_000
"""A delay that nobody sees the end of; Toxiproxy counts it in nanoseconds, of which 64 bits hold 292 years."""


class Incompatible(ValueError):
    """Two faults cannot be on one link together; the message names both and the link."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What holds for packets of one directed link, all faults on it together."""

    drop: float = 0.0
    """Probability from 0 to 1; 1 is a partition."""
    reject: bool = False
    rate: float = 0.0
    """Bits a second, 0: no limit."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    loss: float = 0.0
    loss_correlation: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic of Toxiproxy. `stream` is seen from the proxy's opener; names are unique within a proxy."""

    name: str
    """`FAULT.STREAM`, with a number behind it where a fault needs several: `f1.upstream`, `f1.upstream.2`."""
    type: str
    stream: Literal["upstream", "downstream"]
    toxicity: float
    attributes: Mapping[str, int]
    since: int = field(default=0, compare=False)
    """Number of the fault that connections must be younger than to be hit, 0 for all. Toxiproxy knows nothing of it."""


def packets(faults: Iterable[Fault]) -> dict[Link, Packet]:
    """Return what holds on each link that a fault on packets touches; Incompatible names two that clash."""
    together: dict[Link, list[Fault]] = {}
    for fault in faults:
        if fault.kind in _CONDITIONS:
            for link in fault.links:
                together.setdefault(link, []).append(fault)
    made: dict[tuple[int, ...], Packet] = {}
    found = {}
    for link, here in together.items():
        same = tuple(map(id, here))  # a fault over 10,000 links is composed once, not 10,000 times
        if same not in made:
            made[same] = _together(link, here)
        found[link] = made[same]
    return found


def _together(link: Link, faults: Sequence[Fault]) -> Packet:
    found = [_CONDITIONS[fault.kind](KINDS[fault.kind].complete(fault.parameters)) for fault in faults]
    drop = _either(one.drop for one in found)
    reject = drop < 1 and any(one.reject for one in found)
    return Packet(
        drop=0.0 if reject else drop,
        reject=reject,
        rate=min((one.rate for one in found if one.rate), default=0.0),
        delay_s=math.fsum(one.delay_s for one in found),
        jitter_s=math.fsum(one.jitter_s for one in found),
        loss=_either(one.loss for one in found),
        loss_correlation=_correlation(link, faults, found),
        duplicate=_either(one.duplicate for one in found),
        corrupt=_either(one.corrupt for one in found),
        reorder=_either(one.reorder for one in found),
    )


def _either(probabilities: Iterable[float]) -> float:
    """Return the probability that at least one of independent events happens, whatever their order."""
    some = sorted(one for one in probabilities if one)
    return some[0] if len(some) == 1 else 1 - math.prod(1 - one for one in some)


def _correlation(link: Link, faults: Sequence[Fault], found: Sequence[Packet]) -> float:
    """Return the one correlation of losses: a queue of the kernel has one, so there can be no second."""
    losing = [
        (fault, one.loss_correlation)
        for fault, one in zip(faults, found, strict=True)
        if fault.kind == "loss"
    ]
    for fault, correlation in losing[1:]:
        first, wanted = losing[0]
        if correlation != wanted:
            raise Incompatible(
                f"{_named(first)} and {_named(fault)} cannot both be on {link[0]} > {link[1]}: "
                f"a link has one correlation of losses, and they ask for {wanted:.3g} and {correlation:.3g}"
            )
    return losing[0][1] if losing else 0.0


def _named(fault: Fault) -> str:
    return f"fault {fault.id or 'to be added'} ({fault.asked or fault.kind})"


_Parameters = Mapping[str, Value]


def _numbers(**fields: str) -> Callable[[_Parameters], Packet]:
    """Return what puts parameters into the fields of a Packet: field=parameter."""
    return lambda given: Packet(**{field: float(given[name]) for field, name in fields.items()})  # type: ignore[arg-type]


_CONDITIONS: Mapping[str, Callable[[_Parameters], Packet]] = {
    "drop": _numbers(drop="probability"),
    "partition": lambda _: Packet(drop=1.0),
    "reject": lambda _: Packet(reject=True),
    "rate": _numbers(rate="rate"),
    "delay": _numbers(delay_s="delay", jitter_s="jitter"),
    "loss": _numbers(loss="probability", loss_correlation="correlation"),
    "duplicate": _numbers(duplicate="probability"),
    "corrupt": _numbers(corrupt="probability"),
    "reorder": _numbers(reorder="probability", delay_s="delay"),
}


def toxics(faults: Iterable[Fault]) -> dict[Link, tuple[Toxic, ...]]:
    """Return the toxics of each proxy (opener, acceptor), in the order in which the faults were added, resets last.

    Data from A to B flows up the connections that A opened and down those that B opened. A reset is the last because
    it can be removed there: one that stays, even if it is off, would have every new connection end by a reset.
    """
    found: dict[Link, list[Toxic]] = {}
    for fault in sorted(faults, key=lambda fault: fault.kind == "reset"):
        if fault.kind in _STREAM:
            up, down = _toxics(fault, "upstream"), _toxics(fault, "downstream")
            for source, target in fault.links:
                found.setdefault((source, target), []).extend(up)
                found.setdefault((target, source), []).extend(down)
    return {proxy: tuple(here) for proxy, here in found.items()}


def _toxics(fault: Fault, stream: Literal["upstream", "downstream"]) -> list[Toxic]:
    kind = KINDS[fault.kind]
    given = kind.complete(fault.parameters)
    name, toxicity = f"{fault.id}.{stream}", float(given["toxicity"])
    since = fault.number if given["connections"] == "new" else 0
    if fault.kind == "stall":
        # Twice: when a neighbour comes or goes, Toxiproxy lets what the toxic before it holds slip through. The
        # second holds nothing, because the first lets nothing pass. Where only some connections are to be hit, two
        # would hit more of them, because each draws for itself.
        names = (name, f"{name}.2") if toxicity == 1 else (name,)
        return [
            Toxic(one, "latency", stream, toxicity, {"latency": FOREVER_MS, "jitter": 0}, since)
            for one in names
        ]
    attributes = {
        parameter.name: _count(parameter, given[parameter.name])
        for parameter in kind.parameters
        if parameter not in (TOXICITY, CONNECTIONS)
    }
    if fault.kind == "reset" and toxicity == 1 and attributes["timeout"]:
        # Twice too: a reset that waits cannot be interrupted, and a latency can.
        wait = Toxic(name, "latency", stream, 1.0, {"latency": attributes["timeout"], "jitter": 0}, since)
        return [wait, Toxic(f"{name}.2", "reset_peer", stream, 1.0, {"timeout": 0}, since)]
    return [Toxic(name, _TYPES.get(fault.kind, fault.kind), stream, toxicity, attributes, since)]


def _count(parameter: Parameter, value: Value) -> int:
    return parameter.steps(float(value)) if parameter.step else int(value)


_STREAM = frozenset(kind.name for kind in STREAM)
_TYPES = {"reset": "reset_peer", "cut": "limit_data", "slice": "slicer"}
"""Toxiproxy's name where it is another than ours."""
