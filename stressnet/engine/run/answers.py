"""Ask nodes again and again whether they are in sync, where a check wants to know: `answers.jsonl`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stressnet.backends.base import Backend
from stressnet.checks import in_sync_honesty
from stressnet.engine.ask import ask
from stressnet.engine.run.asking import Ask, tellers
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal

_EVERY_S = 2.0


def are_wanted(checks: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether one of these checks reads the answers."""
    return any(one["check"] == in_sync_honesty.CHECK.name for one in checks)


async def keep_asking(plan: Plan, backend: Backend, path: Path, journal: RunJournal, ask: Ask = ask) -> None:
    """Write what nodes say into a record, until cancelled. Nodes whose kind cannot be asked are left out.

    What a full disk does not take is lost; the journal says so, once until there is room again.
    """
    nodes = tellers(plan, "in_sync")
    lost = ""
    while nodes:
        begun = time.monotonic()
        lines = await _lines(backend, nodes, ask)
        if lost:  # its end may be half a line
            lines.insert(0, "\n")
        try:
            with (path / runs.ANSWERS).open("a", encoding="utf-8") as file:
                file.writelines(lines)
            lost = ""
        except OSError as error:
            if str(error) != lost:
                with suppress(OSError):  # it has no room either, and writes it with its next line
                    journal.note("answers lost", why=str(error))
            lost = str(error)
        await asyncio.sleep(max(0.0, begun + _EVERY_S - time.monotonic()))


async def _lines(backend: Backend, nodes: Sequence[str], ask: Ask) -> list[str]:
    """Return a line for each node that has told; the time is that of the question: it may have caught up since."""
    at = round(time.time(), 3)
    try:
        told = await ask(backend, nodes, "in_sync")
    except (StressnetError, OSError):  # an agent that is just being started again
        return []
    return [
        json.dumps({"time": at, "node": name, "in_sync": answer}) + "\n"
        for name, answer in told.items()
        if isinstance(answer, bool)
    ]
