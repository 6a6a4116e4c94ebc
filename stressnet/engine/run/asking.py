"""Which nodes can be asked what checks want to know, and asking them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from stressnet.backends.base import Backend
from stressnet.plan import Plan

Ask = Callable[..., Awaitable[Mapping[str, Any]]]
"""`ask(backend, nodes, what, **parameters)`: what each node has told, or why it has not."""


def tellers(plan: Plan, what: str) -> list[str]:
    """Return the nodes whose kind says how they are asked."""
    return [node.name for node in plan.nodes if getattr(node, what, None) is not None]


async def ask(backend: Backend, nodes: Sequence[str], what: str, **parameters: int) -> Mapping[str, Any]:
    """Ask nodes of a live net."""
    told: Mapping[str, Any] = await import_module("stressnet.engine.ask").ask(
        backend, nodes, what, **parameters
    )
    return told
