"""The first process of the agent's container: keeps the agent running, takes the net down at its end.

At the time to live there may be no controller, and no agent program either: so this process asks the engine
itself, through the engine's socket. That gives the container no power that it has not already (it sees all
processes of the machine, and may enter their namespaces); nodes never see the socket.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stressnet.agent.enginesocket import EngineError, EngineSocket
from stressnet.agent.init import supervise

_PR_SET_CHILD_SUBREAPER = 36
_AT_ONCE = 8
_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
_NETWORK_PATIENCE_S = 60.0
"""Engines before 28 may count the endpoints of a network wrong; then no patience helps (moby issue 17217)."""


def main(arguments: Sequence[str]) -> None:
    """`python -m stressnet.agent.dockerinit NET OWNER EXPIRES_AT DIRECTORY`."""
    net, owner, expires, directory = arguments
    expires_at = float(expires)
    # The container shares the machine's process ids, so orphans would go to the machine's process 1.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.umask(0o077)
    Path(directory).mkdir(parents=True, exist_ok=True)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    program = [sys.executable, "-m", "stressnet.agent", directory]
    supervise(
        lambda: os.execv(program[0], program),
        exits=f"{directory}/exits",
        expires_at=expires_at,
    )
    if expires_at and time.time() >= expires_at:
        asyncio.run(expire((f"stressnet.net={net}", f"stressnet.owner={owner}"), EngineSocket()))


async def expire(labels: Sequence[str], engine: EngineSocket) -> None:
    """Remove the net's containers and its network; this container and its volume go by themselves.

    Nobody else will do it: whatever the engine says, it is asked again until nothing is left.
    """
    pause = _PAUSE_S
    deadline = float("inf")
    while time.monotonic() < deadline:
        try:
            containers, networks = await _one_round(labels, engine)
        except OSError as error:
            sys.stderr.write(f"at the time to live: {error}\n")
        else:
            if not containers:
                deadline = min(deadline, time.monotonic() + _NETWORK_PATIENCE_S)
            if not containers and not networks:
                return
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_S)


async def _one_round(labels: Sequence[str], engine: EngineSocket) -> tuple[int, int]:
    """Try to remove everything once; return how many containers and networks there were."""
    containers = [
        item
        for item in await engine.containers(labels)
        if (item.get("Labels") or {}).get("stressnet.part") != "agent"
    ]
    limit = asyncio.Semaphore(_AT_ONCE)
    await asyncio.gather(
        *(_remove(limit, engine, f"/containers/{quote(item['Id'])}", force=1, v=1) for item in containers)
    )
    networks = await engine.networks(labels)
    await asyncio.gather(*(_remove(limit, engine, f"/networks/{quote(item['Id'])}") for item in networks))
    return len(containers), len(networks)


async def _remove(limit: asyncio.Semaphore, engine: EngineSocket, path: str, **query: Any) -> None:
    async with limit:
        try:
            await engine.call("DELETE", path, **query)
        except EngineError as error:
            if error.status != 404:
                sys.stderr.write(f"at the time to live: {error}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
