"""With which exit code `run` and `prove` end, and what they say; the engine itself does nothing here."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from unit.records import make_record

from stressnet.checks.check import Finding, Outcome
from stressnet.checks.verdict import Judgement, Verdict
from stressnet.cli import group
from stressnet.engine.run import stages
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.stages import Ended
from stressnet.errors import StageError

Command = Callable[..., Result]
LEFT = StageError(
    "net 'x' was not taken down: it does not go", hints=("`stressnet down x` removes what is left",)
)
PLAN = ("stuck-after-cut", "--backend", "netns")


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A command has what it is told mean something else, to its very end."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Call stressnet in a folder of its own; each run gives the outcome that is asked for, and may leave its net."""
    monkeypatch.chdir(tmp_path)

    def called(*words: str, outcomes: dict[str, Outcome], left: StageError | None = None) -> Result:
        def ended(path: Path, variant: str) -> Ended:
            outcome = outcomes[variant]
            judgements = [
                Judgement(name, name, {}, Finding(outcome, "so it is")) for name in ("stuck", "recovery")
            ]
            return Ended(path, Verdict(outcome, "so it is", tuple(judgements)), left)

        async def run(scenario: Scenario, *_: Any) -> Ended:
            path = make_record(tmp_path / "runs", name=scenario.name, variant=scenario.variant)
            return ended(path, scenario.variant)

        async def resume(path: Path, *_: Any, keep: bool) -> Ended:
            return ended(path, "bug")

        monkeypatch.setattr(stages, "run", run)
        monkeypatch.setattr(stages, "resume", resume)
        return CliRunner().invoke(group, words)

    return called


@pytest.mark.parametrize(("outcome", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 2)])
@pytest.mark.parametrize("resumed", [False, True], ids=["run", "resumed"])
def test_run_exits_as_the_verdict_is(
    command: Command, tmp_path: Path, outcome: Outcome, code: int, resumed: bool
) -> None:
    words = ("--resume", str(make_record(tmp_path / "runs"))) if resumed else (*PLAN, "--variant", "bug")
    done = command("run", *words, "--json", outcomes={"bug": outcome})
    assert done.exit_code == code, done.output
    assert json.loads(done.stdout)["outcome"] == outcome
    done = command("run", *words, outcomes={"bug": outcome})
    assert done.exit_code == code
    assert f"\n{outcome.upper()}  " in done.stdout


@pytest.mark.parametrize("outcome", ["pass", "fail"])
@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_net_that_is_left_is_said_beside_the_verdict(
    command: Command, outcome: Outcome, more: tuple[str, ...]
) -> None:
    """The exit code is that of the verdict, which rests on nothing that came after."""
    done = command("run", *PLAN, "--variant", "bug", *more, outcomes={"bug": outcome}, left=LEFT)
    assert done.exit_code == (0 if outcome == "pass" else 1)
    assert f"error: {LEFT.message}\nhint: {LEFT.hints[0]}\n" in done.stderr
    assert "error" not in done.stdout


@pytest.mark.parametrize(
    ("bug", "fixed", "code", "answer"),
    [
        ("fail", "pass", 0, "proven"),
        ("pass", "pass", 1, "not proven"),
        ("fail", "fail", 1, "not proven"),
        ("fail", "inconclusive", 2, "unclear"),
    ],
)
def test_prove_exits_as_the_variants_do_what_they_should(
    command: Command, bug: Outcome, fixed: Outcome, code: int, answer: str
) -> None:
    done = command("prove", *PLAN, "--runs", "1", "--json", outcomes={"bug": bug, "fixed": fixed}, left=LEFT)
    assert done.exit_code == code, done.output
    assert json.loads(done.stdout)["answer"] == answer
    assert done.stderr.count(f"error: {LEFT.message}\n") == 2, "once for each net"


@pytest.mark.parametrize(
    "option",
    [
        ("--variant", "bug"),
        ("--set", "duration=9s"),
        ("--seed", "3"),
        ("--backend", "netns"),
        ("--round", "2"),
    ],
)
def test_what_was_asked_before_cannot_be_asked_otherwise(
    command: Command, tmp_path: Path, option: tuple[str, str]
) -> None:
    """A run that is gone on with is what it was."""
    path = make_record(tmp_path / "runs")
    done = command("run", "--resume", str(path), *option, outcomes={})
    assert done.exit_code == 2  # of click itself; `main` makes it 254
    assert "--resume goes on with what was asked for" in done.stderr
