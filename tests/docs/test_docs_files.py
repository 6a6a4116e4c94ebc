"""Every topology and every kind that the documentation shows is right as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_pages import Block, blocks, name, pages

from stressnet.compile import compile_plan
from stressnet.faultplan.document import FaultPlan
from stressnet.spec.kind import Kind
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load
from stressnet.spec.topology import Settings, Topology

_YAML = [block for page in pages() for block in blocks(page) if block.language == "yaml"]
_WRONG_ON_PURPOSE = "wrong on purpose"


def _id(block: Block) -> str:
    return f"{name(block.page)}:{block.line}"


def _content(block: Block) -> dict[str, Any]:
    return yaml.safe_load(block.text)


def _topologies() -> list[Block]:
    return [block for block in _YAML if {"name", "nodes"} <= _content(block).keys()]


def _kinds() -> list[Block]:
    return [block for block in _YAML if "name" in _content(block) and "nodes" not in _content(block)]


def _fragments() -> list[Block]:
    return [block for block in _YAML if "name" not in _content(block)]


@pytest.fixture
def kinds(tmp_path: Path) -> Kinds:
    """The kinds of the documentation, beside our own."""
    for block in _kinds():
        folder = tmp_path / "kinds" / _content(block)["name"]
        folder.mkdir(parents=True)
        (folder / "kind.yaml").write_text(block.text)
    return Kinds([tmp_path / "kinds"])


@pytest.mark.parametrize(
    "block", [block for block in _topologies() if block.mark != _WRONG_ON_PURPOSE], ids=_id
)
def test_a_topology_of_the_documentation_compiles(block: Block, tmp_path: Path, kinds: Kinds) -> None:
    file = tmp_path / "topology.yaml"
    file.write_text(block.text)
    assert compile_plan(load(file, ()), kinds).nodes


@pytest.mark.parametrize("block", _kinds(), ids=_id)
def test_a_kind_of_the_documentation_loads(block: Block, kinds: Kinds) -> None:
    assert kinds.load(_content(block)["name"]).kind.name == _content(block)["name"]


@pytest.mark.parametrize("block", _fragments(), ids=_id)
def test_a_fragment_has_only_keys_that_there_are(block: Block) -> None:
    keys = _content(block).keys()
    known = [
        {field.alias or key for key, field in model.model_fields.items()}
        for model in (Kind, Topology, Settings, FaultPlan)
    ]
    assert any(keys <= fields for fields in known), sorted(keys)


def test_the_documentation_shows_topologies_and_kinds() -> None:
    assert len(_topologies()) >= 3
    assert len(_kinds()) >= 1
