"""Which page of docs/ has which tables that are made from the code.

`python -m stressnet.faultplan.reference docs` writes all of them anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from stressnet.checks.reference import check_tables
from stressnet.faultplan.document import FaultPlan
from stressnet.spec.reference import fault_tables, put_between, tables
from stressnet.spec.schema import schema, schema_of

TABLES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "topology.md": lambda: tables(schema("topology")),
        "kinds.md": lambda: tables(schema("kind")),
        "faults.md": fault_tables,
        "fault-plans.md": lambda: tables(schema_of(FaultPlan), {"Check": "checks.md"}),
        "checks.md": check_tables,
    }
)


def with_tables(name: str, page: str) -> str:
    """Return the text of a page with the tables of today between its marks."""
    return put_between(page, TABLES[name]())


def main(folder: Path) -> None:
    """Write the tables into the pages of a folder."""
    for name in TABLES:
        page = folder / name
        page.write_text(with_tables(name, page.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
