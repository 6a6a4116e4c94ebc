"""Whether nodes came to a height, or gained so many blocks."""

from __future__ import annotations

from pydantic import Field, model_validator

from stressnet.checks.check import Check, Finding
from stressnet.checks.vocabulary import NodeSelector, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, refuse
from stressnet.spec.topology import Height


class Parameters(Model):
    """Nodes must come to a height by the end, or gain blocks after the last fault."""

    reaches: Height | None = Field(default=None, description="Height at the end of the run, at least.")
    gains: Height | None = Field(
        default=None, description="Blocks gained in the phase after the faults, at least."
    )
    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")

    @model_validator(mode="after")
    def _one(self) -> Parameters:
        if (self.reaches is None) == (self.gains is None):
            raise refuse("both" if self.reaches else "no height", "one of reaches, gains")
        return self


def judge(record: Record, parameters: Parameters) -> Finding:
    """Compare the heights of nodes with what is wanted."""
    names = selected(record, parameters.of)
    if "observe" not in record.phases:
        return Finding("inconclusive", "the run did not come to the phase after the faults")
    phase = record.phases["observe"]
    wanted = parameters.reaches or parameters.gains or 0
    found = {name: _found(record, name, phase.begun, gained=parameters.reaches is None) for name in names}
    low = tuple(name for name, value in found.items() if value is None or value < wanted)
    lines = tuple(
        f"{name}: {'not known' if value is None else value}"
        for name, value in sorted(found.items(), key=lambda one: -1 if one[1] is None else one[1])
    )
    what = "height" if parameters.reaches else "blocks gained after the last fault"
    numbers = {"found": found}
    unknown = [name for name in low if not _looked_at(record, name, phase.begun)]
    if not low:
        return Finding("pass", f"{what}: {wanted} or more everywhere", (), None, lines, numbers)
    if not record.over:
        return Finding("inconclusive", f"not yet: {what} {wanted}", low, None, lines, numbers)
    if len(unknown) == len(low):
        return Finding("inconclusive", f"{shorten(low)}: {what} not known", low, None, lines, numbers)
    return Finding("fail", f"{shorten(low)}: {what} below {wanted}", low, phase.ended, lines, numbers)


def _found(record: Record, name: str, since: float, *, gained: bool) -> int | None:
    """Return the last height from a time on, or how much it grew; None where the node has said none."""
    seen = [row.height for row in record.nodes[name] if row.at >= since and row.height is not None]
    if not seen:
        return None
    return seen[-1] - seen[0] if gained else seen[-1]


def _looked_at(record: Record, name: str, since: float) -> bool:
    """Tell whether it could have been seen: a node that does not run has no height, one without a probe tells none."""
    able = record.plan.node(name).height is not None
    return able and any(row.at >= since for row in record.nodes[name])


CHECK = Check("height", "nodes come to a height, or gain blocks after the faults", Parameters, judge)
