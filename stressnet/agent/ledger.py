"""Which processes were let through the gate: what an agent that was restarted cannot see any more.

A container's first process is the engine's own before it is the gate, so "not the gate" does not mean "past
the gate". Each entry is a process id with its start time, which together name one process for ever.
"""

from __future__ import annotations

import time
from pathlib import Path

from stressnet.agent import processes
from stressnet.agent.complaints import complain


class Ledger:
    """A file to which a line is added before each release."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, pid: int) -> None:
        """Write down that this process may pass, and when."""
        found = processes.stat(pid)
        if found is not None:
            try:
                with self._path.open("a", encoding="ascii") as file:
                    file.write(f"{pid} {found.began} {time.time():.3f}\n")
            except (
                OSError
            ) as error:  # the next agent will not know it; better than a process that nobody knows
                complain(f"process {pid} is not written down: {error}")

    def living(self) -> dict[int, float]:
        """Return the processes that were let through and have not ended, each with the Unix time of its release."""
        try:
            lines = self._path.read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        released = {}
        for pid, began, moment in (line.split() for line in lines):
            found = processes.stat(int(pid))
            if found is not None and found.began == int(began):
                released[int(pid)] = float(moment)
        return released
