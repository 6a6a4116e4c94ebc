"""Whether nodes came to a height, or gained so many blocks."""

from __future__ import annotations

from pydantic import Field, model_validator

from stressnet.checks.check import Check, Finding
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, Text, refuse
from stressnet.spec.selectors import Observation, resolve
from stressnet.spec.topology import Height


class Parameters(Model):
    """Nodes must come to a height by the end, or gain blocks after the last fault."""

    reaches: Height | None = Field(default=None, description="Height at the end of the run, at least.")
    gains: Height | None = Field(
        default=None, description="Blocks gained in the phase after the faults, at least."
    )
    of: Text = Field(default="all", description="Selector: which nodes.")

    @model_validator(mode="after")
    def _one(self) -> Parameters:
        if (self.reaches is None) == (self.gains is None):
            raise refuse("both" if self.reaches else "no height", "one of reaches, gains")
        return self


def judge(record: Record, parameters: Parameters) -> Finding:
    """Compare the heights of nodes with what is wanted."""
    names = resolve(parameters.of, record.plan, Observation(), record.plan.seed)
    if "observe" not in record.phases:
        return Finding("inconclusive", "the run did not come to the phase after the faults")
    phase = record.phases["observe"]
    wanted = parameters.reaches or parameters.gains or 0
    found: dict[str, int | None] = {}
    for name in names:
        seen = [row.height for row in record.nodes[name] if row.at >= phase.begun and row.height is not None]
        found[name] = None if not seen else seen[-1] if parameters.reaches else seen[-1] - seen[0]
    low = tuple(name for name, value in found.items() if value is None or value < wanted)
    lines = tuple(f"{name}: {'not known' if value is None else value}" for name, value in found.items())
    what = "height" if parameters.reaches else "blocks gained after the last fault"
    if low and record.over:
        return Finding(
            "fail", f"{shorten(low)}: {what} below {wanted}", low, phase.ended, lines, {"found": found}
        )
    if low:
        return Finding("inconclusive", f"not yet: {what} {wanted}", low, None, lines, {"found": found})
    return Finding("pass", f"{what}: {wanted} or more everywhere", (), None, lines, {"found": found})


CHECK = Check("height", "nodes come to a height, or gain blocks after the faults", Parameters, judge)
