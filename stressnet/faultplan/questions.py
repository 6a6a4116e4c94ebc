"""The checks of a fault plan, as a record keeps them."""

from __future__ import annotations

from typing import Any

from stressnet.checks.vocabulary import SelectsNodes
from stressnet.errors import Problem
from stressnet.faultplan.against import Against
from stressnet.faultplan.document import CHECK_NAMES, chosen
from stressnet.faultplan.read import Document
from stressnet.plan import Plan
from stressnet.spec.words import listing


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
        for key, field in type(parameters).model_fields.items():
            if any(isinstance(mark, SelectsNodes) for mark in field.metadata):
                against.named(("checks", number, check, field.alias or key), getattr(parameters, key))
        name = getattr(entry, "name", None) or check
        counted[name] = counted.get(name, 0) + 1
        name = name if counted[name] == 1 else f"{name}-{counted[name]}"
        own = (written.get(check) or {}) if isinstance(written, dict) else {}
        found.append({"name": name, "check": check, "parameters": own})
    return tuple(found), problems
