"""Which nodes are squeezed: what faults leave them is put in place, and what the plan gives them is put back.

The names are written down before anything is done, and until it has been put back: an agent that dies in
between leaves a limit that no fault accounts for, and the next one must find it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from stressnet.agent.runtime import Runtime
from stressnet.faults.squeeze import Limits

_FILE = "squeezed.json"
_AT_ONCE = 8
"""Nodes that are squeezed side by side; an engine takes some 20 ms for each."""


class Squeezing:
    """Keeps limits on the nodes of one net."""

    def __init__(self, runtime: Runtime, directory: Path) -> None:
        self._runtime = runtime
        self._path = directory / _FILE
        self._written = set(self._read())
        """Names that are in the file: more of them do no harm."""
        self._on: dict[str, Limits | None] = dict.fromkeys(self._written)
        """None: nobody knows what is on this node."""

    async def hold(self, wanted: Mapping[str, Limits], there: Iterable[str]) -> None:
        """Have these limits on nodes, and no others; OSError says why not. Who is not `there` is passed over."""
        concerned = wanted.keys() | self._on.keys()
        now = {name: wanted.get(name, Limits()) for name in there if name in concerned}
        touched = [name for name, limits in now.items() if self._on.get(name, Limits()) != limits]
        self._on = {name: on for name, on in self._on.items() if name in now} | dict.fromkeys(touched)
        if not touched:
            return
        if not self._written.issuperset(self._on):
            self._write()
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(name: str) -> None:
            async with limit:
                await self._runtime.squeeze(name, now[name])
            self._on[name] = now[name]

        # All are waited for, also after an error: what is still on its way would undo what puts it right.
        outcomes = await asyncio.gather(*map(one, touched), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self._on = {name: limits for name, limits in now.items() if limits != Limits()}
        with suppress(OSError):  # a full disk keeps no limit from being taken off
            self._write()

    def _read(self) -> list[str]:
        try:
            return list(json.loads(self._path.read_text()))
        except (FileNotFoundError, ValueError):
            return []

    def _write(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(sorted(self._on)))
        partial.replace(self._path)
        self._written = set(self._on)
