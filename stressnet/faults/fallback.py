"""What the relay does where the kernel has no netem."""

from __future__ import annotations

from dataclasses import replace

from stressnet.faults.fault import Fault
from stressnet.faults.kinds import KINDS

INSTEAD = {"delay": "latency"}
"""Which fault on packets the relay can stand in for, and as what."""


def by_relay(fault: Fault) -> Fault:
    """Return the fault on streams that comes closest; ValueError says why there is none.

    It delays what TCP carries, and neither handshakes nor UDP: whoever uses it has to say so.
    """
    if fault.kind not in INSTEAD:
        raise ValueError(f"{fault.kind} needs netem, which this kernel does not have")
    given = KINDS["delay"].complete(fault.parameters)
    asked = {"latency": given["delay"], "jitter": given["jitter"]}
    for parameter in KINDS["latency"].parameters:
        if parameter.name in asked and not parameter.fits(float(asked[parameter.name])):
            raise ValueError(
                f"this kernel has no netem, and the relay delays by whole milliseconds, not by "
                f"{float(asked[parameter.name]) * 1e3:.4g} ms"
            )
    return replace(fault, kind=INSTEAD[fault.kind], parameters=asked)
