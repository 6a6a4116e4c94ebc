"""Bring a live net into line with a changed topology, and touch nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.engine.down import stop_kept
from stressnet.engine.plans import plan_of
from stressnet.engine.up import Report, add, is_late, wait_ready
from stressnet.errors import UsageError
from stressnet.plan import Node, Plan

_FIXED = ("backend", "subnet", "gateway", "egress")
_LIVE = ("latencies", "sampling")


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between a live net and its new plan, as names of nodes."""

    missing: tuple[str, ...]
    """To start: new in the plan, or ended; what ended goes on with its data."""
    gone: tuple[str, ...]
    """To remove: no longer in the plan."""
    changed: tuple[str, ...]
    """To remove and start again: described differently."""
    settings: tuple[str, ...] = ()
    """Of the net as a whole: what the agent is given anew, while nodes go on."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.gone or self.changed or self.settings)


def compare(before: Plan, after: Plan, observed: Mapping[str, Mapping[str, Any]]) -> Changes:
    """Say what must happen; UsageError where the net itself would have to change."""
    for name in _FIXED:
        if getattr(before, name) != getattr(after, name):
            raise UsageError(
                f"{name} of net {after.net!r} has changed from {getattr(before, name)} to {getattr(after, name)}",
                hints=("that needs a new net: --replace",),
            )
    _refuse_other_control(before, after)
    _refuse_other_preparations(before, after)
    old = {node.name: node for node in before.nodes}
    new = {node.name: node for node in after.nodes}
    changed = {name for name in old.keys() & new.keys() if _essence(old[name]) != _essence(new[name])}
    living = {name for name, now in observed.items() if now["state"] not in ("exited", "absent", "refused")}
    return Changes(
        missing=tuple(
            name for name in new if name not in changed and (name not in old or name not in living)
        ),
        gone=tuple(name for name in old if name not in new),
        changed=tuple(name for name in new if name in changed),
        settings=tuple(name for name in _LIVE if getattr(before, name) != getattr(after, name)),
    )


def _refuse_other_control(before: Plan, after: Plan) -> None:
    """Connections that are open go by relays or directly; what leads them otherwise from now on would cut them all."""
    if bool(before.relay) != bool(after.relay):
        now, then = ("are", "not") if before.relay else ("are not", "")
        raise UsageError(
            f"streams of net {after.net!r} {now} led through relays, and those of the new plan are {then}".rstrip(),
            hints=("that needs a new net: --replace", "`interpose` in the topology says whether they are"),
        )


def _refuse_other_preparations(before: Plan, after: Plan) -> None:
    """What a kind prepared once, identities and a first block, is known to all its nodes: it cannot be amended."""
    done = {preparation.kind: preparation for preparation in before.preparations}
    for preparation in after.preparations:
        earlier = done.get(preparation.kind)
        if earlier and not preparation.sources.items() <= earlier.sources.items():
            raise UsageError(
                f"net {after.net!r} was prepared for other nodes of kind {preparation.kind!r}: none can be added",
                hints=("that needs a new net: --replace",),
            )


def refuse_lost_preparations(before: Plan, names: Set[str]) -> None:
    """Raise UsageError where nodes cannot be made again: what their kinds prepared lies where `up` was called.

    Prepared anew it would be another first block.
    """
    for preparation in before.preparations:
        made = state.net_directory(before.net) / "prepare" / preparation.kind
        lost = sorted(names & preparation.sources.keys())
        if lost and not made.exists():
            raise UsageError(
                f"what kind {preparation.kind!r} prepared for {lost[0]!r} is not on this machine",
                hints=("a new net gets new keys and a new first block: --replace",),
            )


def _essence(node: Node) -> Node:
    """A node without its place among the others, which moves when they come and go; what of it matters to the
    node is in its command, environment and files."""
    return replace(node, index=0, kind_index=0, knows=())


async def _remove(plan: Plan, names: Sequence[str], backend: Backend) -> None:
    """Remove nodes with their data, unless that is kept: what starts in their place starts afresh."""
    await stop_kept([plan.node(name) for name in names], backend)
    await backend.remove(names)
    for name in names:
        node = plan.node(name)
        if node.data == "fresh":
            shutil.rmtree(state.node_directory(plan.net, node), ignore_errors=True)


async def begin_afresh(plan: Plan, names: Sequence[str], backend: Backend) -> None:
    """Make nodes again, with their first files and nothing else, and release them; their logs go with the rest.

    The net must be locked, and what their kinds prepared be there.
    """
    await _remove(plan, names, backend)
    await add(plan, [plan.node(name) for name in names], backend, _Nobody())


class _Nobody:
    """Nobody wants to know how far it has come."""

    def step(self, name: str, done: int, total: int) -> None:
        """Say nothing."""


async def reconcile(plan: Plan, backend: Backend, report: Report) -> Changes:
    """Remove, replan, add; the rest of the net goes on undisturbed."""
    with state.locked(plan.net):
        before = await plan_of(plan.net, backend)
        plan = replace(plan, ttl_s=before.ttl_s)  # a net's end is set when it is made
        async with await backend.connect() as agent:
            observed = (await agent.call("status"))["nodes"]
        changes = compare(before, plan, observed)
        refuse_lost_preparations(before, {*changes.missing, *changes.changed})
        await _remove(before, [*changes.gone, *changes.changed], backend)
        state.write_plan(plan)
        await backend.replan(plan)
        fresh = [node for node in plan.nodes if node.name in {*changes.missing, *changes.changed}]
        await add(plan, fresh, backend, report)
        await wait_ready(plan, [node for node in fresh if not is_late(node)], backend, report)
    return changes
