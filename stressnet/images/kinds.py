"""The images of kinds: the folder with the Dockerfile, and beside it what a build cannot fetch itself.

Put into the context: `site/` with the packages of `requirements.txt`, and `program/` with the kind's binary
where the kind says how to install it. The image is left alone while nothing of that has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors

from stressnet.errors import EnvironmentProblem, UsageError
from stressnet.images import base, cache, golang, wheels
from stressnet.images.building import build
from stressnet.images.context import Context
from stressnet.images.engine import explained, inspect_image
from stressnet.spec.kinds import Kinds, LoadedKind

LABEL_CONTENT = "stressnet.content"
LABEL_SOURCES = "stressnet.sources"
_TAIL = 5

Say = Callable[[str], None]


def buildable(kinds: Kinds) -> list[LoadedKind]:
    """Return the kinds that have both an image and a folder to build it from."""
    loaded = (kinds.load(name) for name in kinds.names())
    return [one for one in loaded if one.kind.build is not None and one.kind.image]


def chosen(kinds: Kinds, names: tuple[str, ...]) -> list[LoadedKind]:
    """Return the kinds of these names; UsageError where one has nothing to build."""
    known = {one.kind.name: one for one in buildable(kinds)}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is nothing to build for kind {name!r}",
                hints=(f"kinds with a build: {', '.join(known)}",),
            )
    return [known[name] for name in names] if names else list(known.values())


def ensure(engine: docker.APIClient, loaded: LoadedKind, say: Say, *, anew: bool = False) -> None:
    """Build a kind's image where it is missing or something of it has changed."""
    base.ensure(engine, say)
    image = loaded.kind.image or ""
    context = _context(engine, loaded, say).finish()
    parent = inspect_image(engine, base.TAG)["Id"]
    labels = {LABEL_SOURCES: sources(loaded)}
    content = hashlib.sha256(context.getvalue() + f"{parent} {labels}".encode()).hexdigest()[:12]
    if not anew and _content(engine, image) == content:
        say(f"{image}: as it should be")
        return
    say(f"{image}: building")
    build(engine, context, image, labels={LABEL_CONTENT: content, **labels}, arguments={"BASE": base.TAG})


def sources(loaded: LoadedKind) -> str:
    """Return a mark of the folder that a kind's image is built from: some milliseconds, where `ensure` takes longer."""
    context = Context()
    context.folder(loaded.directory / (loaded.kind.build or "."))
    return hashlib.sha256(context.finish().getvalue()).hexdigest()[:12]


def _content(engine: docker.APIClient, image: str) -> str:
    with explained(f"looking at image {image}"):
        try:
            labels = inspect_image(engine, image)["Config"]["Labels"] or {}
        except docker.errors.ImageNotFound:
            return ""
    return str(labels.get(LABEL_CONTENT, ""))


def _context(engine: docker.APIClient, loaded: LoadedKind, say: Say) -> Context:
    folder = loaded.directory / (loaded.kind.build or ".")
    if not (folder / "Dockerfile").is_file():
        raise EnvironmentProblem(f"kind {loaded.kind.name!r}: there is no {folder / 'Dockerfile'}")
    context = Context()
    context.folder(folder)
    requirements = folder / "requirements.txt"
    if requirements.is_file():
        with explained("asking the engine about its machine"):
            machine = engine.info()["Architecture"]
        context.folder(wheels.site(requirements, base.python_version(engine), machine), "site")
    if loaded.kind.install:
        installed = program(loaded, say)
        context.file(installed, f"program/{installed.name}", 0o755)
    return context


def program(loaded: LoadedKind, say: Say) -> Path:
    """Return the kind's program, installed as the kind says where it is not in our cache."""
    name = Path(loaded.kind.binary or loaded.kind.name).name
    path = cache.root() / "bin" / name
    command = list(loaded.kind.install or ())
    if not path.exists():
        say(f"getting {name}: {' '.join(command)}")
        if command[0] == "go":
            golang.install(command[1:])
        else:
            _run(command)
    found = path if path.exists() else Path(shutil.which(name) or path)
    if not found.exists():
        raise EnvironmentProblem(f"{' '.join(command)} did not bring the program {name}")
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise EnvironmentProblem(
            f"{' '.join(command)} failed with {done.returncode}", hints=done.stderr.splitlines()[-_TAIL:]
        )
