"""Work that ends in order, and has its answer, also where it is told to end before."""

from __future__ import annotations

import os
import signal
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def endings() -> list[signal.Signals]:
    """Return the signals other than Ctrl-C that ask this program to end.

    Those are left out that whoever began it has it ignore, as nohup(1) does with SIGHUP.
    """
    asking = (signal.SIGTERM, signal.SIGHUP)
    return [number for number in asking if signal.getsignal(number) is not signal.SIG_IGN]


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """Do some work in an event loop, which SIGTERM and SIGHUP cancel as Ctrl-C does, once; later ones change nothing.

    KeyboardInterrupt where it has no answer then. What is written to a terminal that has gone away goes to nobody from
    then on.
    """
    import asyncio  # not before: every verb asks for `endings`

    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]
    numbers = endings()

    async def until_told() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def tell(*_: object) -> None:
            for number in numbers:  # ignored to the very end: who has told twice must get the answer, too
                signal.signal(number, signal.SIG_IGN)
            _silence(terminals)
            if loop.is_closed():
                raise KeyboardInterrupt
            loop.call_soon_threadsafe(task.cancel)

        for number in numbers:
            signal.signal(number, tell)
        return await work

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _silence(terminals: Iterable[int]) -> None:
    """Let what is written to those of these terminals that have gone away go to nobody: each write is an error."""
    for descriptor in terminals:
        if not os.isatty(descriptor):
            with open(os.devnull, "wb") as nobody:
                os.dup2(nobody.fileno(), descriptor)
