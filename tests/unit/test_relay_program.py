"""Which Toxiproxy will do as the relay's program, told by what it says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.images import golang, relay


def script(folder: Path, name: str, text: str) -> Path:
    """Write a program that says a text, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{text}'\n")
    program.chmod(0o755)
    return program


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, with an empty cache beside it."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "bin"


@pytest.mark.parametrize("text", ["2.5.0", "2.12.0", "v2.9.1-rc1", "3.0.0", "10.0.0"])
def test_a_program_that_is_new_enough_is_used(on_path: Path, text: str) -> None:
    program = script(on_path, relay.PROGRAM, f"toxiproxy-server version {text}")
    assert relay.find() == program
    assert relay.version(program) == text.removeprefix("v")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("toxiproxy-server version 2.4.0", "version 2.4.0, and 2.5 is the oldest"),
        ("toxiproxy-server version 1.9.0", "version 1.9.0, and 2.5 is the oldest"),
        ("toxiproxy-server version git", "does not say its version"),
        ("flag provided but not defined: -version", "does not say its version"),
    ],
)
def test_a_program_that_is_not_is_passed_over_and_told_why(on_path: Path, text: str, why: str) -> None:
    program = script(on_path, relay.PROGRAM, text)
    assert relay.find() is None
    assert why in relay.fault(program)


def test_a_program_that_cannot_be_run_is_passed_over(on_path: Path) -> None:
    """As one that was built for another machine."""
    program = script(on_path, relay.PROGRAM, "")
    program.write_bytes(b"\x7fELF of another machine")
    assert relay.find() is None
    assert "does not say its version" in relay.fault(program)


def test_there_may_be_none(on_path: Path) -> None:
    assert relay.find() is None


@pytest.mark.parametrize(
    ("text", "there"), [("go1.19.8", False), ("go1.21", True), ("go1.26.8", True), ("", False)]
)
def test_a_go_that_is_too_old_is_passed_over(
    on_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, there: bool
) -> None:
    """One from before 1.21 cannot read the go.mod files of today."""
    monkeypatch.setattr(golang, "_USUAL_FOLDERS", "")
    program = script(on_path, "go", text)
    assert golang.find() == (program if there else None)
