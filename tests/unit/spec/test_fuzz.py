"""Whatever is written, the loader and the compiler answer with a plan or with InputError."""
# ruff: noqa: E501 - tables of cases read best in one line each

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stressnet.compile import compile_plan, meaning_of
from stressnet.errors import InputError, Problem
from stressnet.resources import folder
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

TOPOLOGIES = sorted(folder("topologies").glob("*.yaml"))
KINDS = Kinds()
PIECES = [
    "nodes", "count", "0", "-1", "99999999", "true", "null", "~", "", "{}", "[]", ": ", "- ", "\n", "  ", "\t", "\r", "'", '"', "${A}", "${", "$${", "*a", "&a ", "<<: ",
    "!!x ", "%", "@", "80ms", "-1s", "1e400", "é", "\x00", "\ud7ff", "\U0001f600", "../..", "--x", "{name}", "{", "}", "[", "]", "#", "random", "degree", "full",
    "start: {height: 3, of: '*'}", "links: [[a, b]]", "include: [x.yaml]", "---\n", "|\n", ">-\n", "? ",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    text = draw(st.sampled_from(TOPOLOGIES)).read_bytes()
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=4)).encode("utf-8", "surrogatepass")
        text = text[:start] + piece + text[end:]
    return text


def survives(path: Path, sets: tuple[str, ...] = ()) -> None:
    problems = refused(path, sets)
    assert problems is None or (problems and all(str(problem) for problem in problems))


def refused(path: Path, sets: tuple[str, ...]) -> tuple[Problem, ...] | None:
    try:
        compile_plan(
            load(path, sets, environ={"A": "7"}, also=meaning_of), KINDS, find=lambda name: None
        ).to_json()
    except InputError as error:
        return error.problems
    return None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "fuzz.yaml"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutated())
def test_a_mutated_topology_is_compiled_or_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    survives(file)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_noise_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    survives(file)


@settings(max_examples=150)
@given(st.text(max_size=30) | st.sampled_from(PIECES), st.text(max_size=30) | st.sampled_from(PIECES))
def test_any_setting_is_taken_or_refused(key: str, value: str) -> None:
    survives(folder("topologies") / "cometbft.yaml", (f"{key}={value}", f"nodes.{key}={value}", value))


def test_a_surrogate_in_the_environment_is_harmless(file: Path) -> None:
    file.write_text("name: net\nnodes: {a: {kind: generic, args: ['${A}']}}\n")
    loaded = load(file, environ={"A": os.fsdecode(b"\xff")})
    compile_plan(loaded, KINDS).to_json().encode()
