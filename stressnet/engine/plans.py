"""The plan of a live net, wherever its command was given."""

from __future__ import annotations

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.plan import Plan


async def plan_of(net: str, backend: Backend) -> Plan:
    """Return the plan of a net that is up: from this machine's registration, else from its agent."""
    plan = state.read_plan(net)
    if plan is not None:
        return plan
    async with await backend.connect() as agent:
        return Plan.from_json(await agent.call("plan"))
