"""Files of nodes are filled with what preparations left, whatever is written first."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import pytest

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.compile import compile_plan
from stressnet.engine.files import stage
from stressnet.errors import StageError
from stressnet.plan import Plan, Preparation
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

KIND = """\
name: chain
command: [sleep, "9"]
prepare: {command: [make], per_node: "n{kind_index}"}
files:
  keys/id: {template: "I know {knows_prepared:keys/id}"}
  peers.json: {patch: json, set: {peers: "{knows_prepared:keys/id}", deep: {text: "<{boot_prepared:keys/id}>"}}}
  escaped.txt: {template: "{{prepared:keys/id}} {prepared:keys/id}"}
  raw.txt: {copy: raw.txt, raw: true}
"""


class Made:
    """A backend whose preparation writes an identity for each node."""

    def __init__(self, *, leave_out: str = "") -> None:
        self._leave_out = leave_out

    async def prepare(self, preparation: Preparation, directory: Path) -> None:
        for node, source in preparation.sources.items():
            (directory / source / "keys").mkdir(parents=True)
            if node != self._leave_out:
                (directory / source / "keys" / "id").write_text(f"  id-of-{node}\n")


@pytest.fixture
def plan(tmp_path: Path, state_home: Path) -> Any:
    (tmp_path / "chain").mkdir()
    (tmp_path / "chain" / "kind.yaml").write_text(KIND)
    (tmp_path / "chain" / "raw.txt").write_text("{prepared:a/keys/id}")

    def make(settings: str = "") -> Plan:
        file = tmp_path / "t.yaml"
        file.write_text(f"name: net\nnodes: {{a: {{kind: chain{settings}}}, b: {{kind: chain{settings}}}}}\n")
        return compile_plan(load(file), Kinds([tmp_path]))

    yield make
    state.forget("net")


def staged(plan: Plan, backend: Made, names: str = "a b") -> dict[str, Path]:
    nodes = [plan.node(name) for name in names.split()]
    asyncio.run(stage(plan, nodes, cast(Backend, backend)))
    return {node.name: state.node_directory(plan.net, node) for node in plan.nodes}


def test_every_file_has_the_identities_that_were_prepared(plan: Any) -> None:
    folders = staged(plan(), Made())
    for name, other in (("a", "b"), ("b", "a")):
        peers = json.loads((folders[name] / "peers.json").read_text())
        assert peers == {"peers": [f"id-of-{other}"], "deep": {"text": "<id-of-a>"}}
        assert (folders[name] / "keys" / "id").read_text() == f"I know id-of-{other}"


def test_braces_that_are_meant_as_they_are_stay(plan: Any) -> None:
    folders = staged(plan(), Made())
    assert (folders["b"] / "raw.txt").read_text() == "{prepared:a/keys/id}"
    assert (folders["b"] / "escaped.txt").read_text() == "{prepared:keys/id} id-of-b"


def test_a_prepared_file_that_is_missing_is_named(plan: Any) -> None:
    with pytest.raises(StageError, match=r"kind 'chain' left no file 'keys/id' for node 'b'"):
        staged(plan(), Made(leave_out="b"))


def test_a_kept_identity_counts_before_a_new_one(plan: Any) -> None:
    kept = plan(", data: kept")
    folder = state.node_directory("net", kept.node("b")) / "keys"
    folder.mkdir(parents=True)
    (folder / "id").write_text("id-of-old")
    folders = staged(kept, Made())
    assert json.loads((folders["a"] / "peers.json").read_text())["peers"] == ["id-of-old"]


def test_disks_that_are_too_small_for_the_first_files_are_named(plan: Any) -> None:
    """All of them at once, with what is needed in whole pages; one that has the room is not."""
    small = plan(", disk: 64KiB")
    for name in ("a", "b"):
        folder = state.node_directory("net", small.node(name))
        folder.mkdir(parents=True)
        (folder / "chain").write_bytes(bytes(65_000))
    with pytest.raises(StageError, match=r"disk of a \(\d+KiB, and its disk has 64KiB\), b \(") as error:
        staged(small, Made())
    assert error.value.hints == ("raise `disk` in the topology",)
    assert staged(plan(", disk: 1MiB"), Made())
