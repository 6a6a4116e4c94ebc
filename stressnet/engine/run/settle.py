"""Stage 3: wait until the net does what it normally does, and then watch it for a while as a baseline."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from stressnet.backends.base import Backend
from stressnet.engine.run.scenario import Settling
from stressnet.engine.status import NetStatus, behind, watch
from stressnet.plan import Plan
from stressnet.spec.units import format_duration

_POLL_S = 0.25


class NotSettled(Exception):
    """The net did not come to where the timeline could begin; the message says what was missing."""


async def settle(plan: Plan, backend: Backend, settling: Settling) -> None:
    """Return when the nodes that run are as a fault plan wants them; NotSettled after its time."""
    deadline = asyncio.get_running_loop().time() + settling.timeout_s
    async with aclosing(watch(plan, backend, _POLL_S)) as states:
        async for status in states:
            missing = _missing(status, settling)
            if not missing:
                return
            if asyncio.get_running_loop().time() >= deadline:
                raise NotSettled(f"after {format_duration(settling.timeout_s)} {missing}")


def _missing(status: NetStatus, settling: Settling) -> str:
    """Say what is not as wanted yet; nothing where all is. Nodes that wait for their start are not asked."""
    running = [node for node in status.nodes if node.state != "waiting"]
    ended = [node.node for node in running if node.state != "ready"]
    if ended:
        return f"{ended[0]} was not ready"
    least = settling.height or 0
    low = [node.node for node in running if node.tells_height and (node.height or 0) < least]
    if low:
        return f"{low[0]} had not reached height {least}"
    late = behind(running)
    if settling.synced and (late or not status.highest):
        return f"{late[0] if late else 'the net'} was not in step"
    return ""
