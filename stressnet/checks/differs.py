"""Nodes that differ from their neighbours, as those that run another version may, and with which effect."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.checks.beside import BLOCK_S, LEAST_BLOCKS, blocks
from stressnet.checks.check import Amiss, Check, Finding
from stressnet.checks.comparing import FLOORS, SORTS, Answer, Asked, Sort, answers
from stressnet.checks.differs_text import alike, failed, lines, numbers, unsure, worst_first
from stressnet.checks.effect import LEAST_NEIGHBOURS
from stressnet.checks.figures import FIGURES, Figure, amounts, choice, parse_floor
from stressnet.checks.vocabulary import NodeSelector, Phases, SelectsNodes, is_over, meant
from stressnet.plan import Plan, shorten
from stressnet.record.record import Record
from stressnet.spec.fields import Model, Text, one_of, refuse
from stressnet.spec.units import QuantityError, format_duration
from stressnet.spec.words import show

_TIMES = 2.0


def _times(_: Figure, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 < value < math.inf:
        raise QuantityError(show(value), "a number above 1: so many times as much, or as little", "2")
    return float(value)


def _factor(value: Any) -> float:
    try:
        return _times(FIGURES["cpu"], value)
    except QuantityError as error:
        raise refuse(error.found, error.allowed, example=error.example) from None


def _floor(figure: Figure, value: object) -> float:
    found = parse_floor(figure, value)
    if not found:
        raise QuantityError(show(value), "more than zero: of nothing there are no multiples", "1")
    return found


def _sorts(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise refuse(show(value), f"a list of {', '.join(SORTS)}")
    return value


def _names(value: Any) -> Any:
    if not isinstance(value, list):
        raise refuse(show(value), f"a list of {', '.join(FLOORS)}")
    return value


_LISTED = {"enum": list(FLOORS)}
Factors = Annotated[
    dict[str, float],
    BeforeValidator(choice(dict.fromkeys(FLOORS, 0.0), _times)),
    WithJsonSchema(
        {"oneOf": [{"type": "array", "items": _LISTED}, {"type": "object", "propertyNames": _LISTED}]}
    ),
]
Names = Annotated[
    list[Annotated[str, BeforeValidator(one_of(*FLOORS)), WithJsonSchema(_LISTED)]], BeforeValidator(_names)
]
Floors = Annotated[
    dict[str, float],
    BeforeValidator(amounts(list(FLOORS), _floor)),
    WithJsonSchema({"type": "object", "propertyNames": _LISTED}),
]
Times = Annotated[float, BeforeValidator(_factor), WithJsonSchema({"type": "number", "exclusiveMinimum": 1})]
Sorts = Annotated[
    list[Annotated[Sort, BeforeValidator(one_of(*SORTS)), WithJsonSchema({"enum": list(SORTS)})]],
    BeforeValidator(_sorts),
]


class Parameters(Model):
    """No figure of these nodes may be many times, or a fraction of, what it is on their neighbours at the same time."""

    of: NodeSelector = Field(
        description="Selector: the nodes that may differ, such as `label:version=canary`."
    )
    source: Annotated[Text | None, SelectsNodes()] = Field(
        default=None,
        alias="from",
        description="Selector: the neighbours from which they may differ, three at least for an answer; default: all "
        "other nodes of the kinds and roles of those in `of`.",
    )
    figures: Factors = Field(
        default=dict.fromkeys(FLOORS, 0.0),
        description="What fails: a list of figures, or a mapping with the times for each, as in `{cpu: 1.5, lag: 3}`; "
        "default: all that are known. `blocks` are those gained a second, `opens` connection attempts. "
        "All are reported.",
    )
    intended: Names = Field(
        default=[],
        description="Figures that are meant to differ, as in `[discoveries, opens]`: they do not fail.",
    )
    times: Times = Field(
        default=_TIMES,
        description="So many times as much, or as little, where `figures` does not say; default: 2.",
    )
    at_least: Floors = Field(
        default={},
        description="Of less, multiples are taken of this, as in `{memory: 64MiB, opens: 1/s}`; default: `blocks` "
        "(0.02/s), `lag` (5), `cpu` (2% of a core), `cpu_per_block` (5ms), `memory` (16MiB), `fds`, `tasks` (10), "
        "`threads`, `streams` (4), `sockets`, `pending_requests` (5), and, times the fault plan's `time_scale`, "
        "`opens` (0.05/s), `discoveries` (0.02/s), or 20 in all.",
    )
    counts: Sorts = Field(
        default=["worse"],
        description="In which direction it fails; default: `worse`, which is more of everything, of `blocks` less, and "
        "of `streams` either. `better`: the other way.",
    )
    during: Phases = Field(
        default=["timeline", "observe"], description="In which phases; default: timeline and observe."
    )

    @model_validator(mode="after")
    def _either(self) -> Parameters:
        both = [word for word in self.intended if word in self.figures]
        if both and "figures" in self.model_fields_set:
            raise refuse(f"{both[0]} among both `figures` and `intended`", "one of the two")
        return self

    @property
    def bounds(self) -> dict[str, float]:
        """So many times as much matters, by figure that counts."""
        return {word: own or self.times for word, own in self.figures.items() if word not in self.intended}


def judge(record: Record, parameters: Parameters) -> Finding:
    """Hold nodes beside their neighbours, once phases are over: who looks again and again sees a difference at last."""
    canaries = meant(record.plan, parameters.of)
    neighbours = _neighbours(record.plan, parameters)
    late = [word for word in parameters.during if not (record.over or is_over(record, word))]
    if late:
        return Finding("inconclusive", f"the phase {late[0]} is not over")
    laid = blocks(record, parameters.during)
    if len(laid) < LEAST_BLOCKS:
        least = format_duration(LEAST_BLOCKS * BLOCK_S)
        return Finding("inconclusive", f"too short: nodes are compared over {least} or more")
    asked = Asked(
        record, canaries, neighbours, laid, parameters.bounds, parameters.at_least, parameters.counts
    )
    return _finding(asked, "figures" in parameters.model_fields_set)


def _finding(asked: Asked, by_name: bool) -> Finding:
    """`by_name`: the plan names its figures, so that none of them may be unknown."""
    found = answers(asked)
    told = tuple(lines(asked, found)), numbers(asked, found)
    counted = worst_first([one for one in found if one.times is not None])
    bad = [one for one in counted if one.said == "differs"]
    may = [one for one in counted if one.said == "unsure"]
    if bad:
        nodes = tuple(dict.fromkeys(one.effect.node for one in bad))
        return Finding("fail", failed(asked, bad), nodes, asked.blocks[0][0], *told)
    unknown = _few(asked) or _unseen(asked, counted, by_name)
    if unknown or may:
        nodes = tuple(dict.fromkeys(one.effect.node for one in may))
        return Finding("inconclusive", unknown or unsure(asked, may), nodes, None, *told)
    return Finding("pass", alike(asked, found), (), None, *told)


def _few(asked: Asked) -> str:
    """Say that too few neighbours are compared with; nothing where there are enough."""
    count = len(asked.neighbours)
    if count >= LEAST_NEIGHBOURS:
        return ""
    who = shorten(asked.neighbours) or "nobody"
    return f"{count} to compare with ({who}): what difference is usual shows from {LEAST_NEIGHBOURS} neighbours on"


def _unseen(asked: Asked, counted: Sequence[Answer], by_name: bool) -> str:
    """Say which node, or which figure that the plan names, nobody could compare; nothing where there is none."""
    seen = {one.effect.node for one in counted}
    lost = [name for name in asked.canaries if name not in seen]
    if lost:
        return f"{shorten(lost)}: not seen for long enough beside {shorten(asked.neighbours)}"
    known = {(one.effect.node, one.figure.name) for one in counted}
    silent = [word for word in asked.times if any((name, word) not in known for name in asked.canaries)]
    return f"not all nodes told their {', '.join(silent)} for long enough" if silent and by_name else ""


def _neighbours(plan: Plan, parameters: Parameters) -> tuple[str, ...]:
    """Return with whom they are compared."""
    canaries = meant(plan, parameters.of)
    if parameters.source is not None:
        return tuple(name for name in meant(plan, parameters.source) if name not in canaries)
    sorts = {(plan.node(name).kind, plan.node(name).role) for name in canaries}
    sort = (node.name for node in plan.nodes if (node.kind, node.role) in sorts)
    return tuple(name for name in sort if name not in canaries)


def _amiss(parameters: Parameters, plan: Plan) -> Iterator[Amiss]:
    """Yield where nodes would be compared with themselves, or with nobody."""
    canaries = meant(plan, parameters.of)
    if parameters.source is not None:
        both = [name for name in meant(plan, parameters.source) if name in canaries]
        if both:
            found = f"{show(parameters.source)} means {shorten(both)} too, of {show(parameters.of)}"
            yield Amiss("from", found, "nodes not in `of`")
    elif not _neighbours(plan, parameters):
        found = f"{show(parameters.of)} leaves no other node of its kind and role to compare with"
        yield Amiss("of", found, "fewer nodes, or `from` with their neighbours")


CHECK = Check(
    "differs", "nodes are as their neighbours are at the same time", Parameters, judge, amiss=_amiss
)
