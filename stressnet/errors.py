"""Everything that can go wrong, as one tree.

    StressnetError            exit code 255: the harness itself failed
      UsageError              254: a flag or an argument is wrong
        InputError            254: a file is wrong; carries *all* its problems
      EnvironmentProblem      255: this machine cannot do what was asked
      StageError              255: a step failed; says what was undone and what was left
      AgentError              255: the agent refused a call or could not be reached

Users never see a traceback: the command line prints the message, then each hint on a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class StressnetError(Exception):
    """Something failed that the user must know about."""

    exit_code = 255

    def __init__(self, message: str, *, hints: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hints = tuple(hints)


class UsageError(StressnetError):
    """A flag or an argument is wrong; nothing was done."""

    exit_code = 254


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in an input file. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    path: str
    found: str
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        parts = [f"{place}: "]
        if self.path and not self.file.endswith(f" {self.path}"):
            parts.append(f"{self.path}: ")
        parts.append(self.found)
        if self.allowed:
            parts.append(f"; allowed: {self.allowed}")
        if self.nearest:
            parts.append(f" (did you mean {self.nearest!r}?)")
        return "".join(parts)


class InputError(UsageError):
    """A file is wrong; all problems are listed, in the order of the file."""

    def __init__(self, problems: Sequence[Problem], *, hints: Sequence[str] = ()) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems), hints=hints)


class EnvironmentProblem(StressnetError):
    """This machine lacks something that was asked for; a hint holds the command that shows it."""


class StageError(StressnetError):
    """A step of the work failed. The message says which node and why, what was undone and what was left."""


class AgentError(StressnetError):
    """The agent refused a call, or could not be reached."""
