"""Put the files of nodes in place before anything runs: what the kind prepared, then what it renders or patches."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.errors import StageError
from stressnet.plan import File, Node, Plan, Preparation
from stressnet.spec.placeholders import PREPARED_TOKEN
from stressnet.spec.units import format_size


async def stage(plan: Plan, nodes: Sequence[Node], backend: Backend) -> None:
    """Fill the directories of these nodes. Preparations run first, in the backend, each once."""
    for preparation in plan.preparations:
        ours = [node for node in nodes if node.name in preparation.sources]
        if ours:
            await _prepare(plan, preparation, ours, backend)
    prepared = _Prepared(plan)
    # All are filled before any is written: a file may be read by others and written over.
    filled = [(node, [prepared.fill(node, file) for file in node.files]) for node in nodes]
    for node, files in filled:
        directory = state.node_directory(plan.net, node)
        directory.mkdir(parents=True, exist_ok=True)
        for file in files:
            write(directory, file)
    _check_room(plan, nodes)


def _check_room(plan: Plan, nodes: Sequence[Node]) -> None:
    """StageError with all nodes whose disks are too small for what has been written for them."""
    page = os.sysconf("SC_PAGE_SIZE")
    lacking = []
    for node in nodes:
        if node.disk:
            files = (path for path in state.node_directory(plan.net, node).rglob("*") if path.is_file())
            needed = sum(-(-path.stat().st_size // page) * page for path in files)
            if needed > node.disk:
                lacking.append(
                    f"{node.name} ({format_size(needed)}, and its disk has {format_size(node.disk)})"
                )
    if lacking:
        more = f" and {len(lacking) - 5} more" if lacking[5:] else ""
        raise StageError(
            f"the first files do not fit on the disk of {', '.join(lacking[:5])}{more}",
            hints=("raise `disk` in the topology",),
        )


async def _prepare(plan: Plan, preparation: Preparation, nodes: Sequence[Node], backend: Backend) -> None:
    output = state.net_directory(plan.net) / "prepare" / preparation.kind
    if not output.exists():
        await backend.prepare(preparation, output)
    for node in nodes:
        source = output / preparation.sources[node.name]
        if not source.is_dir():
            raise StageError(
                f"the preparation of kind {preparation.kind!r} made nothing for node {node.name!r}",
                hints=(f"expected a folder {preparation.sources[node.name]!r} below its output",),
            )
        directory = state.node_directory(plan.net, node)
        if node.data == "kept" and directory.exists():
            continue  # its identity and its chain belong together
        shutil.copytree(source, directory, dirs_exist_ok=True)


class _Prepared:
    """What preparations left in the directories of nodes: keys and names that only they know."""

    def __init__(self, plan: Plan) -> None:
        self._net = plan.net
        self._nodes = {node.name: node for node in plan.nodes}
        self._filled = {one.kind: frozenset(one.filled) for one in plan.preparations}
        self._texts: dict[tuple[str, str], str] = {}

    def fill(self, node: Node, file: File) -> File:
        """Return the file with the texts of prepared files in the places that the plan left for them."""
        if file.path not in self._filled.get(node.kind, ()):
            return file
        return replace(file, text=self._in(file.text), set=self._in(file.set))

    def _in(self, value: Any) -> Any:
        if isinstance(value, str):
            return PREPARED_TOKEN.sub(self._text, value)
        if isinstance(value, Mapping):
            return {key: self._in(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._in(item) for item in value]
        return value

    def _text(self, token: re.Match[str]) -> str:
        name, file = token[1], token[2]
        if name not in self._nodes:
            return token[0]  # braces that were meant as they are
        if (name, file) not in self._texts:
            self._texts[name, file] = self._read(self._nodes[name], file)
        return self._texts[name, file]

    def _read(self, node: Node, file: str) -> str:
        path = state.node_directory(self._net, node) / file
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a text"
            raise StageError(
                f"the preparation of kind {node.kind!r} left no file {file!r} for node {node.name!r}: {why}",
                hints=("other nodes know it by what that file says",),
            ) from None


def write(directory: Path, file: File) -> None:
    """Write one file of a node below its directory."""
    path = directory / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    text = file.text
    if file.patch:
        before = path.read_text() if path.exists() else ""
        text = _PATCHES[file.patch](before, file.set)
    path.write_text(text)
    path.chmod(file.mode)


def _patch_toml(text: str, values: Mapping[str, Any]) -> str:
    import tomlkit  # 20 ms, for the few kinds that patch TOML

    document = tomlkit.parse(text)
    _put_all(document, values)
    return tomlkit.dumps(document)


def _patch_json(text: str, values: Mapping[str, Any]) -> str:
    document = json.loads(text) if text else {}
    _put_all(document, values)
    return json.dumps(document, indent=2) + "\n"


def _patch_yaml(text: str, values: Mapping[str, Any]) -> str:
    import yaml

    document = yaml.safe_load(text) or {}
    _put_all(document, values)
    return yaml.safe_dump(document, sort_keys=False)


_PATCHES = {"toml": _patch_toml, "json": _patch_json, "yaml": _patch_yaml}


def _put_all(document: Any, values: Mapping[str, Any]) -> None:
    for dotted, value in values.items():
        *folders, last = dotted.split(".")
        place = document
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = value
