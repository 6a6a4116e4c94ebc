"""Calls to the engine from asyncio: a few threads, none of them at work after an error or Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from stressnet.images.engine import CONCURRENCY

P = ParamSpec("P")
R = TypeVar("R")


class Calls:
    """Runs blocking calls, at most as many at once as the engine can make use of."""

    def __init__(self, threads: int = CONCURRENCY) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="engine")

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one call and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: call(*args, **kwargs))

    async def __aenter__(self) -> Calls:
        return self

    async def __aexit__(self, *_: object) -> None:
        # What has been sent to the engine is waited for: who cleans up next must see what it made.
        self._threads.shutdown(wait=True, cancel_futures=True)
