"""The checks of a fault plan, as a record keeps them."""

from __future__ import annotations

from typing import Any

from stressnet.checks.registry import CHECKS
from stressnet.checks.vocabulary import SelectsNodes
from stressnet.errors import Problem
from stressnet.faultplan.against import Against
from stressnet.faultplan.document import CHECK_NAMES, chosen
from stressnet.faultplan.read import Document
from stressnet.plan import Plan
from stressnet.spec.fields import Model
from stressnet.spec.source import Path
from stressnet.spec.words import listing, nearest, show


def questions(document: Document, plan: Plan) -> tuple[tuple[dict[str, Any], ...], list[Problem]]:
    """Return name, check and parameters, as the file says them, of each; and all that is wrong for this net."""
    problems: list[Problem] = []
    against = Against(document.source, plan, plan.seed, problems)
    tree = document.source.tree
    assert isinstance(tree.value, dict)
    found: list[dict[str, Any]] = []
    counted: dict[str, int] = {}
    asked = tree.value["checks"].data() if "checks" in tree.value else ()
    if len(asked) != len(document.plan.checks):
        return (), []  # the document was refused, and this is what is left of it
    for number, (entry, written) in enumerate(zip(document.plan.checks, asked, strict=True)):
        one = chosen(entry)
        if one is None:
            names = [name for name in CHECK_NAMES if getattr(entry, name) is not None]
            said = f"{listing(names)} together" if names else "no check"
            against.refuse(("checks", number), said, f"one of {listing(CHECK_NAMES)}")
            continue
        check, parameters = one
        _hold(against, plan, ("checks", number, check), parameters)
        name = getattr(entry, "name", None) or check
        counted[name] = counted.get(name, 0) + 1
        name = name if counted[name] == 1 else f"{name}-{counted[name]}"
        own = (written.get(check) or {}) if isinstance(written, dict) else {}
        found.append({"name": name, "check": check, "parameters": own})
    names = [one["name"] for one in found]
    for name in document.expected.failing:
        if name not in names:
            said = f"no check is called {show(name)}"
            against.refuse(("expect", "fail"), said, listing(names), nearest(name, names))
    return tuple(found), problems


def _hold(against: Against, plan: Plan, here: Path, parameters: Model) -> None:
    """Hold the parameters of a check against the net, each by itself and then all together."""
    known = len(against.problems)
    for key, field in type(parameters).model_fields.items():
        asked = getattr(parameters, key)
        if asked is not None and any(isinstance(mark, SelectsNodes) for mark in field.metadata):
            against.named((*here, field.alias or key), asked)
    amiss = CHECKS[str(here[-1])].amiss
    if amiss is not None and len(against.problems) == known:
        for one in amiss(parameters, plan):
            against.refuse((*here, one.key), one.found, one.allowed)
