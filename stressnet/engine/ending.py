"""Last work that is done to its end, however often who does it is told to stop meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Return what comes of some work; where this task is cancelled meanwhile, raise that when the work is done.

    `asyncio.shield` lets its caller go at once, and the event loop then ends the work in its middle.
    """
    working = asyncio.ensure_future(work)
    if await _cancelled_before(working):
        error = None if working.cancelled() else working.exception()
        raise asyncio.CancelledError from error
    return working.result()


async def undisturbed(work: Coroutine[Any, Any, T]) -> T:
    """Return what comes of some work, or raise its error; that this task is cancelled meanwhile changes nothing.

    For the last that is done: who is told to stop is at the end then.
    """
    working = asyncio.ensure_future(work)
    await _cancelled_before(working)
    return working.result()


async def _cancelled_before(working: asyncio.Task[Any]) -> bool:
    """Wait until it is done; tell whether this task was cancelled before."""
    cancelled = False
    while not working.done():
        try:
            await asyncio.wait([working])
        except asyncio.CancelledError:
            cancelled = True
    return cancelled
