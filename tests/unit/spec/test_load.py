"""Variables, overrides and includes end in the same topology as if everything stood in one file."""

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.errors import InputError
from stressnet.spec.load import Loaded, load
from stressnet.spec.yamlfile import Mark

BASE = "name: net\nnodes:\n  a: {kind: generic, count: 2}\n"


def write(tmp_path: Path, text: str, name: str = "t.yaml") -> str:
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def loaded(tmp_path: Path, text: str, *sets: str, **environ: str) -> Loaded:
    return load(write(tmp_path, text), sets, environ)


@pytest.mark.parametrize(
    ("count", "environ", "expected"),
    [
        ("${N}", {"N": "3"}, 3),
        ("${N:-4}", {}, 4),
        ("${N:-4}", {"N": ""}, 4),
        ("${N:-4}", {"N": "5"}, 5),
        ('"${N:-4}"', {}, 4),
        ("${A}${B}", {"A": "1", "B": "2"}, 12),
    ],
)
def test_a_variable_is_typed_after_it_is_put_in(
    tmp_path: Path, count: str, environ: dict[str, str], expected: int
) -> None:
    text = f"name: net\nnodes:\n  a:\n    kind: generic\n    count: {count}\n"
    assert loaded(tmp_path, text, **environ).topology.nodes["a"].count == expected


def test_a_quoted_variable_within_text_stays_text(tmp_path: Path) -> None:
    text = 'name: net\nnodes: {a: {kind: generic, args: ["${N}", "n=${N}", "$${N}", "$N", "${V}"]}}\n'
    args = loaded(tmp_path, text, N="3", V="1.10").topology.nodes["a"].args
    assert args == ["3", "n=3", "${N}", "$N", "1.10"]


def test_a_value_cannot_bring_structure_in(tmp_path: Path) -> None:
    text = "name: net\nnodes:\n  a:\n    kind: generic\n    labels: {x: '${X}'}\n"
    assert loaded(tmp_path, text, X="{a: b}\nseed: 5").topology.nodes["a"].labels == {"x": "{a: b}\nseed: 5"}


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("nodes.a.count=20", lambda t: t.nodes["a"].count == 20),
        ("name=other", lambda t: t.name == "other"),
        ("nodes.a.start.after=20s", lambda t: t.nodes["a"].start.after == 20),
        ("nodes.b={kind: generic, count: 3}", lambda t: t.nodes["b"].count == 3),
        ("nodes.a.config.sync.concurrency=4", lambda t: t.nodes["a"].config == {"sync.concurrency": 4}),
        ("links=ring", lambda t: t.links.ring is not None),
        ("description=", lambda t: t.description == ""),
    ],
)
def test_a_setting_wins_over_the_file(tmp_path: Path, setting: str, read) -> None:  # type: ignore[no-untyped-def]
    assert read(loaded(tmp_path, BASE, setting).topology)


def test_a_setting_finds_a_key_with_dots(tmp_path: Path) -> None:
    text = "name: net\nnodes: {a: {kind: generic, config: {sync.concurrency: 8}}}\n"
    config = loaded(tmp_path, text, "nodes.a.config.sync.concurrency=4").topology.nodes["a"].config
    assert config == {"sync.concurrency": 4}


def test_a_setting_changes_an_item_of_a_list(tmp_path: Path) -> None:
    text = "name: net\nnodes: {a: {kind: generic, args: [x, y]}}\n"
    assert loaded(tmp_path, text, "nodes.a.args.1=z").topology.nodes["a"].args == ["x", "z"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nodes.a.count=0", "--set nodes.a.count: 0; allowed: 1 to 10000"),
        ("nodes.a.cout=2", "--set nodes.a.cout: unknown key"),
        ("nodes.a.count", "--set nodes.a.count: 'nodes.a.count' is not a setting; allowed: KEY.KEY=VALUE"),
        ("=4", "--set : '=4' is not a setting"),
        ("a..b=4", "--set a..b: 'a..b=4' is not a setting"),
        ("nodes.a.count=[", "--set nodes.a.count: not YAML"),
        ("nodes.a.args.3=x", "--set nodes.a.args.3: '3' is not in the list; allowed: 0 to 0"),
        ("." .join("a" * 60) + "=1", "is not a setting"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_refused_by_its_own_name(tmp_path: Path, setting: str, message: str) -> None:
    text = "name: net\nnodes: {a: {kind: generic, args: [x]}}\n"
    with pytest.raises(InputError) as refused:
        loaded(tmp_path, text, setting)
    assert message in str(refused.value)


def test_an_included_file_is_under_the_including_one(tmp_path: Path) -> None:
    write(
        tmp_path,
        "name: base\nseed: 5\nnodes:\n  a: {kind: generic, count: 2}\n  b: {kind: generic}\n",
        "base.yaml",
    )
    topology = loaded(tmp_path, "include: [base.yaml]\nname: net\nnodes:\n  a: {count: 7}\n").topology
    assert (topology.name, topology.seed) == ("net", 5)
    assert (topology.nodes["a"].kind, topology.nodes["a"].count) == ("generic", 7)
    assert list(topology.nodes) == ["a", "b"]


def test_a_choice_is_replaced_not_merged(tmp_path: Path) -> None:
    write(tmp_path, BASE + "links: {random: {degree: 1}}\n", "base.yaml")
    topology = loaded(tmp_path, "include: [base.yaml]\nlinks: {ring: {}}\n").topology
    assert topology.links is not None
    assert topology.links.model_fields_set == {"ring"}


def test_a_later_include_wins_and_a_file_may_be_included_twice(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path, BASE, "base.yaml")
    write(tmp_path, "include: [../base.yaml]\nseed: 1\n", "sub/one.yaml")
    write(tmp_path, "include: [../base.yaml]\nseed: 2\n", "sub/two.yaml")
    assert loaded(tmp_path, "include: [sub/one.yaml, sub/two.yaml]\n").topology.seed == 2


def test_a_mistake_in_an_included_file_is_placed_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "name: net\nnodes:\n  a: {kind: generic, count: 0}\n", "base.yaml")
    write(tmp_path, "include: [base.yaml]\n")
    with pytest.raises(InputError) as refused:
        load("t.yaml")
    assert str(refused.value).startswith("base.yaml:3:29: nodes.a.count: 0")


def test_many_includes_are_bounded(tmp_path: Path) -> None:
    for level in range(20):
        write(tmp_path, f"include: [l{level + 1}.yaml, l{level + 1}.yaml]\n", f"l{level}.yaml")
    write(tmp_path, BASE, "l20.yaml")
    with pytest.raises(InputError, match="more than 50 files"):
        load(str(tmp_path / "l0.yaml"))


def test_places_outlive_merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, BASE, "base.yaml")
    write(tmp_path, "include: [base.yaml]\nseed: 3\n")
    source = load("t.yaml", ["nodes.a.region=x"]).source
    assert source.place(("nodes", "a", "count")) == Mark("base.yaml", 3, 29)
    assert source.place(("seed",)) == Mark("t.yaml", 2, 7)
    assert source.place(("nodes", "a", "region")) == Mark("--set nodes.a.region")
