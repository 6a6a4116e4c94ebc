"""The faults that the kinds of a net's nodes declare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stressnet.compile.groups import Resolved, Resolver
from stressnet.errors import Problem
from stressnet.faults.declared import Declared
from stressnet.spec.declared import declared


def faults_of(groups: Sequence[Resolved]) -> tuple[Declared, ...]:
    """Return the faults of all kinds in use, kind by kind."""
    kinds = {group.kind.name: group.kind for group in groups}
    return tuple(
        declared(kind.name, name, fault) for kind in kinds.values() for name, fault in kind.faults.items()
    )


def clashing_faults(groups: Sequence[Resolved], resolver: Resolver) -> Iterator[Problem]:
    """Yield groups whose kind declares a fault with other parameters than a kind before: one name, one meaning."""
    first: dict[str, Declared] = {}
    for one in faults_of(groups):
        other = first.setdefault(one.fault.name, one)
        if other.fault.parameters != one.fault.parameters:
            group = next(group for group in groups if group.kind.name == one.node_kind)
            found = (
                f"the kind {one.node_kind} declares the fault {one.fault.name!r} with other parameters "
                f"than the kind {other.node_kind}"
            )
            yield resolver.loaded.source.problem(
                resolver.origin(group.name, "kind"), found, "the same parameters in both kinds"
            )
