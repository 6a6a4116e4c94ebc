"""What can still be said about a document after its model has refused parts of it.

Mistakes of form (a wrong type) and of meaning (an unknown kind) are found by different steps. To list both at
once, the refused parts are left out and the rest is looked at too, as far as it does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from stressnet.errors import Problem
from stressnet.spec.words import UNKNOWN_KEY

M = TypeVar("M", bound=BaseModel)

_ROUNDS = 4
"""Leaving something out can break what needs it; each round reaches one level further up."""


def salvaged(model: type[M], data: dict[str, Any], error: ValidationError) -> M | None:
    """Return the model of what is left without the refused parts; None where too little is left."""
    rest = deepcopy(data)
    for _ in range(_ROUNDS):
        for detail in error.errors(include_url=False, include_input=False):
            path = [part for part in detail["loc"] if part != "[key]"]
            _leave_out(rest, path[:-1] if detail["type"] == "missing" else path)
        try:
            return model.model_validate(rest)
        except ValidationError as again:
            error = again
    return None


def _leave_out(value: Any, path: Sequence[str | int]) -> None:
    """Remove what stands at the path; the normal form's own words in it are passed over."""
    steps = []
    for part in path:
        if isinstance(value, dict) and part in value:
            steps.append((value, part))
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            break
    if steps:
        owner, key = steps[-1]
        del owner[key]


def independent(more: Iterable[Problem], broken: Sequence[Problem]) -> list[Problem]:
    """Return those problems that do not follow from the broken parts.

    An unknown key breaks nothing but what its right name would have said.
    """
    unknown = [problem for problem in broken if problem.found == UNKNOWN_KEY]
    wrong = [problem.path for problem in broken if problem.found != UNKNOWN_KEY]
    if any(path.startswith("defaults") or path in ("nodes", "regions") for path in wrong):
        return []
    owners = {_group(path) for path in wrong} - {""}
    lost = any(path.count(".") == 1 for path in wrong if path.startswith("nodes."))
    meant = {_beside(problem) for problem in unknown if problem.nearest}
    return [
        problem
        for problem in more
        if _group(problem.path) not in owners
        and not any(f"{problem.path}.".startswith(f"{path}.") for path in wrong)
        and not (lost and not _group(problem.path))  # links, say, to a group that was left out
        and not any(_follows(problem.path, path) for path in meant)
    ]


def _beside(problem: Problem) -> str:
    """The path of the key that was meant by an unknown one."""
    return ".".join([*problem.path.split(".")[:-1], problem.nearest])


def _follows(path: str, meant: str) -> bool:
    """Whether a problem may come from the missing of what was meant: it is about that, or about what should have it."""
    owner = meant.rpartition(".")[0]
    return path in (owner, meant) or path.startswith(f"{meant}.") or owner == "defaults"


def _group(path: str) -> str:
    return path.split(".")[1] if path.startswith("nodes.") else ""
