"""Placeholders are filled in; everything else in a text is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stressnet.spec.placeholders import Value, parse


def lookup(word: str, argument: str) -> Value:
    return {"name": "a-1", "port": 9000, "knows": ("x:1", "y:2")}[word]


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{name}", "a-1"),
        ("--peers={knows:p2p},", "--peers=x:1,y:2,"),
        (":{port:rpc}", ":9000"),
        ("{{name}}", "{name}"),
        ('{"a": {"b": "{name}"}}', '{"a": {"b": "a-1"}}'),
        ('{"port":{port:rpc}}', '{"port":9000}'),
        ("${HOME} {} { name } {Name}", "${HOME} {} { name } {Name}"),
        ("", ""),
    ],
)
def test_a_text_is_filled_in(text: str, filled: str) -> None:
    assert parse(text).text(lookup) == filled


def test_a_text_that_is_one_placeholder_keeps_its_type() -> None:
    assert parse("{port:rpc}").value(lookup) == 9000
    assert parse("{knows:p2p}").value(lookup) == ("x:1", "y:2")
    assert parse("{port:rpc} ").value(lookup) == "9000 "


@given(st.text())
def test_a_text_without_braces_is_itself(text: str) -> None:
    bare = text.replace("{", "").replace("}", "")
    assert parse(bare).text(lookup) == bare


def test_a_file_may_lie_below_folders() -> None:
    (one,) = parse("{prepared:keys/node-1.id}").placeholders
    assert (one.word, one.argument) == ("prepared", "keys/node-1.id")


def test_only_words_of_a_node_vary() -> None:
    assert parse("{address}").varies
    assert parse("{env:WHO}").varies
    assert parse("{boot_prepared:id}").varies
    assert not parse("{port:p2p} {net} {{address}}").varies
