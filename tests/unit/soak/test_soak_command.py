"""What `stressnet soak` asks for, up to the net."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from soaking import MemoryPlace, small_plan

from stressnet.checks.check import Outcome
from stressnet.cli import group
from stressnet.engine.soak import livenet
from stressnet.engine.soak import soak as soaks
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.checkpoint import Checkpoint
from stressnet.engine.soak.folder import NIGHT, SOAK
from stressnet.errors import EnvironmentProblem
from stressnet.record import runs
from stressnet.resources import folder


def test_a_plan_that_comes_with_stressnet_is_soaked_by_its_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text goes into the record of the night, and the command that does a round again names it so, too."""
    place = MemoryPlace(small_plan())
    place.unknown = 1
    monkeypatch.setattr(livenet, "LivePlace", lambda *_: place)
    monkeypatch.chdir(tmp_path)
    words = ["soak", "stuck-after-cut", "--variant", "fixed", "--for", "1h", "--backend", "netns"]
    assert isinstance(CliRunner().invoke(group, words).exception, EnvironmentProblem)
    soak = tmp_path / "runs" / "stuck-after-cut" / "latest-soak"
    text = (folder("faults") / "stuck-after-cut.yaml").read_text()
    assert (soak / NIGHT / runs.SOURCE).read_text() == text
    assert json.loads((soak / SOAK).read_text())["command"][:3] == ["stressnet", "run", "stuck-after-cut"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "1h", "--budget", "1MiB"], "--budget: at least 4MiB"),
        (["--for", "1h", "--every", "0s"], "--every: a time above 0"),
        (["--for", "0s"], "--for: a time above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    """Before there is a folder."""
    comes_to("pass", monkeypatch)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(group, ["soak", "stuck-after-cut", *words])
    assert result.exit_code
    assert said in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 2)])
def test_a_soak_ends_with_the_exit_code_of_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    comes_to(outcome, monkeypatch)
    monkeypatch.chdir(tmp_path)
    words = ["soak", "stuck-after-cut", "--variant", "fixed", "--for", "1h", "--backend", "netns"]
    result = CliRunner().invoke(group, words)
    assert result.exit_code == code
    assert f"## Soak of stuck-after-cut · fixed: {outcome.upper()}" in result.output


def comes_to(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every soak come to this at once, without a net."""

    async def run(_: soaks.Soak) -> Amount:
        return Amount(outcome, "why", Checkpoint(ended="time"), {}, None)

    monkeypatch.setattr(soaks.Soak, "run", run)
