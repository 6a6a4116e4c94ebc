"""The pages about file formats say what the models say, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stressnet.compile import compile_plan
from stressnet.faultplan.document import FaultPlan
from stressnet.faultplan.reference import TABLES, with_tables
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load
from stressnet.spec.reference import BEGIN
from stressnet.spec.schema import schema, schema_of

DOCS = Path(__file__).parents[2] / "docs"


FORMATS = [schema("topology"), schema("kind"), schema_of(FaultPlan)]


@pytest.mark.parametrize("page", TABLES)
def test_a_page_has_the_tables_of_today(page: str) -> None:
    text = (DOCS / page).read_text()
    assert with_tables(page, text) == text, "run: python -m stressnet.faultplan.reference docs"


def test_every_page_with_marks_for_tables_has_tables() -> None:
    assert {page.name for page in DOCS.glob("*.md") if BEGIN in page.read_text()} == set(TABLES)


@pytest.mark.parametrize("body", FORMATS, ids=lambda body: body["title"])
def test_every_key_is_described(body: dict[str, Any]) -> None:
    for model in (body, *body["$defs"].values()):
        assert model.get("description")
        assert all(key.get("description") for key in model["properties"].values()), model["title"]


def test_every_reference_of_a_schema_leads_somewhere() -> None:
    for body in FORMATS:
        wanted = set(re.findall(r"'#/\$defs/(\w+)'", str(body)))
        assert wanted <= set(body["$defs"])


def blocks(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def test_the_first_kind_of_the_page_works(tmp_path: Path) -> None:
    kind, net = blocks("kinds.md")[:2]
    (tmp_path / "mychain").mkdir()
    (tmp_path / "mychain" / "kind.yaml").write_text(kind)
    (tmp_path / "first.yaml").write_text(net)
    plan = compile_plan(load(tmp_path / "first.yaml"), Kinds([tmp_path]), find=lambda name: f"/opt/{name}")
    assert plan.nodes[0].command == (
        "/opt/mychain", "--home", "/run/stressnet/nodes/node-1", "--listen", "198.18.60.2:30303",
        "--peers", "198.18.60.3:30303,198.18.60.4:30303,198.18.60.5:30303",
    )  # fmt: skip


def test_the_smallest_and_the_generic_topology_of_the_pages_work(tmp_path: Path) -> None:
    for text in (blocks("topology.md")[0], blocks("kinds.md")[-1]):
        (tmp_path / "net.yaml").write_text(text)
        assert compile_plan(load(tmp_path / "net.yaml")).nodes


def test_every_placeholder_is_on_the_page() -> None:
    from stressnet.spec.placeholders import WORDS

    text = (DOCS / "kinds.md").read_text()
    assert [word for word in sorted(WORDS) if f"`{{{word}" not in text] == []


def test_the_words_of_a_preparation_are_listed() -> None:
    from stressnet.spec.placeholders import NET_WIDE

    text = (DOCS / "kinds.md").read_text()
    listed = text.partition("these placeholders mean something: ")[2].partition(". It does")[0]
    assert set(re.findall(r"`\{([a-z_]+)", listed)) == NET_WIDE
