"""Work that ends in order, and has its answer, also where it is told to end before."""

from __future__ import annotations

import atexit
import signal
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def endings() -> list[signal.Signals]:
    """Return the signals that ask this program to end, Ctrl-C first.

    Those are left out that whoever began it has it ignore, as nohup(1) does with SIGHUP.
    """
    asking = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    return [number for number in asking if signal.getsignal(number) is not signal.SIG_IGN]


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """Do some work in an event loop, which the first of `endings` cancels; later ones change nothing.

    The loop's own answer to a second Ctrl-C would end what is being undone in its middle. KeyboardInterrupt where it
    has no answer then.
    """
    import asyncio  # not before: every verb asks for `endings`

    numbers = endings()

    async def until_told() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def tell(*_: object) -> None:
            _ignore(numbers)  # to the very end: who tells twice must get the answer, too
            if loop.is_closed():
                raise KeyboardInterrupt
            loop.call_soon_threadsafe(task.cancel)

        for number in numbers:
            signal.signal(number, tell)
        return await work

    # Python gives up its handlers in its last moments, and a signal then would take the place of the exit code.
    atexit.register(_ignore, numbers)
    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _ignore(numbers: Iterable[signal.Signals]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
