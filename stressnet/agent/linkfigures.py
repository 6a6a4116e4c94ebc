"""What a probe finds on a link, beside what is asked there: one function for each way to measure a fault on streams.

Where another fault is in the way there is no figure, and the reason is said.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stressnet.agent.interposition import Name
from stressnet.agent.linkprobe import MESSAGE, Line, ending, passed, throughput
from stressnet.agent.listeners import Listener
from stressnet.faults.compose import Toxic
from stressnet.faults.expect import Holding, Way
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure, near
from stressnet.faults.kinds import KINDS
from stressnet.faults.row import idle

_EXCHANGES, _EXCHANGES_S = 15, 3.0
"""Round trips of one probe: so many, or fewer where they would take longer than this."""
_TRANSFER_S, _TRANSFER = 1.0, 2 << 20
"""A transfer takes as long, or is as large if that is less."""
_UNLIMITED = 1 << 20
"""What is sent where no limit is asked: much more than arrives at once."""
_FASTEST = 2e8
"""Bits a second that a probe sends at the most."""
WAIT_S = 6.0
"""What takes longer is not probed."""
_SILENCE_S = 0.5
"""How long nothing must arrive for it to count as nothing."""
_SLACK_S = 2.0
_STALLED = 512
_MOST_CUT = 1 << 20


class NotMeasured(Exception):
    """There is no figure; the message says why."""


def in_place(rows: dict[Name, list[tuple[Listener, tuple[Toxic, ...]]]], holding: Holding) -> Figure:
    """Compare what the relay has on the listeners of nodes with what should be there; what does nothing may be left."""
    differ = wanted = 0
    for pair, listeners in rows.items():
        for listener, row in listeners:
            should = {toxic.name: toxic for toxic in listener.row(holding.row(*pair))}
            there, left = {toxic.name: toxic for toxic in row}, idle(row) - should.keys()
            wanted += len(should)
            differ += sum(
                name not in there or name not in should or not alike(there[name], should[name])
                for name in (there.keys() | should.keys()) - left
            )
    return Figure("toxics amiss", "count", 0.0, float(differ), 0.0, 0.0, wanted)


def alike(one: Toxic, other: Toxic) -> bool:
    """Tell whether two toxics do the same, whatever their names; Toxiproxy keeps toxicity in 32 bits."""
    return (one.type, one.stream, dict(one.attributes)) == (
        other.type,
        other.stream,
        dict(other.attributes),
    ) and math.isclose(one.toxicity, other.toxicity, rel_tol=1e-6)


Talk = Callable[[Line, bool], Awaitable[Figure]]
"""What is said on a probe; the second argument tells whether data of the fault's link flows from its near end."""
OnLine = Callable[[Talk], Awaitable[Figure]]


def _ends(made: Line, up: bool) -> tuple[Any, Any]:
    return (made.near, made.far) if up else (made.far, made.near)


def _undisturbed(ways: Sequence[Way], size: int) -> None:
    for way in ways:
        if way.lossy:
            raise NotMeasured("another fault loses packets")
        if way.sliced:
            raise NotMeasured("another fault slices data")
        if way.stalled or way.reset_s is not None or (way.cut is not None and way.cut < size):
            raise NotMeasured("another fault stalls or ends connections")


