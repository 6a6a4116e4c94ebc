"""How often figures of nodes go into samples.db, and how long they stay there."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from stressnet.spec.fields import Model, Seconds, refuse
from stressnet.spec.units import format_duration
from stressnet.spec.words import nearest, show

OFF = "off"
_LEAST_S = 0.1


def _pace(value: float) -> float:
    if 0 < value < _LEAST_S:
        raise refuse(format_duration(value), f"{format_duration(_LEAST_S)} or more, or 0s for never")
    return value


class Sampling(Model):
    """How often the agent looks at nodes from outside, and keeps what it saw."""

    every: Annotated[Seconds, AfterValidator(_pace)] = Field(
        default=1.0, description="Between two looks at each node; `0s`, or `sampling: off`: none are kept."
    )
    closely: Annotated[Seconds, AfterValidator(_pace)] = Field(
        default=10.0,
        description="Between two closer looks: links, sockets by state, shared memory, metrics; `0s`: never.",
    )
    keep: Seconds = Field(default=172800.0, description="What is older is dropped; `0s`: nothing is.")

    @model_validator(mode="after")
    def _closer_is_rarer(self) -> Sampling:
        if 0 < self.closely < self.every:
            found = f"closer looks every {format_duration(self.closely)}"
            raise refuse(found, f"at least `every`, {format_duration(self.every)}")
        return self


def normal_sampling(value: Any) -> Any:
    """Bring the word `off` to the one normal form."""
    if value == OFF:
        return {"every": "0s"}
    if isinstance(value, dict):
        return value
    near = nearest(value, [OFF]) if isinstance(value, str) else ""
    raise refuse(show(value), f"{OFF}, or a mapping as in {{every: 1s}}", near)
