"""YAML means what it looks like, and every value knows its place."""
# ruff: noqa: E501 - tables of cases read best in one line each

from __future__ import annotations

import pytest

from stressnet.errors import Problem
from stressnet.spec.yamlfile import Mark, Tree, parse_yaml, typed


def parse(text: str) -> Tree:
    problems: list[Problem] = []
    tree = parse_yaml(text, "f", problems)
    assert not problems
    return tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None), ("8", 8), ("-8", -8), ("0", 0), ("1.5", 1.5), ("1e3", 1000.0),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("True", "True"), ("010", "010"), ("0x10", "0x10"), ("0o10", "0o10"), ("10:30", "10:30"),
        ("1_000", "1_000"), ("2026-11-22", "2026-11-22"), ("+5", "+5"), (".inf", ".inf"), ("1e999", "1e999"), ("80ms", "80ms"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_only_booleans_null_and_decimal_numbers_are_typed(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)


def test_quotes_keep_a_text_a_text() -> None:
    assert parse("[\"1\", 'true', \"\", '~']").data() == ["1", "true", "", "~"]


def test_keys_and_values_know_their_places() -> None:
    tree = parse("a:\n  b: [x,\n   y]\n")
    below = tree.value["a"].value["b"]  # type: ignore[index, call-overload, union-attr]
    assert below.key_at == Mark("f", 2, 3)
    assert below.value[1].at == Mark("f", 3, 4)


def test_columns_count_characters_not_bytes() -> None:
    tree = parse("é: {ü: x}")
    assert tree.value["é"].value["ü"].at == Mark("f", 1, 8)  # type: ignore[index, call-overload, union-attr]


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from stressnet.spec.yamlfile import read_yaml

    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: net\n")
    assert read_yaml(str(path), []).data() == {"name": "net"}


def test_anchors_are_expanded() -> None:
    assert parse("a: &x {b: 1}\nc: *x\n").data() == {"a": {"b": 1}, "c": {"b": 1}}


def test_merged_keys_give_way_to_own_keys() -> None:
    text = "base: &b {x: 1, y: 2}\nmore: &m {z: 3}\none: {<<: *b, x: 9}\ntwo: {<<: [*b, *m]}\n"
    data = parse(text).data()
    assert data["one"] == {"x": 9, "y": 2}
    assert data["two"] == {"x": 1, "y": 2, "z": 3}


def test_a_mistake_does_not_hide_the_next() -> None:
    problems: list[Problem] = []
    parse_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\nd: *x\n", "f", problems)
    assert [(one.line, one.column) for one in problems] == [(2, 1), (3, 11), (4, 4)]
