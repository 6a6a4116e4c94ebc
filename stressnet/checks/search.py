"""Search collected logs in a process of its own: `re` cannot be interrupted, and some patterns backtrack for ever.

The process is ended by the kernel when one file has used up its time. Time is the process's own CPU time: on a machine
that is busy a good pattern is as good as ever.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 2.0
"""CPU time for one file of at most 4 MiB, for which a simple pattern takes some 10 ms."""
_SHOWN = 5
_LONGEST = 300


class TooSlow(Exception):
    """A pattern took too long."""


@dataclass(frozen=True, slots=True)
class Matches:
    """The lines of one file that match."""

    count: int
    first: tuple[tuple[int, str], ...]
    """Number, from 1, and text of the first few."""


def search(pattern: str, files: Sequence[Path]) -> list[Matches]:
    """Return the matching lines of each file; TooSlow where one takes more than `LIMIT_S` of CPU time."""
    asked = json.dumps({"pattern": pattern, "files": [str(file.resolve()) for file in files]})
    command = (sys.executable, "-m", "stressnet.checks.search")
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGVTALRM:
        raise TooSlow(
            f"the search for {pattern!r} took more than {LIMIT_S:g} s of CPU time for one log, and was given up: "
            "write the pattern without repetitions within repetitions"
        )
    if done.returncode:
        raise OSError(done.stderr.strip().rpartition("\n")[2] or f"the search ended with {done.returncode}")
    answer = json.loads(done.stdout)
    return [Matches(one["count"], tuple((number, text) for number, text in one["first"])) for one in answer]


def _matches(pattern: re.Pattern[str], file: Path) -> dict[str, object]:
    count, first = 0, []
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            if pattern.search(line.rstrip("\r\n")):
                count += 1
                if count <= _SHOWN:
                    first.append((number, line.strip()[:_LONGEST]))
    return {"count": count, "first": first}


def main() -> None:
    """`python -m stressnet.checks.search`: answer the question on the standard input."""
    asked = json.load(sys.stdin)
    pattern = re.compile(asked["pattern"])
    found = []
    for file in asked["files"]:
        # Left to the kernel: a handler in Python would not run before the search has ended.
        signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
        found.append(_matches(pattern, Path(file)))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
