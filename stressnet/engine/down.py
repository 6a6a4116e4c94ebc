"""Remove nets: one, all that were forgotten, or what a killed command left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from stressnet import state
from stressnet.backends.base import Backend, FoundNet
from stressnet.engine.choose import backend_for
from stressnet.engine.plans import plan_of
from stressnet.errors import AgentError, StressnetError
from stressnet.plan import Node


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of one net; `error` is empty where nothing of it is left."""

    net: str
    backend: str
    error: str = ""


async def down(net: FoundNet, *, data: bool = False) -> Removal:
    """Remove one net with all that is its own; what nodes keep (`data: kept`) only if `data`.

    Nodes whose data stays are asked to stop as their kind says; the others are killed, with what they wrote.
    """
    with state.locked(net.name):
        backend = backend_for(net.backend, net.name)
        if net.complete and not data:
            with suppress(AgentError):
                plan = await plan_of(net.name, backend)
                await stop_kept(plan.nodes, backend)
        await backend.destroy(data=data)
        state.forget(net.name)
    return Removal(net.name, net.backend)


async def stop_kept(nodes: Sequence[Node], backend: Backend) -> None:
    """Ask those of these nodes whose data stays to end in their own way, and wait until they have."""
    names = [node.name for node in nodes if node.data == "kept"]
    if names:
        async with await backend.connect() as agent:
            await agent.call("stop", names=names)


def remove_kept(name: str) -> bool:
    """Remove what the nodes of a net that is down have kept, on every backend; tell whether there was anything."""
    from stressnet.backends import docker

    here = state.kept_directory(name).is_dir()
    state.forget_kept(name)
    return docker.remove_kept(name) or here


async def prune(nets: Sequence[FoundNet]) -> list[Removal]:
    """Remove these nets, one after the other; one that fails does not stop the rest."""
    removals = []
    for net in nets:
        try:
            removals.append(await down(net))
        except StressnetError as error:
            removals.append(Removal(net.name, net.backend, error.message))
    return removals
