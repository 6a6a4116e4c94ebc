"""The words that parameters of checks share: which nodes, which parts of a run."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, WithJsonSchema

from stressnet.plan import Plan
from stressnet.record.record import Phase, Record
from stressnet.spec.fields import Text, one_of, plain_number, refuse
from stressnet.spec.selectors import Observation, resolve
from stressnet.spec.words import show

PhaseName = Literal["baseline", "timeline", "observe"]
PHASE_NAMES: tuple[PhaseName, ...] = get_args(PhaseName)
ALL = "all"


class SelectsNodes:
    """Marks a parameter that is a selector of nodes: it is held against the net before a run begins."""


def _phases(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(PHASE_NAMES)}")
    return value


def _positive(value: Any) -> float:
    number = plain_number(value)
    if number <= 0:
        raise refuse(show(value), "a number above 0")
    return number


NodeSelector = Annotated[Text, SelectsNodes()]
OnePhase = Annotated[
    str, BeforeValidator(one_of(*PHASE_NAMES, ALL)), WithJsonSchema({"enum": [*PHASE_NAMES, ALL]})
]
Phases = Annotated[
    list[
        Annotated[
            PhaseName, BeforeValidator(one_of(*PHASE_NAMES)), WithJsonSchema({"enum": list(PHASE_NAMES)})
        ]
    ],
    BeforeValidator(_phases),
]
Factor = Annotated[
    float, BeforeValidator(_positive), WithJsonSchema({"type": "number", "exclusiveMinimum": 0})
]


def selected(record: Record, selector: str) -> tuple[str, ...]:
    """Return the nodes that a selector means by the plan alone: what was observed when is not asked."""
    return meant(record.plan, selector)


def meant(plan: Plan, selector: str) -> tuple[str, ...]:
    """Return the nodes of a plan that a selector means; SelectorError where it means nothing that there is."""
    return resolve(selector, plan, Observation(), plan.seed)


def part(record: Record, name: str) -> Phase | None:
    """Return a phase, or `all` from the first event to the end of what is known; None where it has not begun."""
    if name != ALL:
        return record.phases.get(name)
    begun = min((event["time"] for event in record.events), default=None)
    return None if begun is None else Phase(ALL, begun, record.now)


def is_over(record: Record, name: str) -> bool:
    """Tell whether nothing can be added to a phase any more."""
    later = list(record.phases)[-1:] != [name] and name in record.phases
    return record.over or (name != ALL and later)
