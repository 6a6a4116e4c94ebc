"""Which nodes can be asked what checks want to know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from stressnet.engine.ask import What
from stressnet.plan import Plan

Ask = Callable[..., Awaitable[Mapping[str, Any]]]
"""`engine.ask.ask`, or what stands in its place."""


def tellers(plan: Plan, what: What) -> list[str]:
    """Return the nodes whose kind says how they are asked."""
    return [node.name for node in plan.nodes if getattr(node, what) is not None]
