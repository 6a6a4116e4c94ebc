"""A question of the user's own, asked by a program of theirs: it gets the record, and its exit code is the answer."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from pydantic import Field

from stressnet.checks.check import Check, Finding, Outcome
from stressnet.record.record import Record
from stressnet.spec.fields import Command, Model, SomeSeconds
from stressnet.spec.units import format_duration

_OUTCOMES: Mapping[int, Outcome] = {0: "pass", 1: "fail", 2: "inconclusive"}
_KEPT = 1 << 16
"""Bytes of an output that are read; what comes after is thrown away."""
_LINES = 50
_LONGEST = 500
_GRACE_S = 1.0


class Parameters(Model):
    """A program answers by its exit code: 0 pass, 1 fail, 2 inconclusive."""

    run: Command = Field(
        description="Words of the command, behind which the path of the record comes. A program with a slash is "
        "looked for from the fault plan's folder on, any other on PATH."
    )
    timeout: SomeSeconds = Field(default=60.0, description="How long it may take; default: 60s.")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command."""

    code: int | None
    """None: it was ended after its time."""
    output: list[str]
    errors: list[str]
    seconds: float


def judge(record: Record, parameters: Parameters) -> Finding:
    """Run the command, and read its answer: the first line is the summary."""
    if not record.collected:
        return Finding("inconclusive", "it is asked when the record is complete")
    folder = _folder(record)
    program = parameters.run[0]
    if "/" in program:
        if folder is None and not Path(program).is_absolute():
            said = (
                f"{program} cannot be run: where the fault plan {record.run.get('file', '')} lay is not known"
            )
            return Finding("inconclusive", said)
        program = str((folder or Path()) / program)
    command = [program, *parameters.run[1:], str(record.path.resolve())]
    try:
        answer = _run(command, folder if folder and folder.is_dir() else record.path, parameters.timeout)
    except OSError as error:
        return Finding("inconclusive", f"{parameters.run[0]} cannot be run: {error.strerror or error}")
    return _finding(parameters, answer)


def _folder(record: Record) -> Path | None:
    """Return the folder of the fault plan; None where the record does not say it, as those of earlier versions."""
    file = Path(str(record.run.get("file", "")))
    return file.resolve().parent if file.is_absolute() else None


def _finding(parameters: Parameters, answer: Answer) -> Finding:
    outcome = _OUTCOMES.get(answer.code if answer.code is not None else -1, "inconclusive")
    numbers = {"exit_code": answer.code, "seconds": round(answer.seconds, 3)}
    said = answer.output[0] if answer.output else ""
    rest = tuple(answer.output[1:])
    if answer.code in _OUTCOMES:
        return Finding(outcome, said or f"{parameters.run[0]} says {outcome}", (), None, rest, numbers)
    lines = (*answer.errors[-5:], *answer.output)
    if answer.code is None:
        what = f"was ended after {format_duration(parameters.timeout)}"
    elif answer.code < 0:
        what = f"was ended by {_signal(-answer.code)}"
    else:
        what = f"ended with {answer.code}, which says nothing: 0 is pass, 1 fail, 2 inconclusive"
    return Finding(outcome, f"{parameters.run[0]} {what}", (), None, lines, numbers)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class _Reader(Thread):
    """Reads a stream to its end and keeps its beginning, so that whoever writes without end neither waits nor fills
    the memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.kept = b""
        self.start()

    def run(self) -> None:
        """Read."""
        with suppress(ValueError):  # it was closed meanwhile
            while data := os.read(self._stream.fileno(), _KEPT):
                self.kept += data[: _KEPT - len(self.kept)]

    def lines(self) -> list[str]:
        """Return what was kept as lines, as far as it has come."""
        self.join(_GRACE_S)
        lines = self.kept.decode(errors="replace").splitlines()
        return [line.rstrip()[:_LONGEST] for line in lines if line.strip()][:_LINES]


def _run(command: list[str], folder: Path, timeout: float) -> Answer:
    """Run a command in a group of its own, of which nothing is left when it is over."""
    begun = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = _Reader(process.stdout), _Reader(process.stderr)
        try:
            code: int | None = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        seconds = time.monotonic() - begun
        return Answer(code, output.lines(), errors.lines(), seconds)


CHECK = Check("command", "a program of the user's own looks at the record", Parameters, judge, last=True)
