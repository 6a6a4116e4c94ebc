"""The tables of parameters in docs/checks.md, made from the code.

`python -m stressnet.checks.reference docs/checks.md` writes them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from stressnet.checks.check import Check
from stressnet.checks.registry import CHECKS
from stressnet.spec.reference import put_between, section


def reference() -> str:
    """Return a section with a table for every check that a fault plan can ask."""
    return "\n".join("\n".join(_lines(check)) for check in CHECKS.values() if not check.always)


def _lines(check: Check) -> Iterator[str]:
    model = check.parameters.model_json_schema(by_alias=True)
    if model.get("properties"):
        yield section(f"Parameters of {check.name}", model)
    else:
        yield f"### Parameters of {check.name}\n\n{model['description']}\n"


def main(pages: list[str]) -> None:
    """Write the tables into pages."""
    for page in map(Path, pages):
        page.write_text(put_between(page.read_text(), reference()))


if __name__ == "__main__":
    main(sys.argv[1:])
