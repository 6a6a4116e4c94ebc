"""Nets in containers of a Docker engine, one container a node, each held at a gate by the net's agent.

`backend` has the verbs; `bodies` says what is asked of the engine; `found` reads back what is there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from stressnet.backends.base import FoundNet

if TYPE_CHECKING:
    from stressnet.backends.docker.backend import DockerBackend
    from stressnet.spec.kinds import LoadedKind

__all__ = ["DockerBackend", "describe_engine", "found_nets", "has_images", "remove_kept"]

_USUAL_SOCKET = "/var/run/docker.sock"
_PATIENCE_S = 2.0


def found_nets(*, everyone: bool = False, patient: bool = False) -> list[FoundNet]:
    """Return this user's nets, or those of `everyone`, whole or in parts; none where no engine answers soon.

    `patient`: EnvironmentProblem says so, and not before an engine has had as long as for any other call.
    """
    # Asked before the SDK is imported, which takes longer than all the rest on a machine without an engine.
    if not patient and not _may_have_engine():
        return []
    from stressnet.backends.docker.found import found_nets as ask_engine

    return ask_engine(everyone=everyone, patient=patient)


def has_images(images: Mapping[str, LoadedKind | None]) -> bool:
    """Tell whether an engine answers and has all these images, as new as the kind whose own they are."""
    if not _may_have_engine():
        return False
    from stressnet.backends.docker.description import has_images as ask_engine

    return ask_engine(images)


def remove_kept(net: str) -> bool:
    """Remove the volumes that a net's nodes have kept; tell whether there were any."""
    if not _may_have_engine():
        return False
    from stressnet.backends.docker.removal import remove_kept as ask_engine
    from stressnet.images.engine import answers, connect

    return answers() and ask_engine(connect(), net) > 0


def describe_engine() -> list[tuple[str, str, str, str]]:
    """Return (name, fault, found, remedy) of the engine and of our images."""
    fault = _engine_fault()
    if fault:
        return [("engine", fault, "", "systemctl start docker, or scripts/install-docker on Debian as root")]
    from stressnet.backends.docker.description import describe_engine as ask_engine

    return list(ask_engine())


def _may_have_engine() -> bool:
    return not _engine_fault()


def _engine_fault() -> str:
    """Say why it is not worth importing the SDK: a dead local socket is found out at once, and leaks nothing."""
    address = os.environ.get("DOCKER_HOST") or f"unix://{_USUAL_SOCKET}"
    if not address.startswith("unix://"):
        return ""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError as error:
            return f"no Docker engine answers at {address}: {error.strerror or error}"
    return ""


def __getattr__(name: str) -> Any:
    if name == "DockerBackend":
        from stressnet.backends.docker.backend import DockerBackend

        return DockerBackend
    raise AttributeError(name)
