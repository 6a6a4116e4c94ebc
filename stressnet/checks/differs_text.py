"""How nodes differ from their neighbours, in words and in numbers for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from stressnet.checks.comparing import Answer, Asked
from stressnet.checks.figures import format_amount
from stressnet.plan import shorten

_MOST = 3
"""Effects that a summary names."""
_EQUAL = 0.05
"""Logarithms: what is less than 5 % apart is told without numbers."""
_APART = 1.5
"""A neighbour so many times the others is told of: it is why less is known of all."""


def worst_first(found: Sequence[Answer]) -> list[Answer]:
    """Return answers, those that are furthest from the neighbours first."""
    return sorted(found, key=lambda one: -abs(one.effect.log))


def failed(asked: Asked, bad: Sequence[Answer]) -> str:
    """Say in one sentence who differs in what; the first is the worst."""
    nodes = [name for name in asked.canaries if any(one.effect.node == name for one in bad)]
    return f"{shorten(nodes)} differ{_s(nodes)} from {shorten(asked.neighbours)}: {_most(bad)}"


def unsure(asked: Asked, found: Sequence[Answer]) -> str:
    """Say in one sentence what may be different; the first is the worst."""
    nodes = [name for name in asked.canaries if any(one.effect.node == name for one in found)]
    return f"{shorten(nodes)} may differ from {shorten(asked.neighbours)}: {_most(found)}"


def alike(asked: Asked, found: Sequence[Answer]) -> str:
    """Say in one sentence that nothing matters, and what differs most."""
    who = f"{shorten(asked.canaries)} and {shorten(asked.neighbours)}"
    return f"no difference that matters between {who}: {_most(worst_first(found))}"


def _s(nodes: Sequence[str]) -> str:
    return "s" if len(nodes) == 1 else ""


def _most(found: Sequence[Answer]) -> str:
    """Write some effects, of each figure the first."""
    firsts = {one.figure.name: one for one in reversed(found)}
    told = [one for one in found if firsts[one.figure.name] is one]
    more = f"; and {len(told) - _MOST} more figures" if len(told) > _MOST + 1 else ""
    shown = told if not more else told[:_MOST]
    return f"{'; '.join(_effect(one) for one in shown)}{more}"


def lines(asked: Asked, found: Sequence[Answer]) -> Iterator[str]:
    """Yield all figures of each node; then what differs and what may, each with what is usual; and odd neighbours."""
    for name in asked.canaries:
        own = worst_first([one for one in found if one.effect.node == name])
        if own:
            yield f"{name}: {_all(own)}"
    for one in worst_first([one for one in found if one.said == "differs"]):
        yield f"{one.effect.node} differs: {_effect(one)}{_usual(one)}"
    for one in worst_first([one for one in found if one.said == "unsure"]):
        yield f"{one.effect.node} may differ: {_effect(one)}{_usual(one)}"
    yield from _odd(found)


def _all(found: Sequence[Answer]) -> str:
    """Write all effects of a node, the greatest first, and what is as good as equal without its numbers."""
    apart = [one for one in found if abs(one.effect.log) >= _EQUAL]
    equal = [one.figure.noun for one in found if abs(one.effect.log) < _EQUAL]
    told = [_effect(one) if one.small else _times(one) for one in apart]
    return "; ".join([*told, *([f"equal: {', '.join(equal)}"] if equal else ())])


def _effect(one: Answer) -> str:
    """Write one effect: times with their interval, and amounts."""
    own, others = (_amount(one, level) for level in (one.effect.own, one.effect.others))
    amounts = f"{own} against {others}"
    return f"{one.figure.noun} {amounts}" if one.small else f"{_times(one)}, {amounts}"


def _amount(one: Answer, level: float) -> str:
    """Write a mean with three digits, also of what is counted in whole numbers."""
    return format_amount(one.figure, float(f"{level:.3g}"))


def _times(one: Answer) -> str:
    interval = one.effect.interval
    within = f" ({_digits(interval[0])} to {_digits(interval[1])})" if interval else ""
    return f"{one.figure.noun} {_digits(one.effect.times)} times{within}"


def _usual(one: Answer) -> str:
    if one.effect.usual is None:
        return ""
    logs = one.effect.usual.logs.values()
    low, high = _digits(math.exp(min(logs))), _digits(math.exp(max(logs)))
    return f"; neighbours among themselves {low} to {high} times"


def _odd(found: Sequence[Answer]) -> Iterator[str]:
    told: set[str] = set()
    for one in found:
        if one.effect.usual is not None and one.figure.name not in told:
            told.add(one.figure.name)
            for name, log in one.effect.usual.logs.items():
                if abs(log) >= math.log(_APART):
                    times = _digits(math.exp(log))
                    yield f"{name} is itself apart from the other neighbours: {one.figure.noun} {times} times"


def _digits(times: float) -> str:
    """Write so many times: two digits, and more only where it is many times."""
    return f"{float(f'{times:.2g}'):g}" if abs(times - 1) > 0.095 else f"{times:.2f}"


def numbers(asked: Asked, found: Sequence[Answer]) -> dict[str, Any]:
    """Return all that was compared, for programs."""
    usual = {one.figure.name: one.effect.usual for one in found}
    return {
        "seconds": round(asked.seconds, 3),
        "blocks_of_time": len(asked.blocks),
        "effects": [_numbers(one) for one in found],
        "neighbours_times": {
            word: {name: round(math.exp(log), 4) for name, log in one.logs.items()}
            for word, one in usual.items()
            if one is not None
        },
    }


def _numbers(one: Answer) -> dict[str, Any]:
    return {
        "node": one.effect.node,
        "figure": one.figure.name,
        "own": one.effect.own,
        "neighbours": one.effect.others,
        "times": one.effect.times,
        "interval": list(one.effect.interval) if one.effect.interval else None,
        "p": one.effect.p,
        "matters_from": one.times,
        "said": one.said,
    }
