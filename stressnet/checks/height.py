"""Whether nodes came to a height, or gained so many blocks."""

from __future__ import annotations

from itertools import takewhile

from pydantic import Field, model_validator

from stressnet.checks.check import Check, Finding
from stressnet.checks.progress import ended
from stressnet.checks.vocabulary import NodeSelector, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, refuse
from stressnet.spec.topology import Height


class Parameters(Model):
    """Nodes must come to a height by the end, or gain blocks after the heal."""

    reaches: Height | None = Field(default=None, description="Height at the end of the run, at least.")
    gains: Height | None = Field(
        default=None, description="Blocks gained after the heal, in `observe`, at least."
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
    gone = ended(record)
    lines = tuple(
        f"{name}: {'has exited' if name in gone else 'not known' if value is None else value}"
        for name, value in sorted(found.items(), key=lambda one: -1 if one[1] is None else one[1])
    )
    what = "height" if parameters.reaches else "blocks gained after the heal"
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
    """Return the height that a node has, or by how much it grew from a time on; None where it has said none, has not
    been looked at since, or has ended."""
    latest_first = list(takewhile(lambda row: row.state != "exited", reversed(record.nodes[name])))
    told = [row.height for row in latest_first if row.height is not None and (row.at >= since or not gained)]
    if not told or latest_first[0].at < since:
        return None
    return told[0] - told[-1] if gained else told[0]


def _looked_at(record: Record, name: str, since: float) -> bool:
    """Tell whether it could have been seen: a node that does not run has no height, one without a probe tells none."""
    able = record.plan.node(name).height is not None
    return able and any(row.at >= since for row in record.nodes[name])


CHECK = Check("height", "nodes come to a height, or gain blocks after the heal", Parameters, judge)
