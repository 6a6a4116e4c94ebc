"""Programs of the user's own: what their exit codes say, and what they cannot do to whoever asks."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest
from pydantic import ValidationError
from records import Making, found

from stressnet.checks.check import Finding


@pytest.fixture
def complete(making: Making) -> Making:
    making.event(101, "collected")
    return making


def script(making: Making, text: str) -> str:
    """Write a program beside the fault plan, and return how the plan names it."""
    file = Path(making.file).parent / "checks" / "own"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return "./checks/own"


def asked(making: Making, text: str, timeout: str = "20s") -> Finding:
    return found(making.made(), "command", run=[script(making, text)], timeout=timeout)


@pytest.mark.parametrize(("code", "outcome"), [(0, "pass"), (1, "fail"), (2, "inconclusive")])
def test_the_exit_code_is_the_answer(complete: Making, code: int, outcome: str) -> None:
    """The first line is the summary, and the others the particulars."""
    finding = asked(complete, f"echo one; echo; echo two; exit {code}")
    assert (finding.outcome, finding.summary, finding.lines) == (outcome, "one", ("two",))


def test_it_gets_the_words_and_the_record_last(complete: Making) -> None:
    record = complete.made()
    run = [script(complete, 'test -f "$2/run.json" && echo "$# $1"'), "a b; $(c)"]
    finding = found(record, "command", run=run)
    assert (finding.outcome, finding.summary) == ("pass", "2 a b; $(c)")


def test_a_program_without_a_slash_is_looked_for_on_path(complete: Making) -> None:
    assert found(complete.made(), "command", run=["test", "-d"]).outcome == "pass"


def test_any_other_code_says_nothing(complete: Making) -> None:
    finding = asked(complete, "echo half; echo why >&2; exit 3")
    assert finding.outcome == "inconclusive"
    assert "ended with 3, which says nothing" in finding.summary
    assert finding.lines == ("why", "half")


def test_a_program_that_dies_says_nothing(complete: Making) -> None:
    assert "was ended by SIGSEGV" in asked(complete, "kill -SEGV $$").summary


def test_a_program_that_is_not_there_says_nothing(complete: Making) -> None:
    """As on another machine, to which only the record was copied."""
    finding = found(complete.made(), "command", run=["./gone"])
    assert (finding.outcome, finding.summary) == (
        "inconclusive",
        "./gone cannot be run: No such file or directory",
    )
    complete.file = "/no/such/folder/plan.yaml"
    assert found(complete.made(), "command", run=["./gone"]).outcome == "inconclusive"
    assert found(complete.made(), "command", run=["true"]).outcome == "pass"


def test_where_a_plan_lay_must_be_known(complete: Making) -> None:
    """From where a relative path was meant is not known: there may be another program of that name."""
    script(complete, "exit 0")
    complete.file = "plan.yaml"
    assert found(complete.made(), "command", run=["./checks/own"]).summary == (
        "./checks/own cannot be run: where the fault plan plan.yaml lay is not known"
    )
    assert found(complete.made(), "command", run=["true"]).outcome == "pass"
    assert found(complete.made(), "command", run=["/bin/true"]).outcome == "pass"


def test_a_program_that_takes_too_long_is_ended_with_all_its_children(complete: Making) -> None:
    begun = time.monotonic()
    finding = asked(complete, 'echo begun; sleep 1000 & echo $! > "$1/child"; wait', timeout="500ms")
    assert finding.outcome == "inconclusive"
    assert "was ended after 500ms" in finding.summary
    assert time.monotonic() - begun < 10
    assert finding.lines == ("begun",)
    child = int((complete.path / "child").read_text())
    for _ in range(100):
        if not running(child):
            break
        time.sleep(0.05)
    assert not running(child)


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_child_that_stays_behind_is_ended(complete: Making) -> None:
    """It holds the output open, for which nobody waits."""
    begun = time.monotonic()
    assert asked(complete, "sleep 1000 & echo done").summary == "done"
    assert time.monotonic() - begun < 10


def test_a_program_that_writes_without_end_fills_nothing(complete: Making) -> None:
    complete.made()
    tracemalloc.start()
    try:
        finding = asked(complete, "yes | head -c 30000000; exit 0")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert (finding.outcome, len(finding.lines)) == ("pass", 49)


def test_before_the_record_is_complete_nothing_is_run(making: Making) -> None:
    finding = asked(making, 'touch "$1/was-run"')
    assert finding.outcome == "inconclusive"
    assert not (making.path / "was-run").exists()


@pytest.mark.parametrize("run", [[], "ls", [""], None])
def test_a_command_is_a_list_of_words(making: Making, run: object) -> None:
    with pytest.raises(ValidationError):
        found(making.made(), "command", run=run)
