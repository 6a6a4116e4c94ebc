"""What a live net looks like now: the agent's knowledge of each node beside what the engine says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from stressnet.backends.base import Backend, Fate
from stressnet.engine.explain import exit_code, explain
from stressnet.errors import AgentError
from stressnet.plan import Node, Plan, shorten

IN_STEP = 2
"""Nodes this many blocks apart or less count as at the same height: a block takes its time to travel."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One node now. Heights in blocks, `age_s` since its first instruction; None where not known."""

    node: str
    kind: str
    role: str
    region: str
    address: str
    state: str
    tells_height: bool
    """Whether its kind says how its height is asked."""
    height: int | None
    lag: int | None
    peers: int | None
    streams: int | None
    cpu: float | None
    rss_bytes: int | None
    age_s: float | None
    starts: int
    exit_code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class NetStatus:
    """A net now; the nodes are in plan order."""

    net: str
    backend: str
    nodes: tuple[NodeStatus, ...]

    @property
    def highest(self) -> int | None:
        """The highest height seen."""
        return max((node.height for node in self.nodes if node.height is not None), default=None)

    def all_ready(self) -> bool:
        """Tell whether every node has started and is ready."""
        return all(node.state == "ready" for node in self.nodes)

    def synced(self) -> bool:
        """Tell whether every node is ready and at the same height, give or take a block on its way."""
        return self.all_ready() and bool(self.highest) and not behind(self.nodes)

    def count(self) -> dict[str, int]:
        """Return how many nodes are in each state."""
        counted: dict[str, int] = {}
        for node in self.nodes:
            counted[node.state] = counted.get(node.state, 0) + 1
        return counted


def behind(nodes: Sequence[NodeStatus]) -> list[str]:
    """Return those that are not in step, or have not told their height yet though they can."""
    return [node.node for node in nodes if node.tells_height and (node.lag is None or node.lag > IN_STEP)]


async def answers(backend: Backend, pause_s: float) -> AsyncGenerator[Mapping[str, Any]]:
    """Yield the agent's status again and again; an agent that dies is waited for, a net that ends is an AgentError."""
    while True:
        async with await backend.connect() as agent:
            with suppress(AgentError):
                while True:
                    yield await agent.call("status")
                    await asyncio.sleep(pause_s)


async def watch(plan: Plan, backend: Backend, pause_s: float) -> AsyncGenerator[NetStatus]:
    """Yield the state of a net again and again: what the agent says and, where it knows more, the engine."""
    async with aclosing(answers(backend, pause_s)) as states:
        async for answer in states:
            yield _net(plan, answer, await backend.fates())


async def look(plan: Plan, backend: Backend) -> NetStatus:
    """Return the state of a net now."""
    async with aclosing(watch(plan, backend, 0.0)) as states:
        return await anext(states)


def _net(plan: Plan, answer: Mapping[str, Any], fates: Mapping[str, Fate]) -> NetStatus:
    heights = [now["height"] for now in answer["nodes"].values() if now["height"] is not None]
    highest = max(heights, default=None)
    return NetStatus(
        net=plan.net,
        backend=plan.backend,
        nodes=tuple(_row(plan, node, answer, fates.get(node.name), highest) for node in plan.nodes),
    )


def _row(
    plan: Plan, node: Node, answer: Mapping[str, Any], fate: Fate | None, highest: int | None
) -> NodeStatus:
    now = answer["nodes"].get(node.name) or {}
    state, height = now.get("state", "absent"), now.get("height")
    running = state in ("starting", "ready")
    return NodeStatus(
        node=node.name,
        kind=node.kind,
        role=node.role,
        region=node.region,
        address=node.address,
        state=state,
        tells_height=node.height is not None,
        height=height,
        lag=highest - height if height is not None and highest is not None else None,
        peers=now.get("peers"),
        streams=now.get("streams"),
        cpu=now.get("cpu"),
        rss_bytes=now.get("rss_bytes"),
        age_s=answer["now"] - now["started_at"] if running and now["started_at"] else None,
        starts=now.get("starts", 0),
        exit_code=exit_code(now, fate),
        reason=_reason(plan, node, answer, fate),
    )


def _reason(plan: Plan, node: Node, answer: Mapping[str, Any], fate: Fate | None) -> str:
    now = answer["nodes"].get(node.name) or {}
    if now.get("state") == "exited":
        return explain(node, now, fate)
    if now.get("state") == "waiting":
        return _waits_for(plan, node, answer)
    return str(now.get("reason", ""))


def _waits_for(plan: Plan, node: Node, answer: Mapping[str, Any]) -> str:
    wishes = []
    if node.start.after_s:
        wishes.append(f"{node.start.after_s:g} s after the net")
    if node.start.height:
        ended = [name for name in node.start.of if answer["nodes"].get(name, {}).get("state") == "exited"]
        but = f" ({shorten(ended)} has exited)" if ended else ""
        wishes.append(f"at height {node.start.height} of {_groups(plan, node.start.of)}{but}")
    return "starts " + " and ".join(wishes) if wishes else ""


def _groups(plan: Plan, names: Sequence[str]) -> str:
    """Name whole groups by their name, as the topology does."""
    wanted, said = set(names), []
    for group in dict.fromkeys(node.group for node in plan.nodes if node.name in wanted):
        members = [node.name for node in plan.nodes if node.group == group]
        said += [group] if wanted.issuperset(members) else [name for name in members if name in wanted]
    return shorten(said)
