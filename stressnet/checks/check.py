"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stressnet.plan import Plan
from stressnet.record.record import Record
from stressnet.spec.fields import Model

Outcome = Literal["pass", "fail", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found in a record."""

    outcome: Outcome
    summary: str
    """One sentence."""
    nodes: tuple[str, ...] = ()
    """Whom it is about."""
    at: float | None = None
    """Unix time of the first breach."""
    lines: tuple[str, ...] = ()
    """The particulars, one a line, the worst first."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """For programs: SI units, named in the keys."""

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Finding:
        """Read what `to_raw` wrote, whatever else is beside it."""
        return cls(
            raw["outcome"],
            raw["summary"],
            tuple(raw["nodes"]),
            raw["at"],
            tuple(raw["lines"]),
            raw["numbers"],
        )


@dataclass(frozen=True, slots=True)
class Amiss:
    """What is wrong with a parameter for a net."""

    key: str
    """As the fault plan writes it."""
    found: str
    allowed: str


class Nothing(Model):
    """It has no parameters."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question, and who answers it."""

    name: str
    summary: str
    parameters: type[Model]
    judge: Callable[[Record, Any], Finding]
    """Called with a record, also one that is still being written, and parameters."""
    amiss: Callable[[Any, Plan], Iterator[Amiss]] | None = None
    """Called with parameters, of which each by itself is right for the plan: yields what is not, taken together."""
    nightly: bool = False
    """It is asked of a soak as a whole too, of which there is one look a minute: what grows slowly shows only there."""
    always: bool = False
    """It is asked of every run; where it does not hold, the harness or the machine is to blame, not the nodes."""
    last: bool = False
    """It is asked after all others."""
