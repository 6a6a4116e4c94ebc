"""By how much faults shift the clock of a node: the offsets of several add up."""

from __future__ import annotations

from collections.abc import Iterable

from stressnet.faults.fault import Fault

MICROSECOND = 1e-6
"""Seconds. Offsets are whole numbers of these, which all three functions that tell the time of day can show."""


def offsets(faults: Iterable[Fault]) -> dict[str, int]:
    """Return how many microseconds each node's time of day is to be ahead, for every node that is named."""
    found: dict[str, int] = {}
    for fault in faults:
        if fault.kind == "clock":
            for name in fault.nodes:
                found[name] = found.get(name, 0) + round(float(fault.parameters["offset"]) / MICROSECOND)
    return found
