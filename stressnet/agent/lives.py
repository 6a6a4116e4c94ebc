"""What has become of each node: what an agent that was restarted could not know of those that had ended before.

A line a start and a line an end, appended; a torn last line is passed over.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stressnet.agent.complaints import complain


@dataclass(slots=True)
class Life:
    """The latest start of a node, and its end if that was seen."""

    pid: int
    starts: int
    ended: bool = False
    code: int | None = None
    reason: str = ""


class Lives:
    """The lives of a net's nodes, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lives: dict[str, Life] = {}
        for record in self._records():
            self._take(**record)

    def _records(self) -> list[dict[str, Any]]:
        records = []
        try:
            lines = self._path.read_text().splitlines()
        except FileNotFoundError:
            return []
        for line in lines:
            try:
                records.append(json.loads(line))
            except ValueError:
                continue
        return records

    def _take(
        self, node: str, pid: int = 0, code: int | None = None, reason: str = "", gone: bool = False
    ) -> None:
        if gone:
            self._lives.pop(node, None)
        elif pid:
            before = self._lives.get(node)
            self._lives[node] = Life(pid, before.starts + 1 if before else 1)
        elif node in self._lives:
            life = self._lives[node]
            life.ended, life.code, life.reason = True, code, reason

    def _note(self, **record: Any) -> None:
        self._take(**record)
        try:
            with self._path.open("a") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:  # the next agent may not know of it; this one does
            complain(f"what became of {record['node']} is not written down: {error}")

    def get(self, node: str) -> Life | None:
        """Return a node's latest life, None where it has not started."""
        return self._lives.get(node)

    def started(self, node: str, pid: int) -> None:
        """Note a start; one that is known already, by its process, is not another."""
        life = self._lives.get(node)
        if life is None or life.ended or life.pid != pid:
            self._note(node=node, pid=pid)

    def ended(self, node: str, code: int | None, reason: str) -> None:
        """Note an end."""
        self._note(node=node, code=code, reason=reason)

    def forget(self, node: str) -> None:
        """Note that a node is no longer part of the net."""
        if node in self._lives:
            self._note(node=node, gone=True)
