"""Figures of nodes that go on growing: by their trend within a phase, and by what is left at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from stressnet.checks.at_rest import AT_REST, Rest, at_rest
from stressnet.checks.check import Check, Finding
from stressnet.checks.figures import amounts, choice, parse_amount, parse_rate
from stressnet.checks.growing import PARTS, Part, all_series, phase_of, said
from stressnet.checks.growth_text import Trended, left, left_numbers, rises
from stressnet.checks.vocabulary import NodeSelector, selected
from stressnet.plan import shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, one_of, refuse
from stressnet.spec.words import show

THRESHOLDS: Mapping[str, float] = {
    "memory": 2**20 / 60,
    "cpu": 0.10 / 60,
    "fds": 5 / 60,
    "threads": 2 / 60,
    "sockets": 5 / 60,
    "streams": 5 / 60,
    "tasks": 5 / 60,
}
"""A second; of CPU, a share of what it was. Several standard deviations of the noise of idle nodes over a minute."""


def _parts(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(PARTS)}")
    return value


_LISTED = {"enum": list(THRESHOLDS)}
Thresholds = Annotated[
    dict[str, float],
    BeforeValidator(choice(THRESHOLDS, parse_rate)),
    WithJsonSchema(
        {"oneOf": [{"type": "array", "items": _LISTED}, {"type": "object", "propertyNames": _LISTED}]}
    ),
]
Limits = Annotated[
    dict[str, float],
    BeforeValidator(amounts(list(THRESHOLDS), parse_amount)),
    WithJsonSchema({"type": "object", "propertyNames": _LISTED}),
]
Tolerances = Annotated[
    dict[str, float],
    BeforeValidator(amounts(list(AT_REST), parse_amount)),
    WithJsonSchema({"type": "object", "propertyNames": {"enum": list(AT_REST)}}),
]
Parts = Annotated[
    list[Annotated[Part, BeforeValidator(one_of(*PARTS)), WithJsonSchema({"enum": list(PARTS)})]],
    BeforeValidator(_parts),
]


class Parameters(Model):
    """No figure of a node may go on growing, nor be higher at rest than before."""

    of: NodeSelector = Field(default="all", description="Selector: which nodes; default: all.")
    figures: Thresholds = Field(
        default=dict(THRESHOLDS),
        description="Which, and from how fast on it matters; default: all that are known. A list of `memory` "
        "(1MiB/m), `cpu` (10%/m of what a block took, or a second where heights are not known), `fds`, "
        "`sockets`, `streams`, `tasks` (5/m), `threads` (2/m), or a mapping with a rate for each, as in "
        "`{memory: 10MiB/h, streams: 1/m}`.",
    )
    limit: Limits = Field(
        default={},
        description="Amounts that must not be reached, as in `{memory: 512MiB, fds: 1024}`: then a growth says when "
        "it will be. Of memory, the default is the node's limit.",
    )
    during: Parts = Field(
        default=["timeline"],
        description="In which phases, each by itself; default: timeline. `joined`: timeline and observe as one.",
    )
    at_rest: Tolerances = Field(
        default=dict(AT_REST),
        description="How many more there may be in the second half of `observe` than in the baseline; a node with "
        "twice the peers may have twice of what it had: `fds`, `sockets`, `tasks`, `pending_requests` (5), "
        "`threads`, `streams` (2). `{}`: this is not asked.",
    )


def judge(record: Record, parameters: Parameters) -> Finding:
    """Look at the trends of phases that are over, and at what is left at rest."""
    names = selected(record, parameters.of)
    trends = _trends(record, names, parameters)
    grown = sorted((one for one in trends if one.said == "growth"), key=lambda one: -one.times)
    unsure = [one for one in trends if one.said in ("undecided", "too short")]
    rests = at_rest(record, names, parameters.at_rest)
    leaked = sorted((one for one in rests if one.leaked), key=lambda one: -one.more)
    lines = (
        *(one.line for one in grown),
        *map(left, leaked),
        *(one.line for one in unsure),
        *(one.step for one in trends if one.said == "none" and one.step),
    )
    numbers = {"trends": [one.numbers for one in trends], "at_rest": [left_numbers(one) for one in rests]}
    if grown or leaked:
        nodes = tuple(dict.fromkeys([*(one.node for one in grown), *(one.node for one in leaked)]))
        at = min((one.begun for one in grown), default=record.healed_at)
        return Finding("fail", _summary(grown, leaked), nodes, at, lines, numbers)
    if unknown := _unknown(record, parameters, trends, unsure):
        nodes = tuple(dict.fromkeys(one.node for one in unsure))
        return Finding("inconclusive", unknown, nodes, None, lines, numbers)
    nouns = ", ".join(dict.fromkeys(one.series.figure.noun for one in trends))
    also = ", and nothing is left at rest" if rests else ""
    return Finding("pass", f"nothing grows on {shorten(names)} ({nouns}){also}", (), None, lines, numbers)


def _trends(record: Record, names: Sequence[str], parameters: Parameters) -> list[Trended]:
    series = [
        one for part in parameters.during for one in all_series(record, names, part, parameters.figures)
    ]
    return [
        Trended(record, one, word, parameters.limit.get(one.figure.name), len(parameters.during) > 1)
        for one, word in zip(series, said(series), strict=True)
    ]


def _summary(grown: Sequence[Trended], leaked: Sequence[Rest]) -> str:
    if not grown:
        others = len({one.node for one in leaked}) - 1
        return f"{left(leaked[0])}{f'; so on {others} more nodes' if others else ''}"
    worst = grown[0]
    alike = {one.node for one in grown if one.what == worst.what}
    nodes = tuple(name for name in worst.record.nodes if name in alike)
    more = list(dict.fromkeys(one.what for one in grown if one.what != worst.what))
    also = f"; also {', '.join(more)}" if more else ""
    rest = f"; {left(leaked[0])}" if leaked else ""
    return f"{shorten(nodes)}: {worst.what} {rises(worst.what)} by {worst.slope}{worst.until}{also}{rest}"


def _unknown(
    record: Record, parameters: Parameters, trends: Sequence[Trended], unsure: Sequence[Trended]
) -> str:
    """Say why it cannot be known whether something grows; nothing where it can."""
    late = [part for part in parameters.during if phase_of(record, part) is None]
    if late:
        return f"the phase {late[0]} is not over" if late[0] != "joined" else "the run is not over"
    if unsure:
        more = f", and {len(unsure) - 1} more" if len(unsure) > 1 else ""
        return f"{unsure[0].line}{more}"
    asked = parameters.figures if "figures" in parameters.model_fields_set else ()
    told = {one.series.figure.name for one in trends}
    silent = [word for word in asked if word not in told]
    if silent or not trends:
        return f"no node tells its {', '.join(silent)}" if silent else "nothing is known of these nodes"
    return ""


CHECK = Check(
    "growth",
    "no figure of a node goes on growing, or is higher at rest than before",
    Parameters,
    judge,
    nightly=True,
)