async def _round_trip(fault: Fault, along: Way, back: Way, on_line: OnLine) -> Figure:
    """The median of some exchanges against the sum of what is asked both ways."""
    _undisturbed((along, back), MESSAGE * _EXCHANGES)
    asked = along.takes_s(MESSAGE) + back.takes_s(MESSAGE)
    if asked > WAIT_S:
        raise NotMeasured(f"a round trip takes longer than a probe waits ({WAIT_S:g} s)")
    times = max(1, min(_EXCHANGES, int(_EXCHANGES_S / asked))) if asked else _EXCHANGES
    jitters = (*along.jitters_s, *back.jitters_s)
    # The median of n values is off by 1.25 deviations over the root of n; 2.6 of that are exceeded once in a hundred.
    deviation = math.sqrt(sum(jitter**2 for jitter in jitters) / 3)
    spread = min(math.fsum(jitters), 2.6 * 1.2533 * deviation / math.sqrt(times))

    async def talk(made: Line, _: bool) -> Figure:
        patience = asked + math.fsum(jitters) + _SLACK_S
        try:
            found = sorted(await made.round_trips(times, patience))
        except TimeoutError:
            return near(fault.kind, "round trip", "duration", asked, patience, 1, how="or longer")
        median = (found[(times - 1) // 2] + found[times // 2]) / 2
        return near(fault.kind, "round trip", "duration", asked, median, times, spread=spread)

    return await on_line(talk)


async def _throughput(fault: Fault, along: Way, back: Way, on_line: OnLine) -> Figure:
    """How fast data goes from the first that arrives to the last, against the narrowest rate."""
    own = float(KINDS[fault.kind].complete(fault.parameters)["rate"])
    if max(own, along.rate) > _FASTEST:
        raise NotMeasured("it is faster than a probe sends")
    size = min(int(along.rate * _TRANSFER_S / 8), _TRANSFER) if along.rate else _UNLIMITED
    _undisturbed((along,), size)
    if along.delay_s > WAIT_S:
        raise NotMeasured(f"data takes longer than a probe waits ({WAIT_S:g} s)")
    if back.lossy:
        raise NotMeasured("another fault loses packets")

    async def talk(made: Line, up: bool) -> Figure:
        patience = along.delay_s + math.fsum(along.jitters_s) + 3 * _TRANSFER_S + _SLACK_S
        found, counted = await throughput(*_ends(made, up), size, patience)
        if along.rate:
            return near(fault.kind, "throughput", "rate", along.rate, found, counted)
        return Figure("throughput", "rate", 0.0, found, own * 1.05, None, counted)  # over, and no other limit

    return await on_line(talk)


async def _bytes(fault: Fault, along: Way, back: Way, on_line: OnLine) -> Figure:
    """How many bytes arrive of more than should."""
    own = int(float(fault.parameters["bytes"])) if fault.kind == "cut" else 0
    if own > _MOST_CUT:
        raise NotMeasured("it is more than a probe sends")
    size = own + _STALLED
    asked = (
        0
        if along.stalled or along.reset_s is not None
        else min(size, size if along.cut is None else along.cut)
    )
    takes = along.takes_s(max(asked, MESSAGE)) + math.fsum(along.jitters_s)
    if takes > WAIT_S:
        raise NotMeasured(f"data takes longer than a probe waits ({WAIT_S:g} s)")
    if along.sliced and asked:
        raise NotMeasured("another fault slices data")

    async def talk(made: Line, up: bool) -> Figure:
        patience = takes + (2 * _SLACK_S if asked else _SILENCE_S)
        found = await passed(*_ends(made, up), size, patience)
        return near(fault.kind, "bytes passed", "size", float(asked), float(found), size)

    return await on_line(talk)


async def _end(fault: Fault, along: Way, back: Way, on_line: OnLine) -> Figure:
    """When and how a connection ends: after data for a reset, after the sender's close for a slow one."""
    closing = fault.kind == "slow_close"
    if not closing and along.reset_s is None:  # it is over: connections go on
        return await _round_trip(fault, along, back, on_line)
    if along.stalled or along.lossy or back.lossy or (closing and along.reset_s is not None):
        raise NotMeasured("another fault stalls or ends connections, or loses packets")
    if not closing and (along.sliced or along.rates or (along.cut is not None and along.cut <= MESSAGE)):
        raise NotMeasured("another fault slows, slices or cuts data")
    asked = along.close_s if closing else along.reset_s or 0.0
    if asked > WAIT_S:
        raise NotMeasured(f"the end comes later than a probe waits ({WAIT_S:g} s)")
    spread = 0.0 if closing else math.fsum(along.jitters_s)

    async def talk(made: Line, up: bool) -> Figure:
        patience = asked + spread + _SLACK_S
        found = await ending(*_ends(made, up), close=closing, patience_s=patience)
        after, how = found or (patience, "still open")
        return near(fault.kind, "end after", "duration", asked, after, 1, spread=spread, how=how)

    return await on_line(talk)


Work = Callable[[Fault, Way, Way, OnLine], Awaitable[Figure]]
WORK: dict[str, Work] = {
    "round trip": _round_trip,
    "throughput": _throughput,
    "bytes": _bytes,
    "end": _end,
}
