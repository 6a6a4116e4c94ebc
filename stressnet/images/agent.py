"""The agent's image: this installation's own agent, so that it always matches the controller."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors

import stressnet
from stressnet import resources
from stressnet.images import base, cache, gate, relay
from stressnet.images.building import build, has
from stressnet.images.context import Context

REPOSITORY = "stressnet/agent"
LIBRARIES = ("h11", "jmespath", "prometheus_client")
"""What the agent imports beside the standard library. All of it is pure Python, so it runs on any base."""
PARTS = ("__init__.py", "errors.py", "plan.py", "faults", "record", "agent")

_YOUNG_S = 24 * 3600.0

Say = Callable[[str], None]


def tag() -> str:
    """Return the tag of the image that matches this installation."""
    files = [
        *_sources(),
        *gate.sources(),
        *relay.sources(),
        resources.folder("images") / "agent" / "Dockerfile",
    ]
    return f"{REPOSITORY}:{stressnet.__version__}-{cache.digest(files)}"


def ensure(engine: docker.APIClient, say: Say) -> str:
    """Return the tag of the agent's image, built first where the engine does not have it."""
    name = tag()
    if not has(engine, name):
        base.ensure(engine, say)
        say(f"building the image of the agent, {name}")
        build(
            engine,
            _context(engine.info()["Architecture"], say).finish(),
            name,
            labels={},
            arguments={"BASE": base.TAG},
        )
        _remove_others(engine, name)
    return name


def _remove_others(engine: docker.APIClient, current: str) -> None:
    """Remove the agents of earlier versions; the engine keeps those that a net still uses.

    Young ones stay: they may be another installation's, that works on the same engine.
    """
    for image in engine.images(name=REPOSITORY):
        if image["Created"] > time.time() - _YOUNG_S:
            continue
        for name in image["RepoTags"] or ():
            if name != current:
                with suppress(docker.errors.APIError):
                    engine.remove_image(name)


def _context(machine: str, say: Say) -> Context:
    context = Context()
    context.file(resources.folder("images") / "agent" / "Dockerfile", "Dockerfile")
    context.file(gate.binary(machine), "gate", 0o755)
    context.file(relay.binary(machine, say), relay.PROGRAM, 0o755)
    root = Path(stressnet.__file__).parent
    for path in _sources():
        context.file(path, f"python/stressnet/{path.relative_to(root)}")
    for name in LIBRARIES:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        context.folder(Path(found.origin).parent, f"python/{name}")
    return context


def _sources() -> list[Path]:
    root = Path(stressnet.__file__).parent
    parts = [root / part for part in PARTS]
    return [file for part in parts for file in (sorted(part.rglob("*.py")) if part.is_dir() else [part])]
