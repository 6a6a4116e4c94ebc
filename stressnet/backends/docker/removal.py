"""Take everything of a net away, by its label alone, also what is half made."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import docker
import docker.errors

from stressnet.backends.docker import bodies
from stressnet.backends.docker.calls import Calls
from stressnet.backends.docker.found import Things, things_of
from stressnet.backends.docker.ownership import owner
from stressnet.errors import StageError
from stressnet.images.engine import explained

_PATIENCE_S = 60.0
_NETWORK_PATIENCE_S = 5.0
"""Engines before 28 may count the endpoints of a network wrong; then no patience helps (moby issue 17217)."""
_PAUSE_S = 0.05


async def remove_net(engine: docker.APIClient, net: str) -> None:
    """Remove until the engine shows nothing more: a killed command's last call may still be at work there."""
    deadline = time.monotonic() + _PATIENCE_S
    async with Calls() as calls:
        await calls.run(_mark_unfinished, engine, net, await calls.run(things_of, engine, net))
        while things := await calls.run(things_of, engine, net):
            if not things.containers and not things.volumes:
                deadline = min(deadline, time.monotonic() + _NETWORK_PATIENCE_S)
            if time.monotonic() > deadline:
                raise _stuck(net, things)
            await _one_round(calls, engine, things)


def _mark_unfinished(engine: docker.APIClient, net: str, things: Things) -> None:
    """From here on it is no whole net any more, also if we die half-way.

    The agent is found by its labels: under the name alone it may be that of another user's net.
    """
    agent = things.agent()
    if agent is None or f"/{bodies.agent_name(net)}" not in agent["Names"]:
        return
    with explained("renaming the agent's container"):
        try:
            engine.rename(agent["Id"], bodies.unfinished_agent_name(net))
        except docker.errors.APIError as error:
            if error.status_code not in (404, 409):  # gone, or being removed
                raise


async def _one_round(calls: Calls, engine: docker.APIClient, things: Things) -> None:
    """Try everything once. The agent is the last to go: until then its time to live guards what is left."""
    agent = things.agent()
    nodes = [item["Id"] for item in things.containers if item is not agent]
    await asyncio.gather(*(calls.run(remove_container, engine, item) for item in nodes))
    networks = [calls.run(_remove_network, engine, item["Id"]) for item in things.networks]
    agents = [calls.run(remove_container, engine, agent["Id"])] if agent else []
    gone = await asyncio.gather(*networks, *agents)
    # The volume goes with the agent; only one whose agent is gone already is left to us.
    left = things.volumes if agent is None else []
    gone += await asyncio.gather(*(calls.run(_remove_volume, engine, item["Name"]) for item in left))
    if not all(gone):
        await asyncio.sleep(_PAUSE_S)


def _stuck(net: str, things: Things) -> StageError:
    if things.containers:
        return StageError(
            f"the engine does not remove {len(things.containers)} containers of net {net!r}",
            hints=(f"see them: docker ps -a --filter label=stressnet.net={net}",),
        )
    names = ", ".join(item["Name"] for item in (*things.networks, *things.volumes))
    return StageError(
        f"the engine does not remove {names}, though nothing uses it any more",
        hints=(
            "engines were seen to miscount the users of a network when many leave it at once",
            f"restart the engine (systemctl restart docker), then: stressnet down {net}",
        ),
    )


def remove_kept(engine: docker.APIClient, net: str) -> int:
    """Remove the volumes with data that outlived the net; return how many there were."""
    with explained("listing kept data"):
        labels = [f"{bodies.LABEL_KEPT}={net}", f"{bodies.LABEL_OWNER}={owner()}"]
        found = engine.volumes(filters={"label": labels})["Volumes"] or []
    for volume in found:
        _remove_volume(engine, volume["Name"])
    return len(found)


def remove_container(engine: docker.APIClient, container: str) -> bool:
    """Remove a container, running or not; return whether it is gone."""
    return _gone(
        lambda: engine.remove_container(container, force=True, v=True), f"container {container[:12]}"
    )


def _remove_network(engine: docker.APIClient, network: str) -> bool:
    return _gone(lambda: engine.remove_network(network), f"network {network[:12]}")


def _remove_volume(engine: docker.APIClient, volume: str) -> bool:
    return _gone(lambda: engine.remove_volume(volume), f"volume {volume[:12]}")


def _gone(remove: Callable[[], None], what: str) -> bool:
    """Remove it; False where it is in use, or being removed already: that is for the next round."""
    with explained(f"removing {what}"):
        try:
            remove()
        except docker.errors.APIError as error:
            if error.status_code == 404:
                return True
            if error.status_code in (403, 409):
                return False
            raise
    return True
