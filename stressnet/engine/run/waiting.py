"""Wait until what is observed of a net is as a step of the timeline says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stressnet.engine.run.net import Net, Seen
from stressnet.errors import AgentError
from stressnet.faultplan.timeline import When
from stressnet.spec.selectors import SelectorError, asks_connections, resolve
from stressnet.spec.units import format_duration

_POLL_S = 0.25


class Missed(Exception):
    """What was waited for did not come in time."""


async def wait_for(when: When, net: Net, seed: int) -> None:
    """Return when a condition holds; Missed after its time."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not await _holds(when, net, seed):
        if when.within_s is not None and loop.time() - begun >= when.within_s:
            raise Missed(f"{_words(when)} did not come within {format_duration(when.within_s)}")
        await asyncio.sleep(_POLL_S)


async def _holds(when: When, net: Net, seed: int) -> bool:
    try:
        seen = await net.look(connections=asks_connections(when.of))
    except AgentError:  # it is started again
        return False
    try:
        names = resolve(when.of, net.plan, seen.observation, seed)
    except SelectorError:  # more are to be drawn than there are now
        return False
    if when.condition == "height":
        heights = seen.heights
        return bool(names) and all(heights.get(name, -1) >= (when.above or 0) for name in names)
    if when.condition == "state":
        return any(seen.nodes.get(name, {}).get("state") == when.name for name in names)
    values = await net.metric(when.name) if when.condition == "metric" else _figures(seen, when.name)
    found = [values[name] for name in names if name in values]
    return any(
        (when.above is not None and value > when.above) or (when.below is not None and value < when.below)
        for value in found
    )


def _figures(seen: Seen, name: str) -> Mapping[str, float]:
    """Return a figure by node; memory in bytes, CPU in CPUs."""
    heights = seen.heights
    if name == "height":
        return heights
    if name == "lag":
        highest = max(heights.values(), default=0)
        return {node: highest - height for node, height in heights.items()}
    key = {"peers": "peers", "cpu": "cpu", "memory": "rss_bytes"}[name]
    return {node: now[key] for node, now in seen.nodes.items() if now.get(key) is not None}


def _words(when: When) -> str:
    if when.condition == "height":
        return f"height {when.above:.0f} of {when.of}"
    if when.condition == "state":
        return f"the state {when.name} of {when.of}"
    bound = f"above {when.above:g}" if when.above is not None else f"below {when.below:g}"
    return f"{when.name} {bound} of {when.of}"
