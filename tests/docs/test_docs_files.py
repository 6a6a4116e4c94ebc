"""Every topology and every kind that the documentation shows is right as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from docs_pages import Block, blocks, name, pages, sort

from stressnet.compile import compile_plan
from stressnet.engine.run.scenario import load_scenarios
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


def _all(what: str) -> list[Block]:
    return [block for block in _YAML if sort(_content(block)) == what]


def _of_fault_plans() -> list[Block]:
    """Parts of fault plans, on the page of the format."""
    return [block for block in _all("part") if block.page.name == "fault-plans.md"]


@pytest.fixture
def kinds(tmp_path: Path) -> Kinds:
    """The kinds of the documentation, beside our own."""
    for block in _all("kind"):
        folder = tmp_path / "kinds" / _content(block)["name"]
        folder.mkdir(parents=True)
        (folder / "kind.yaml").write_text(block.text)
    return Kinds([tmp_path / "kinds"])


@pytest.mark.parametrize(
    "block", [block for block in _all("topology") if block.mark != _WRONG_ON_PURPOSE], ids=_id
)
def test_a_topology_of_the_documentation_compiles(block: Block, tmp_path: Path, kinds: Kinds) -> None:
    file = tmp_path / "topology.yaml"
    file.write_text(block.text)
    assert compile_plan(load(file, ()), kinds).nodes


@pytest.mark.parametrize("block", _all("fault plan"), ids=_id)
def test_a_fault_plan_of_the_documentation_is_right(block: Block, tmp_path: Path) -> None:
    """All its variants, held against its net."""
    file = tmp_path / "plan.yaml"
    file.write_text(block.text)
    assert load_scenarios(file, backend="netns", check=False)


@pytest.mark.parametrize("block", _of_fault_plans(), ids=_id)
def test_a_part_of_a_fault_plan_is_right_within_the_first_of_its_page(block: Block, tmp_path: Path) -> None:
    whole = next(one for one in _all("fault plan") if one.page == block.page)
    (tmp_path / "whole.yaml").write_text(whole.text)
    file = tmp_path / "plan.yaml"
    file.write_text(f"include: [whole.yaml]\n{block.text}")
    assert load_scenarios(file, backend="netns", check=False)


@pytest.mark.parametrize("block", _all("kind"), ids=_id)
def test_a_kind_of_the_documentation_loads(block: Block, kinds: Kinds) -> None:
    assert kinds.load(_content(block)["name"]).kind.name == _content(block)["name"]


@pytest.mark.parametrize("block", _all("part"), ids=_id)
def test_a_fragment_has_only_keys_that_there_are(block: Block) -> None:
    keys = _content(block).keys()
    known = [
        {field.alias or key for key, field in model.model_fields.items()}
        for model in (Kind, Topology, Settings, FaultPlan)
    ]
    assert any(keys <= fields for fields in known), sorted(keys)


def test_the_documentation_shows_files_of_every_sort() -> None:
    assert len(_all("topology")) >= 3
    assert len(_all("kind")) >= 1
    assert len(_all("fault plan")) >= 1
    assert len(_of_fault_plans()) >= 5
