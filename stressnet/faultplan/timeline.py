"""What is done to a net and when: plain data, drawn and checked, as it stands in the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from stressnet.spec.targets import Targets

Action = Literal["fault", "heal", "mark", "load"]


@dataclass(frozen=True, slots=True)
class When:
    """The moment of a step. Exactly one of these ways: a time, another step's end, or a condition."""

    time_s: float | None = None
    """Seconds of the timeline."""
    after: str = ""
    """Name of a step: when it is over, and `wait_s` later."""
    wait_s: float = 0.0
    condition: str = ""
    """height, figure, metric or state."""
    name: str = ""
    """Of the figure, the metric, or the state."""
    above: float | None = None
    below: float | None = None
    """Bounds in SI; a height must be `above` or equal."""
    of: str = "all"
    """Selector."""
    within_s: float | None = None
    """None: to the end of the timeline."""


@dataclass(frozen=True, slots=True)
class Calls:
    """Requests to nodes."""

    via: Literal["http", "rpc"]
    port: str | int
    path: str
    method: str
    params: tuple[Any, ...]
    rate: float
    """A second, to each node."""


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One thing that is done."""

    name: str
    when: When
    action: Action
    what: str
    """Kind of the fault, name of the step to heal or "all", or the words of a mark."""
    parameters: tuple[str, ...] = ()
    """Of a fault, as `name=value`."""
    targets: Targets = field(default_factory=Targets)
    for_s: float | None = None
    """None: to the end of the timeline."""
    momentary: bool = False
    """The fault is over as soon as it is done."""
    calls: Calls | None = None
    drawn: bool = False
    """It comes from the random section."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """All steps, the latest end of faults, and how long the net is watched after it; seconds."""

    steps: tuple[TimelineStep, ...]
    duration_s: float
    observe_s: float

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Timeline:
        """Read what `to_raw` wrote; TypeError or KeyError where it is something else."""
        return cls(tuple(_step(one) for one in raw["steps"]), raw["duration_s"], raw["observe_s"])


def _step(raw: Mapping[str, Any]) -> TimelineStep:
    targets, calls = raw["targets"], raw["calls"]
    known = {one.name for one in fields(TimelineStep)}
    return TimelineStep(
        **{
            **{key: value for key, value in raw.items() if key in known},
            "when": When(**raw["when"]),
            "parameters": tuple(raw["parameters"]),
            "targets": Targets(
                **{**targets, "between": tuple(targets["between"]) if targets["between"] else None}
            ),
            "calls": Calls(**{**calls, "params": tuple(calls["params"])}) if calls else None,
        }
    )
