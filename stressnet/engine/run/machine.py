"""What the faults of a plan need of this machine, looked at before anything starts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from stressnet.engine.doctor import abilities
from stressnet.engine.faults import here
from stressnet.errors import InputError, Problem
from stressnet.faultplan.document import Doing
from stressnet.faultplan.read import Document
from stressnet.faults.declared import with_declared
from stressnet.plan import Plan
from stressnet.spec.source import Path

_ALWAYS = ("", "nft", "relay")
"""Without these there is no net to do a fault to; to try the others takes a second."""


def check_machine(document: Document, plan: Plan) -> None:
    """Return if each fault can be done here; InputError with the places of those that cannot.

    Of an engine, which may be on another machine, that is not known before the net is up: its agent refuses them.
    """
    if plan.backend != "netns":
        return
    kinds = with_declared(plan.faults)
    problems: list[Problem] = []
    for place, step in _doings(document):
        kind = kinds.get(step.fault or "")
        if kind is not None and kind.needs not in _ALWAYS and here(kind, _abilities()) == "no":
            found = f"{kind.name} cannot be done on this machine: {_abilities()[kind.needs]}"
            allowed = (
                "what `stressnet fault kinds` shows as possible here; `stressnet doctor` says what helps"
            )
            problems.append(document.source.problem((*place, "fault"), found, allowed))
    if problems:
        raise InputError(problems)


def _doings(document: Document) -> Iterator[tuple[Path, Doing]]:
    yield from ((("timeline", number), step) for number, step in enumerate(document.plan.timeline))
    drawn = document.plan.random.faults if document.plan.random else ()
    yield from ((("random", "faults", number), step) for number, step in enumerate(drawn))


@cache
def _abilities() -> dict[str, str]:
    """Try it once: `prove` reads its plan for each of its runs."""
    return abilities()
