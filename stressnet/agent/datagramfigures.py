"""What numbered datagrams find of loss, duplicates, damage and overtaking, beside what is asked on their link.

Where another fault is in the way, or so few packets are hit that a probe cannot tell, there is no figure.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

from stressnet.agent.datagramprobe import PAUSE_S, SILENCE_S
from stressnet.agent.linkfigures import WAIT_S, NotMeasured
from stressnet.faults.arrivals import Arrivals, is_hidden, share
from stressnet.faults.compose import Packet
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure

_FEWEST, _MOST = 500, 2000
"""Datagrams of one probe."""
_HITS = 8
"""Of so many that are to be expected, at least one comes, but for three times in ten thousand."""
_HELD_BACK_S = 4 * PAUSE_S
"""Who is held back for less is hardly ever overtaken by the next datagram."""

Send = Callable[[int, float], Awaitable[Arrivals]]
"""Send so many datagrams, and wait so long after the last one."""


async def treated(fault: Fault, packet: Packet, among: int, send: Send) -> Figure:
    """Probe one of a fault's links, of which the worst of `among` counts; `packet` is all that holds there."""
    count = _count(fault)
    _undisturbed(fault.kind, packet)
    arrivals = await send(count, SILENCE_S + packet.delay_s + packet.jitter_s)
    if not arrivals.sent:
        raise NotMeasured("no datagram could be sent")
    found = share(fault.kind, packet, arrivals, among)
    if found is None:
        raise NotMeasured("no datagram arrived")
    if found.holds and is_hidden(fault.kind, packet, arrivals, found):
        raise NotMeasured(f"beside what else is on its link, {count} datagrams do not show it")
    return found


def _count(fault: Fault) -> int:
    """Return how many datagrams show that the fault is there."""
    needed = math.ceil(_HITS / float(fault.parameters["probability"]))
    if needed > _MOST:
        raise NotMeasured(f"it is too rare to be seen in {_MOST} datagrams")
    return max(_FEWEST, needed)


def _undisturbed(kind: str, packet: Packet) -> None:
    if packet.reject or packet.drop >= 1:
        raise NotMeasured("another fault lets no packets pass")
    if packet.rate:
        raise NotMeasured("a rate on its link makes packets wait, and loses those that there is no room for")
    if packet.delay_s + packet.jitter_s > WAIT_S:
        raise NotMeasured(f"packets take longer than a probe waits ({WAIT_S:g} s)")
    if kind in ("loss", "duplicate") and packet.loss_correlation and packet.duplicate:
        raise NotMeasured("losses that depend on each other take copies along with what they are copies of")
    if kind == "reorder" and packet.jitter_s:
        raise NotMeasured("with jitter on its link packets overtake by themselves")
    if kind == "reorder" and packet.reorder and packet.delay_s < _HELD_BACK_S:
        raise NotMeasured(f"packets are held back for less than a probe can tell ({_HELD_BACK_S * 1e3:g} ms)")
