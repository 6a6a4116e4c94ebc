"""Faults on a live net: everything is checked here before the agent does anything."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.engine.ending import to_its_end
from stressnet.engine.reconcile import begin_afresh, refuse_lost_preparations
from stressnet.errors import AgentError, InputError, Problem
from stressnet.faults.declared import with_declared
from stressnet.faults.fallback import INSTEAD
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind
from stressnet.faults.kinds import KINDS
from stressnet.plan import Plan, shorten
from stressnet.spec.fault import read_kind, read_parameters
from stressnet.spec.selectors import Observation
from stressnet.spec.targets import Aim, Links, Targets

LEASE_S = 10.0
RENEW_S = LEASE_S / 4
"""Between two signs of life: an agent that is being started again misses one or two."""
_HINTS = ("`stressnet fault kinds` lists faults and their parameters",)


@dataclass(frozen=True, slots=True)
class Wish:
    """A fault as a user asks for it."""

    kind: str
    parameters: tuple[str, ...]
    targets: Targets
    for_s: float = 0.0
    """Seconds; 0: until it is healed."""
    held: bool = False
    """Whether somebody will `hold` it: the agent heals it `LEASE_S` after the last sign of them."""

    def words(self) -> str:
        """Return it as it would be typed; its time stands elsewhere."""
        return shlex.join([self.kind, *self.targets.words(), *self.parameters])


@dataclass(frozen=True, slots=True)
class Standing:
    """A fault that the agent has, and what has become of it."""

    fault: Fault
    state: str
    """on, not achieved (it is on, and measured to be otherwise), failed (it should be on, and a node does not do it),
    ended (by its time), or healed."""
    since: float
    """Unix time."""
    until: float
    """Unix time, 0: until healed."""
    achieved: Mapping[str, Any]
    hits: int
    at_heal: Mapping[str, Any] = field(default_factory=dict)
    """Of one that is over, what was there of it when it was about to be taken off (see `Presence.to_raw`)."""

    @property
    def over(self) -> bool:
        """Whether nothing of it is on any more."""
        return self.state in ("ended", "healed")

    def to_raw(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        now = {"state": self.state, "since": self.since, "until": self.until}
        return {**self.fault.to_raw(), **now, "achieved": dict(self.achieved), "hits": self.hits}


def compose(wish: Wish, plan: Plan, observed: Observation, now: float, seed: int) -> Fault:
    """Return the fault that a wish means; InputError lists everything that is wrong with it. `now` is Unix time."""
    problems: list[Problem] = []
    kind = read_kind(wish.kind, problems, with_declared(plan.faults))
    aim = Aim(plan, observed, seed, problems)
    nodes: tuple[str, ...] = ()
    links: Links = ()
    if kind is None:
        aim.check(wish.targets)
        raise InputError(problems, hints=_HINTS)
    if kind.momentary and wish.for_s:
        problems.append(Problem("--for", 0, 0, "", f"{kind.name} is over at once", "no --for"))
    if kind.momentary and wish.held:
        problems.append(Problem("--hold", 0, 0, "", f"{kind.name} is over at once", "no --hold"))
    parameters = read_parameters(kind, wish.parameters, problems)
    if kind.layer in ("packet", "stream"):
        links = aim.links(kind, wish.targets)
    else:
        nodes = aim.nodes(kind, wish.targets)
    if begins_afresh(kind.name, parameters):
        problems.extend(_cannot_begin_afresh(plan, nodes))
    if kind.name == "disk_full":
        problems.extend(_without_disk(plan, nodes))
    if kind.layer == "protocol":
        problems += _not_declared(kind, plan, nodes)
    if problems:
        raise InputError(problems, hints=_HINTS)
    ends_at = now + wish.for_s if wish.for_s else 0.0
    return Fault("", kind.name, parameters, links, nodes, ends_at, wish.words())


def begins_afresh(kind: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a fault has nodes start with their first files alone."""
    return kind == "restart" and parameters.get("data") == "fresh"


