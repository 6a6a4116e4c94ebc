"""The stacks of all tasks, as one text: what `debug_stacks` answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

_MOST = 1 << 19
"""Characters of the text, so that it fits into one answer also where tasks leak."""


def stacks(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Name each task with its coroutine, then line by line where it waits, the innermost last.

    A count stands first; what is too long ends with the number of tasks that are left out.
    """
    found = sorted(tasks, key=asyncio.Task.get_name)
    lines = [f"{len(found)} tasks\n"]
    room = _MOST
    for place, task in enumerate(found):
        text = "\n".join(_told(task)) + "\n"
        room -= len(text)
        if room < 0:
            lines.append(f"... and {len(found) - place} more")
            break
        lines.append(text)
    return "\n".join(lines)


def _told(task: asyncio.Task[Any]) -> Iterator[str]:
    work = task.get_coro()
    yield f"{task.get_name()}: {getattr(work, '__qualname__', work)}"
    # Task.get_stack() has one frame of a task that waits: its outermost. The others are found by what each awaits.
    while work is not None:
        frame = _first(work, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            code = frame.f_code
            yield f"    {code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
        work = _first(work, "cr_await", "gi_yieldfrom", "ag_await")


def _first(of: object, *names: str) -> Any:
    return next((getattr(of, name) for name in names if hasattr(of, name)), None)
