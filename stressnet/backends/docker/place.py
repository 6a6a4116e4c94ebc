"""The place of a net: the container of its agent, its volume, and a bridge if it has egress."""

from __future__ import annotations

import asyncio
import contextlib
import io
import ipaddress
import os
import socket
import stat
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import docker.errors

from stressnet.backends.docker import bodies
from stressnet.backends.docker.calls import Calls
from stressnet.backends.docker.description import disks_fault
from stressnet.backends.docker.found import labels_of, things_of
from stressnet.backends.docker.ownership import create_named, foreign_net, owner
from stressnet.errors import EnvironmentProblem, StageError
from stressnet.images import agent as agent_image
from stressnet.images import cache
from stressnet.images.engine import explained
from stressnet.plan import Plan

_ENGINE_SOCKET = "/var/run/docker.sock"
PROGRAMS = f"{bodies.VOLUME}/program"


@dataclass(frozen=True, slots=True)
class Place:
    """What the nodes of a net have in common on an engine."""

    origin: bodies.Origin
    volume: str
    """Name of the volume that the agent shares with the nodes."""


async def open_place(engine: docker.APIClient, plan: Plan, origin: bodies.Origin) -> Place:
    """Make the agent's container, with its volume, and a bridge for egress; `start_agent` is still to come."""
    async with Calls(3) as calls:
        # What was ours of that name has been removed before.
        asked = calls.run(things_of, engine, plan.net, everyone=True)
        image = calls.run(agent_image.ensure, engine, _say)
        there, name, facts = await asyncio.gather(asked, image, calls.run(_facts, engine))
        if there:
            raise foreign_net(plan.net)
        fault = disks_fault(facts)
        if fault and any(node.disk for node in plan.nodes):
            raise EnvironmentProblem(
                f"nodes cannot have disks of their own here: {fault}", hints=("leave out `disk`",)
            )
        work = [calls.run(_make_agent, engine, plan, origin, name, facts)]
        if plan.egress:
            work.append(calls.run(_make_network, engine, plan, origin))
        await asyncio.gather(*work)
        return await calls.run(find_place, engine, bodies.unfinished_agent_name(plan.net))


def find_place(engine: docker.APIClient, agent: str) -> Place:
    """Read from the agent's container what its net has in common."""
    # Not while it is being started: until then the engine answers nobody who asks about a container.
    with explained("looking at the agent's container"):
        found = engine.inspect_container(agent)
    mounts = (mount for mount in found["Mounts"] if mount["Destination"] == bodies.VOLUME)
    return Place(bodies.Origin.of(found["Config"]["Labels"]), str(next(mounts)["Name"]))


def start_agent(engine: docker.APIClient, plan: Plan) -> None:
    """Give the agent its plan, and start its container: 0.3 s, in which the first nodes can be made."""
    agent = bodies.unfinished_agent_name(plan.net)
    with explained("starting the agent's container"):
        engine.put_archive(agent, "/", _plan_archive(plan))
        engine.start(agent)


def finish_place(engine: docker.APIClient, net: str) -> None:
    """Give the agent's container its final name, which says that the net is whole."""
    with explained("naming the agent's container"), contextlib.suppress(docker.errors.NotFound):
        engine.rename(bodies.unfinished_agent_name(net), bodies.agent_name(net))


def _make_network(engine: docker.APIClient, plan: Plan, origin: bodies.Origin) -> None:
    body = bodies.network(plan, origin)
    with explained(f"making the network {body['name']}"):
        try:
            engine.create_network(**body)
        except docker.errors.APIError as error:
            taken = _overlapping(engine, plan.subnet)
            if not taken:
                raise
            raise StageError(
                f"the subnet {plan.subnet} of net {plan.net!r} overlaps {taken}",
                hints=("give this net another one in its topology, as in `subnet: 10.77.0.0/16`",),
            ) from error


def _overlapping(engine: docker.APIClient, subnet: str) -> str:
    """Say which network has part of the subnet, empty where none has."""
    wanted = ipaddress.ip_network(subnet)
    for network in engine.networks():
        for config in (network.get("IPAM") or {}).get("Config") or []:
            taken = ipaddress.ip_network(config.get("Subnet", "::/128"), strict=False)
            if taken.version == wanted.version and taken.overlaps(wanted):
                return f"{taken} of the network {network['Name']!r}{_whose(labels_of(network))}"
    return ""


def _whose(labels: Mapping[str, str]) -> str:
    net = labels.get(bodies.LABEL_NET)
    if not net:
        return ""
    if labels.get(bodies.LABEL_OWNER) != owner():
        return f" of another user's net {net!r}"
    return f" of net {net!r} (`stressnet down {net}` removes it)"


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201 - building an image takes seconds


def _facts(engine: docker.APIClient) -> dict[str, Any]:
    with explained("asking the engine about itself"):
        return engine.info()


def _make_agent(
    engine: docker.APIClient, plan: Plan, origin: bodies.Origin, image: str, facts: dict[str, Any]
) -> None:
    body = bodies.agent(plan, origin, image, engine_socket(facts), security=_security(facts))
    with explained("making the agent's container"):
        create_named(engine, body, bodies.unfinished_agent_name(plan.net))


def _security(facts: Mapping[str, Any]) -> set[str]:
    """Return the names of the engine's security options, which it writes as in `name=seccomp,profile=default`."""
    options = facts.get("SecurityOptions") or ()
    return {option.partition(",")[0].removeprefix("name=") for option in options}


def engine_socket(facts: dict[str, Any]) -> str:
    """Return the path of the engine's own socket on the engine's machine."""
    address = os.environ.get("DOCKER_HOST", "")
    path = address.removeprefix("unix://")
    here = facts.get("Name") == socket.gethostname()
    if (
        address.startswith("unix://")
        and here
        and os.path.exists(path)
        and stat.S_ISSOCK(os.stat(path).st_mode)
    ):
        return os.path.realpath(path)
    return _ENGINE_SOCKET


def _plan_archive(plan: Plan) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo(bodies.AGENT_DIRECTORY.lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(folder)
        text = plan.to_json().encode()
        member = tarfile.TarInfo(f"{bodies.AGENT_DIRECTORY}/plan.json".lstrip("/"))
        member.size, member.mode = len(text), 0o600
        archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def put_program(engine: docker.APIClient, agent: str, program: Path) -> str:
    """Put a program of this machine into the net's volume, once; return its path in the nodes' containers.

    In the volume, not in the containers: 100 nodes share one copy.
    """
    name = f"{cache.digest([program])}/{program.name}"
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w") as archive, program.open("rb") as file:
            member = tarfile.TarInfo(f"program/{name}")
            member.size, member.mode = program.stat().st_size, 0o755
            archive.addfile(member, file)
    except OSError as error:
        raise EnvironmentProblem(f"the program {program} cannot be read: {error.strerror}") from error
    with explained(f"putting {program} into the net"):
        engine.put_archive(agent, bodies.VOLUME, buffer.getvalue())
    return f"{PROGRAMS}/{name}"
