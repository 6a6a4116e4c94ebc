"""The containers of nodes: images are looked at once, files put in before the start."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import docker.errors

from stressnet.backends.docker import bodies
from stressnet.backends.docker.found import labels_of
from stressnet.backends.docker.ownership import create_named, owner
from stressnet.backends.docker.place import Place, put_program
from stressnet.compile.programs import PROGRAM_ROOT
from stressnet.errors import EnvironmentProblem, StageError
from stressnet.images.engine import create_container, explained, inspect_image
from stressnet.plan import Node, Plan


class Containers:
    """Makes the containers of one net's nodes. Every method blocks and may be called from several threads."""

    def __init__(self, engine: docker.APIClient, plan: Plan, place: Place, agent: str) -> None:
        self._engine = engine
        self._plan = plan
        self._origin = place.origin
        self._volume = place.volume
        self._agent = agent
        self._facts: dict[str, bodies.ImageFacts] = {}
        self._programs: dict[str, str] = {}

    def look(self, nodes: Sequence[Node]) -> None:
        """Read what images say of themselves, and put local programs in, before any container is made."""
        missing = []
        labels = self._origin.labels(**{bodies.LABEL_ROLE: "look"})
        for image in dict.fromkeys(node.image for node in nodes):
            try:
                self._facts[image] = image_facts(self._engine, image, labels)
            except docker.errors.ImageNotFound:
                missing.append(image)
        if missing:
            raise missing_images(missing, nodes)
        for program in dict.fromkeys(node.binary for node in nodes if node.binary):
            self._programs[program] = put_program(self._engine, self._agent, Path(program))

    def create(self, node: Node, directory: Path) -> str:
        """Make a node's container, with the files that lie in `directory`; return its id."""
        facts = self._facts[node.image]
        body = bodies.node(self._plan, self._with_program(node), self._origin, facts, self._volume)
        if not body["Cmd"]:
            raise StageError(
                f"node {node.name!r}: its image {node.image} has no command, and its kind gives none"
            )
        only = {file.path for file in node.files} if self._has_kept_data(node) else None
        with explained(f"making the container of node {node.name!r}"):
            made = create_named(self._engine, body, bodies.container_name(self._plan.net, node.name))
            # The agent brings them to the node's disk, and gives them to the node there.
            owner_of_files = replace(facts, uid=0, gid=0) if node.disk else facts
            content = files_archive(node, directory, owner_of_files, only=only)
            if content:
                self._engine.put_archive(made, "/", content)
        return made

    def start(self, node: Node, container: str) -> None:
        """Start a node's container: it comes to its gate."""
        with explained(f"starting the container of node {node.name!r}"):
            self._engine.start(container)

    def restart(self, node: Node, container: str) -> None:
        """Start a node's container again with all its data: it comes to its gate anew."""
        with explained(f"starting the container of node {node.name!r} again"):
            self._engine.restart(container, timeout=0)

    def _has_kept_data(self, node: Node) -> bool:
        """Whether an earlier net left data for this node: its state must not be set back to the beginning."""
        if node.data != "kept":
            return False
        with explained(f"looking for the data of node {node.name!r}"):
            name = bodies.kept_volume(self._plan.net, node.name)
            found = self._engine.volumes(filters={"name": f"^{name}$"})["Volumes"] or []
        if any(labels_of(volume).get(bodies.LABEL_OWNER) != owner() for volume in found):
            raise StageError(
                f"the volume {name} belongs to a net {self._plan.net!r} of another user, or of another state folder",
                hints=("give this net another name in its topology",),
            )
        return bool(found)

    def _with_program(self, node: Node) -> Node:
        if not node.binary:
            return node
        asked, real = f"{PROGRAM_ROOT}/{Path(node.binary).name}", self._programs[node.binary]
        command = tuple(word.replace(asked, real) for word in node.command) or (real,)
        return replace(
            node, command=command, env={key: text.replace(asked, real) for key, text in node.env.items()}
        )


def image_facts(engine: docker.APIClient, image: str, labels: Mapping[str, str]) -> bodies.ImageFacts:
    """Return what matters of an image; docker.errors.ImageNotFound where the engine does not have it.

    A container that has to be made for that gets the labels.
    """
    found = inspect_image(engine, image)
    config: dict[str, Any] = found.get("Config") or {}
    uid, gid = _user(engine, image, config.get("User") or "", labels)
    return bodies.ImageFacts((*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())), uid, gid)


def _user(engine: docker.APIClient, image: str, user: str, labels: Mapping[str, str]) -> tuple[int, int]:
    name, _, group = user.partition(":")
    if name in ("", "0", "root"):
        return 0, 0
    if name.isdigit():
        return int(name), int(group) if group.isdigit() else 0
    for line in _passwd(engine, image, labels).splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 3:
            return int(fields[2]), int(fields[3])
    return 0, 0


def _passwd(engine: docker.APIClient, image: str, labels: Mapping[str, str]) -> str:
    """Read an image's /etc/passwd, by way of a container that is never started."""
    body = {"Image": image, "Cmd": ["none"], "Labels": dict(labels)}
    with explained(f"reading the users of image {image}"):
        made = create_container(engine, body)
        try:
            chunks, _ = engine.get_archive(made, "/etc/passwd")
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                file = archive.extractfile("passwd")
                return file.read().decode(errors="replace") if file else ""
        except docker.errors.NotFound:
            return ""
        finally:
            engine.remove_container(made, force=True, v=True)


def missing_images(images: Sequence[str], nodes: Sequence[Node]) -> EnvironmentProblem:
    """Say which images the engine lacks and how to get each."""
    hints = []
    for image in images:
        own = image.startswith("stressnet/")
        # Not the node's own kind: any kind may run the image of another.
        kind = image.removeprefix("stressnet/").partition(":")[0]
        hints.append(f"stressnet images build {kind}" if own else f"docker pull {image}")
    return EnvironmentProblem(f"the engine does not have {', '.join(images)}", hints=hints)


def files_archive(
    node: Node, directory: Path, facts: bodies.ImageFacts, *, only: Collection[str] | None = None
) -> bytes:
    """Return the tar of a node's directory, or of `only` these files of it, owned by the image's user.

    Empty where there is nothing to bring: the gate makes an empty directory itself, if it runs as root.
    """
    files = sorted(directory.rglob("*")) if directory.is_dir() else []
    if only is not None:
        files = [path for path in files if str(path.relative_to(directory)) in only]
    if not files and not facts.uid:
        return b""
    buffer = io.BytesIO()
    root = node.directory.lstrip("/")

    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid, member.gid, member.uname, member.gname = facts.uid, facts.gid, "", ""
        return member

    with tarfile.open(fileobj=buffer, mode="w") as archive:
        folder = tarfile.TarInfo(root)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(owned(folder))
        for path in files:
            archive.add(path, f"{root}/{path.relative_to(directory)}", recursive=False, filter=owned)
    return buffer.getvalue()
