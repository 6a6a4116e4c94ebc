"""A leaky bucket that delays and never rejects."""

from __future__ import annotations

import asyncio


class Limiter:
    """Lets requests through at a steady rate, in the order in which they came."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._free_at = 0.0

    def reserve(self, now: float) -> float:
        """Take the next place; return how long to wait for it."""
        start = max(now, self._free_at)
        self._free_at = start + self._gap
        return start - now


async def wait(*limiters: Limiter) -> float:
    """Wait for a place in each of the limiters at once; return the delay in seconds."""
    now = asyncio.get_running_loop().time()
    delay = max(limiter.reserve(now) for limiter in limiters)
    if delay > 0:
        await asyncio.sleep(delay)
    return delay
