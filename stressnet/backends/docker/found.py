"""What of ours the engine has, known by labels alone. Nothing without our label is ever named here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import docker

from stressnet import state
from stressnet.backends.base import FoundNet
from stressnet.backends.docker import bodies
from stressnet.backends.docker.ownership import owner
from stressnet.errors import EnvironmentProblem, StressnetError, UsageError
from stressnet.images.engine import CALL_TIMEOUT_S, connect, explained, fresh_client
from stressnet.plan import Plan

_PATIENCE_S = 5


@dataclass(slots=True)
class Things:
    """All that carries one net's label: what the engine's lists say of it."""

    containers: list[dict[str, Any]] = field(default_factory=list)
    networks: list[dict[str, Any]] = field(default_factory=list)
    volumes: list[dict[str, Any]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.containers or self.networks or self.volumes)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Return the containers of nodes, by the node's name."""
        found = ((labels_of(item).get(bodies.LABEL_NODE), item) for item in self.containers)
        return {name: item for name, item in found if name}

    def agent(self) -> dict[str, Any] | None:
        """Return the agent's container."""
        return next(
            (item for item in self.containers if labels_of(item).get(bodies.LABEL_ROLE) == "agent"), None
        )

    def is_whole(self, net: str) -> bool:
        """Whether the agent runs, under the name that it has between the end of `up` and the begin of `down`."""
        agent = self.agent()
        return agent is not None and _runs(agent) and f"/{bodies.agent_name(net)}" in agent["Names"]


def things_of(engine: docker.APIClient, net: str | None = None, *, everyone: bool = False) -> Things:
    """Ask the engine for everything of a net of this user, or of `everyone`; of all nets where none is named.

    ValueError for what is no name of a net: an empty one would make the engine list, and us remove, everything.
    """
    if net is not None and not state.is_net_name(net):
        raise ValueError(f"{net!r} is no name of a net")
    labels = [bodies.LABEL_NET if net is None else f"{bodies.LABEL_NET}={net}"]
    labels += [] if everyone else [f"{bodies.LABEL_OWNER}={owner()}"]
    wanted = {"label": labels}
    with explained("listing what the engine has"):
        return Things(
            containers=engine.containers(all=True, filters=wanted),
            networks=engine.networks(filters=wanted),
            volumes=engine.volumes(filters=wanted)["Volumes"] or [],
        )


def labels_of(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the labels of a listed thing; engines write null for none."""
    return item.get("Labels") or {}


def found_nets(*, everyone: bool = False, patient: bool = False) -> list[FoundNet]:
    """Return this user's nets, or those of `everyone`, that the engine shows; none where no engine answers soon.

    `patient`: an engine may be as slow as in any other call, and EnvironmentProblem says that it does not answer.

    A folder of ours for a net that the engine does not show is a remain too: of an `up` that died before the
    engine heard of it, or a `down` after. What is past its time to live and has no agent any more, that would
    remove it, is removed here.
    """
    try:
        engine = fresh_client(CALL_TIMEOUT_S if patient else _PATIENCE_S)
    except EnvironmentProblem:
        if patient:
            raise
        return []
    with engine:
        nets = _by_net(things_of(engine, everyone=everyone))
    for net in set(state.nets()) - nets.keys():
        plan = state.read_plan(net)
        if plan is not None and plan.backend == "docker" and not _forget_expired(plan):
            nets[net] = Things()
    found = [_net(name, things) for name, things in sorted(nets.items())]
    return [net for net in found if not (_is_overdue(net, nets[net.name]) and _remove_overdue(net.name))]


def _is_overdue(net: FoundNet, things: Things) -> bool:
    """Whether its time has passed; an agent that runs has its own clock, and removes its net itself."""
    return bool(net.expires_at) and net.expires_at < time.time() and not _runs(things.agent())


def _remove_overdue(net: str) -> bool:
    """Remove a net of ours and return whether nothing of it is left; not while a command works on it."""
    from stressnet.backends.docker.removal import remove_net

    try:
        with state.locked(net), ThreadPoolExecutor(1) as thread:
            # In a thread of its own: whoever asks for the nets may be a coroutine.
            thread.submit(lambda: asyncio.run(remove_net(connect(), net))).result()
            state.forget(net)
    except (StressnetError, OSError):
        return False
    return True


def _forget_expired(plan: Plan) -> bool:
    """Drop our folder of a net that has ended itself: its agent cannot, it may be on another machine."""
    with contextlib.suppress(OSError, UsageError), state.locked(plan.net):
        written = (state.net_directory(plan.net) / "plan.json").stat().st_mtime
        if plan.ttl_s and written + plan.ttl_s < time.time():
            state.forget(plan.net)
            return True
    return False


def _by_net(everything: Things) -> dict[str, Things]:
    nets: dict[str, Things] = {}
    for part in ("containers", "networks", "volumes"):
        for item in getattr(everything, part):
            name = labels_of(item)[bodies.LABEL_NET]
            if state.is_net_name(name):
                getattr(nets.setdefault(name, Things()), part).append(item)
    return nets


def _net(name: str, things: Things) -> FoundNet:
    labels = next(_labels(things), {})
    return FoundNet(
        name=name,
        backend="docker",
        nodes=len(things.nodes()),
        complete=things.is_whole(name),
        created_at=float(labels.get(bodies.LABEL_CREATED, 0)),
        expires_at=float(labels.get(bodies.LABEL_EXPIRES, 0)),
        busy=state.is_locked(name),
    )


def _runs(agent: Mapping[str, Any] | None) -> bool:
    return agent is not None and agent["State"] == "running"


def _labels(things: Things) -> Iterator[Mapping[str, str]]:
    for item in (*things.containers, *things.networks, *things.volumes):
        yield labels_of(item)
