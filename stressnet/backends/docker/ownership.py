"""Whose the things on an engine are: an engine may serve several users, each with nets of their own."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker
import docker.errors

from stressnet import state
from stressnet.backends.docker import bodies
from stressnet.errors import StageError
from stressnet.images.engine import create_container

_MACHINE_ID = Path("/etc/machine-id")
_DIGITS = 12


def owner() -> str:
    """Return what stands for this user and state folder on this machine, as in the owner's label."""
    try:
        machine = _MACHINE_ID.read_text().strip()
    except OSError:
        machine = ""
    words = (machine or socket.gethostname(), str(os.getuid()), str(state.root().resolve()))
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:_DIGITS]


def create_named(engine: docker.APIClient, body: Mapping[str, Any], name: str) -> str:
    """Make a container of this name and return its id; StageError says who has the name, if it is taken."""
    try:
        return create_container(engine, body, name)
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        raise _name_taken(engine, name) from error


def _name_taken(engine: docker.APIClient, name: str) -> StageError:
    try:
        labels = engine.inspect_container(name)["Config"]["Labels"] or {}
    except docker.errors.APIError:
        labels = {}
    net = labels.get(bodies.LABEL_NET)
    if net and labels.get(bodies.LABEL_OWNER) != owner():
        return foreign_net(net)
    return StageError(
        f"the engine has a container of the name {name!r} already",
        hints=(f"see it: docker ps -a --filter name={name}",),
    )


def foreign_net(net: str) -> StageError:
    """Say that somebody else's net has this name on this engine."""
    return StageError(
        f"another user, or another state folder, has a net {net!r} on this engine",
        hints=(
            "give this net another name in its topology",
            f"see what the engine has: docker ps -a --filter label={bodies.LABEL_NET}={net}",
        ),
    )
