"""Which nodes a user means: names and patterns."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from stressnet.errors import UsageError
from stressnet.plan import Node, Plan


def named(plan: Plan, patterns: Sequence[str]) -> list[Node]:
    """Return the nodes that match, in plan order; all where no pattern is given. UsageError names what matches none."""
    if not patterns:
        return list(plan.nodes)
    for pattern in patterns:
        if not any(_matches(node, pattern) for node in plan.nodes):
            near = get_close_matches(pattern, [node.name for node in plan.nodes], n=1)
            groups = ", ".join(dict.fromkeys(node.group for node in plan.nodes))
            hints = (f"did you mean {near[0]!r}?",) if near else (f"its groups are: {groups}",)
            raise UsageError(f"no node of net {plan.net!r} is called {pattern!r}", hints=hints)
    return [node for node in plan.nodes if any(_matches(node, pattern) for pattern in patterns)]


def _matches(node: Node, pattern: str) -> bool:
    return fnmatchcase(node.name, pattern) or node.group == pattern
