"""A kind's net-wide preparation, in a container of its own with no network."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path

import docker
import docker.errors

from stressnet.backends.docker import bodies
from stressnet.backends.docker.nodes import image_facts
from stressnet.compile.scope import KIND_FOLDER
from stressnet.errors import EnvironmentProblem, StageError
from stressnet.images.engine import create_container, explained
from stressnet.plan import Preparation

_LOG_LINES = 10
_SPOOL = 64 * 1024 * 1024


def run(engine: docker.APIClient, preparation: Preparation, origin: bodies.Origin, directory: Path) -> None:
    """Run the command and copy what it wrote into `directory`."""
    what = f"the preparation of kind {preparation.kind!r}"
    labels = origin.labels(**{bodies.LABEL_ROLE: "prepare"})
    try:
        facts = image_facts(engine, preparation.image, labels)
    except docker.errors.ImageNotFound:
        raise EnvironmentProblem(
            f"the engine does not have {preparation.image}",
            hints=(f"stressnet images build {preparation.kind}",),
        ) from None
    body = bodies.preparation(preparation.image, preparation.command, preparation.output, labels)
    with explained(what):
        made = create_container(engine, body)
        try:
            engine.put_archive(made, "/", _empty_folder(preparation.output, facts))
            if preparation.kind_dir:
                _put_kind(engine, made, Path(preparation.kind_dir), facts)
            engine.start(made)
            code = engine.wait(made)["StatusCode"]
            if code:
                said = engine.logs(made, tail=_LOG_LINES).decode(errors="replace").splitlines()
                raise StageError(f"{what} ended with {code}", hints=said)
            _fetch(engine, made, preparation.output, directory)
        finally:
            engine.remove_container(made, force=True, v=True)


def _empty_folder(path: str, facts: bodies.ImageFacts) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo(path.lstrip("/"))
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, 0o755, facts.uid, facts.gid
        archive.addfile(folder)
    return buffer.getvalue()


def _put_kind(engine: docker.APIClient, container: str, folder: Path, facts: bodies.ImageFacts) -> None:
    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname = facts.uid, facts.gid, "", ""
        return member

    with tempfile.SpooledTemporaryFile(_SPOOL) as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            archive.add(folder, KIND_FOLDER.lstrip("/"), filter=owned)
        file.seek(0)
        engine.put_archive(container, "/", file)


def _fetch(engine: docker.APIClient, container: str, source: str, directory: Path) -> None:
    chunks, _ = engine.get_archive(container, source)
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.SpooledTemporaryFile(_SPOOL) as file:
        for chunk in chunks:
            file.write(chunk)
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            for member in archive:
                _, _, below = member.name.partition("/")
                if below and (member.isfile() or member.isdir()):
                    archive.extract(member.replace(name=below, deep=False), directory, filter="data")
