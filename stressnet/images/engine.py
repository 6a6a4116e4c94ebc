"""The engine's API: where it is, and its errors in words that a user can act on.

The low-level client of the Docker SDK is used throughout: the high-level one inspects every container that
it lists. The address is DOCKER_HOST or the local socket, never a context that somebody selected last week.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import docker
import docker.errors
import requests.exceptions
from docker.utils import kwargs_from_env
from requests.adapters import BaseAdapter

from stressnet.errors import EnvironmentProblem, StageError
from stressnet.images.ssh import SCHEME, SshAdapter

CONCURRENCY = 8
"""Calls at once. The engine gains nothing from more: it is bound by its own CPU and the kernel's locks."""
CALL_TIMEOUT_S = 120
"""A loaded engine was seen to take 20 s for one start; a dead one must not hang us for ever."""
_SSH_S = 20
"""The least that an engine behind ssh gets for its first answer: keys are exchanged before."""
SHOW_ENGINE = "docker version"
"""The command that shows whether an engine answers."""


def engine_address() -> str:
    """Return where the engine is asked for, for messages."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


class _Client(docker.APIClient):
    """The SDK's client, with two of its ways mended."""

    def __init__(self, *, ssh: SshAdapter | None = None, **options: Any) -> None:
        self._ssh = ssh
        super().__init__(**options)

    def get_adapter(self, url: Any) -> BaseAdapter:
        """Return what sends requests: of an engine behind ssh, the ssh program."""
        return self._ssh or super().get_adapter(url)

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Believe the CA of DOCKER_CERT_PATH also where the environment names another for the web.

        requests puts REQUESTS_CA_BUNDLE before what a session says (its issue 3829).
        """
        own = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, own, cert)


@cache
def connect() -> docker.APIClient:
    """Return the client of the engine, shared by all threads; EnvironmentProblem where none answers."""
    return fresh_client(CALL_TIMEOUT_S)


def fresh_client(timeout_s: int) -> docker.APIClient:
    """Return a client of its own; EnvironmentProblem where no engine answers in that time."""
    try:
        arguments = kwargs_from_env()
        address = arguments.get("base_url", "")
        if address.startswith(SCHEME):
            timeout_s = max(timeout_s, _SSH_S)
            adapter = SshAdapter(address, timeout_s, 2 * CONCURRENCY)
            return _Client(ssh=adapter, base_url="unix:///ssh", version="auto", timeout=timeout_s)
        return _Client(version="auto", timeout=timeout_s, max_pool_size=2 * CONCURRENCY, **arguments)
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        raise EnvironmentProblem(
            f"no Docker engine answers at {engine_address()}: {_words(error)}",
            hints=(
                f"see for yourself: {SHOW_ENGINE}",
                "start one: systemctl start docker (or scripts/install-docker on Debian, as root)",
                "an engine elsewhere: set DOCKER_HOST",
                "no engine is needed with: --backend netns",
            ),
        ) from error


def answers(timeout_s: int = 2) -> bool:
    """Return whether an engine answers within that time."""
    try:
        fresh_client(timeout_s).close()
    except EnvironmentProblem:
        return False
    return True


def inspect_image(engine: docker.APIClient, image: str) -> dict[str, Any]:
    """Return what the engine says of an image; docker.errors.ImageNotFound where it does not have it."""
    found: dict[str, Any] = engine.inspect_image(image)  # type: ignore[no-untyped-call]
    return found


def create_container(engine: docker.APIClient, body: Mapping[str, Any], name: str | None = None) -> str:
    """Make a container from a body of the engine's API; return its id."""
    made = engine.create_container_from_config(body, name)  # type: ignore[no-untyped-call]
    return str(made["Id"])


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn the engine's errors inside the block into one that says what was being done."""
    try:
        yield
    except docker.errors.APIError as error:
        raise StageError(f"{doing}: the engine says: {error.explanation or error}") from error
    except (requests.exceptions.RequestException, docker.errors.DockerException) as error:
        raise EnvironmentProblem(
            f"{doing}: the engine at {engine_address()} went away: {_words(error)}",
            hints=(f"see for yourself: {SHOW_ENGINE}",),
        ) from error


def _words(error: BaseException) -> str:
    """The innermost cause: the SDK wraps a refused connection five times."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or str(error)