def _cannot_begin_afresh(plan: Plan, names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        if plan.node(name).data == "kept":
            allowed = "nodes with `data: fresh`"
            yield Problem("data=fresh", 0, 0, "", f"{name} keeps its data, as the topology says", allowed)


def _without_disk(plan: Plan, names: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        if not plan.node(name).disk:
            yield Problem(
                "--on", 0, 0, "", f"{name} has no disk of its own", "nodes with `disk: SIZE` in the topology"
            )


def _not_declared(kind: FaultKind, plan: Plan, nodes: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem for each kind of node among these that does not declare a fault."""
    able = [one.node_kind for one in plan.faults if one.fault.name == kind.name]
    strangers: dict[str, list[str]] = {}
    for name in nodes:
        if plan.node(name).kind not in able:
            strangers.setdefault(plan.node(name).kind, []).append(name)
    for stranger, names in strangers.items():
        found = f"{shorten(names)} of the kind {stranger}, which declares no fault {kind.name!r}"
        yield Problem("--on", 0, 0, "", found, f"nodes of the kind {', '.join(able)}")


async def add(backend: Backend, plan: Plan, wish: Wish, seed: int) -> tuple[Fault, tuple[str, ...]]:
    """Put a fault on, and return it with its id, and what is to be said about how it is done."""
    async with await backend.connect() as agent:
        status = await agent.call("status")
        pairs = await agent.call("connected") if wish.targets.asks_connections() else ()
        fault = compose(wish, plan, observation(status, pairs), status["now"], seed)
        lease_s = LEASE_S if wish.held else 0.0
        if begins_afresh(fault.kind, fault.parameters):
            with state.locked(plan.net):
                refuse_lost_preparations(plan, set(fault.nodes))
                answer = await agent.call("fault_add", faults=[fault.to_raw()])
                await begin_afresh(plan, fault.nodes, backend)
        else:
            answer = await agent.call("fault_add", faults=[fault.to_raw()], lease_s=lease_s)
    return replace(fault, id=answer["ids"][0]), tuple(answer["notes"])


async def hold(backend: Backend, name: str) -> None:
    """Keep a fault on by renewing its lease, until cancelled, and then heal it; return when it is over by itself.

    Whatever becomes of this process, the agent heals the fault when the lease has run out.
    """
    renewed = time.monotonic()
    async with backend.keeping():
        try:
            while True:
                try:
                    if not await _renew(backend, name):
                        return
                    renewed = time.monotonic()
                except (
                    AgentError
                ):  # one that has died is started again; without a net there is nothing to hold
                    if time.monotonic() > renewed + LEASE_S:
                        raise
                await asyncio.sleep(RENEW_S)
        except asyncio.CancelledError:
            await to_its_end(_heal_quietly(backend, name))
            raise


async def _renew(backend: Backend, name: str) -> bool:
    """Renew a lease; return whether the fault is still on, which it may be where no agent answers just now."""
    async with await backend.connect() as agent:
        try:
            await agent.call("fault_renew", ids=[name], lease_s=LEASE_S)
        except AgentError:
            faults = [read_standing(raw) for raw in await agent.call("fault_list")]
            return any(one.fault.id == name and not one.over for one in faults)
    return True


async def _heal_quietly(backend: Backend, name: str) -> None:
    with suppress(InputError):  # it has just ended by itself
        await heal(backend, [name], everything=False)


def observation(status: Mapping[str, Any], connected: Sequence[Sequence[str]]) -> Observation:
    """Return what selectors can ask, of the agent's answers to `status` and `connected`.

    A node that is gone is not high.
    """
    alive = {
        name: now for name, now in status["nodes"].items() if now["state"] in ("starting", "ready", "waiting")
    }
    return Observation(
        heights={name: now["height"] for name, now in alive.items() if now["height"] is not None},
        peers={name: now["peers"] for name, now in alive.items() if now["peers"] is not None},
        connected=frozenset((source, target) for source, target in connected),
    )


async def standing(backend: Backend) -> list[Standing]:
    """Return the faults that the agent knows, in the order in which they were added."""
    async with await backend.connect() as agent:
        return [read_standing(raw) for raw in await agent.call("fault_list")]


def read_standing(raw: Mapping[str, Any]) -> Standing:
    """Read one entry of the agent's list."""
    return Standing(
        Fault.from_raw(raw),
        raw["state"],
        raw["since"],
        raw["until"],
        raw["achieved"],
        raw["hits"],
        raw.get("at_heal", {}),
    )


async def heal(backend: Backend, ids: Sequence[str], *, everything: bool) -> list[str]:
    """Heal these faults or all that are on, and return their ids; UsageError where one is not on."""
    async with await backend.connect() as agent:
        if everything:
            answer = await agent.call("fault_heal", everything=True)
        else:
            check_ids(ids, [read_standing(raw) for raw in await agent.call("fault_list")])
            answer = await agent.call("fault_heal", ids=list(dict.fromkeys(ids)))
    return list(answer["healed"])


def check_ids(ids: Sequence[str], faults: Sequence[Standing]) -> None:
    """Raise InputError with all ids of faults that are not there or over."""
    over = {
        one.fault.id: "has been healed" if one.state == "healed" else "has ended"
        for one in faults
        if one.over
    }
    on = [one.fault.id for one in faults if not one.over]
    problems = [
        Problem(name, 0, 0, "", f"this fault {over.get(name, 'is not there')}", ", ".join(on) or "none is on")
        for name in ids
        if name not in on
    ]
    if problems:
        raise InputError(problems)


async def check_relay(backend: Backend, node: str) -> None:
    """Reach the API of a node's relay once; AgentError where there is none."""
    async with await backend.connect() as agent:
        await agent.call("relay", node=node)


def here(kind: FaultKind, found: Mapping[str, str]) -> str:
    """Return whether a machine of these abilities (`doctor.abilities`) can do it: yes, by relay, no, or not tried."""
    if not kind.needs or found.get(kind.needs) == "":
        return "yes"
    if kind.name in INSTEAD and found.get(KINDS[INSTEAD[kind.name]].needs) == "":
        return "by relay"
    return "no" if kind.needs in found else "not tried"
