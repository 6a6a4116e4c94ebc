"""The tables of parameters in docs/checks.md, made from the code."""

from __future__ import annotations

from collections.abc import Iterator

from stressnet.checks.check import Check
from stressnet.checks.registry import CHECKS
from stressnet.spec.reference import section


def check_tables() -> str:
    """Return a section with a table for every check that a fault plan can ask."""
    return "\n".join("\n".join(_lines(check)) for check in CHECKS.values() if not check.always)


def _lines(check: Check) -> Iterator[str]:
    model = check.parameters.model_json_schema(by_alias=True)
    if model.get("properties"):
        yield section(f"Parameters of {check.name}", model)
    else:
        yield f"### Parameters of {check.name}\n\n{model['description']}\n"
