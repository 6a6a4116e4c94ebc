"""How a kind of fault describes itself: its parameters with their units and bounds, and what it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Layer = Literal["packet", "stream", "node", "protocol"]
Unit = Literal["duration", "rate", "size", "share", "cpus", "word"]
Value = float | bool | str

_ROUNDING = 0.01
"""How much of what was asked may be lost to the steps of what does it."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number or word of a fault. Numbers are in SI: seconds, bits a second, bytes, shares from 0 to 1; and CPUs."""

    name: str
    unit: Unit
    summary: str
    example: str
    """A right value as a user writes it."""
    default: Value | None = None
    """None: it must be given."""
    least: float = 0.0
    """Below 0, a duration may be written with a sign."""
    most: float = float("inf")
    step: float = 0.0
    """What does the fault counts in this; 0: it does not. Values that a step would change by over 1 % are refused."""
    up_to: str = ""
    """The name of another parameter that this one may not exceed."""
    choices: tuple[str, ...] = ()
    """For words: all there are."""

    def steps(self, value: float) -> int:
        """Return a value as a whole number of steps."""
        return round(value / self.step)

    def fits(self, value: float) -> bool:
        """Tell whether a value can be done in whole steps, give or take 1 %."""
        return not self.step or abs(self.steps(value) * self.step - value) <= _ROUNDING * abs(value)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One sort of fault."""

    name: str
    layer: Layer
    summary: str
    parameters: tuple[Parameter, ...] = ()
    needs: str = ""
    """An ability of the machine: "nft", "tc", "netem", "relay", "cgroups", "tmpfs", "clock"; "": none."""
    momentary: bool = False
    """It is over as soon as it is done, so it takes no time to live."""

    def complete(self, parameters: Mapping[str, Value]) -> dict[str, Value]:
        """Return these parameters with the defaults of the others; KeyError names one that must be given."""
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            value = parameters.get(parameter.name, parameter.default)
            if value is None:
                raise KeyError(parameter.name)
            values[parameter.name] = value
        return values

    def number(self, parameters: Mapping[str, Value], name: str) -> float:
        """Return one parameter or its default, as a number."""
        return float(self.complete(parameters)[name])
