"""Every bad file is refused with all its mistakes and their places; the .txt beside it has the message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stressnet.compile import check_programs, compile_plan, meaning_of
from stressnet.errors import InputError
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

BAD = Path(__file__).parents[1] / "bad"
FILES = sorted(path.stem for path in BAD.glob("*.yaml"))


def refusal(file: str, **environ: str) -> str:
    """The message for a file, whichever step refuses it; programs are found nowhere."""
    with pytest.raises(InputError) as refused:
        check(file, environ)
    return str(refused.value)


def check(file: str, environ: dict[str, str]) -> None:
    loaded = load(file, environ=environ, also=meaning_of)
    plan = compile_plan(loaded, Kinds(), backend="netns", find=lambda name: None)
    check_programs(plan, loaded)


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_in_these_words(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    monkeypatch.delenv("STRESSNET_KINDS", raising=False)
    expected = (BAD / f"{name}.txt").read_text().replace("{BAD}", str(BAD))
    assert refusal(f"{name}.yaml") + "\n" == expected


def test_there_are_many_bad_files() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "made.yaml:1:1: the file is empty"),
        (b"# only a comment\n", "made.yaml:1:1: the file is empty"),
        (b"name: net\nnodes: caf\xe9\n", "made.yaml:2:11: byte 0xe9 is not UTF-8; allowed: a file in UTF-8"),
        ("name: net\n".encode("utf-16"), "made.yaml:1:1: byte 0xff is not UTF-8; allowed: a file in UTF-8"),
        (b"name: net\nnodes: \x00\n", "made.yaml:2:8: the character U+0000; allowed: printable characters"),
        (b"#" * (10 << 20), "made.yaml: the file is larger than 1 MiB; allowed: at most 1 MiB"),
        (b"[" * 500, "made.yaml:1:34: nested more than 32 levels deep"),
        (b"- " * 100_000, "made.yaml:1:67: nested more than 32 levels deep"),
        (b"a: [" + b"x," * 200_000 + b"]", "made.yaml:1:199999: more than 100000 values"),
    ],
    ids=["empty", "comment", "latin-1", "utf-16", "zero byte", "10 MB", "deep", "deep lists", "many"],
)
def test_a_file_that_is_no_document_is_refused(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made.yaml").write_bytes(content)
    assert refusal("made.yaml").startswith(message)


def test_a_file_beyond_the_parsers_own_bound_is_refused_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From 6.0.4 on PyYAML itself gives up, at a place of its own, before the first event."""
    monkeypatch.chdir(tmp_path)
    Path("made.yaml").write_bytes(b"[" * 100_000)
    assert re.fullmatch(r"made\.yaml:1:\d+: nested more than 32 levels deep", refusal("made.yaml"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.yaml", "absent.yaml: cannot be read: No such file"),
        (".", ".: cannot be read: Is a directory"),
    ],
)
def test_a_path_that_is_no_file_is_refused(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(path).startswith(message)
