"""Work that ends in order, and has its answer, also where it is told to end before."""

from __future__ import annotations

import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def endings() -> list[signal.Signals]:
    """Return the signals other than Ctrl-C that ask this program to end.

    Those are left out that whoever began it has it ignore, as nohup(1) does with SIGHUP.
    """
    asking = (signal.SIGTERM, signal.SIGHUP)
    return [number for number in asking if signal.getsignal(number) is not signal.SIG_IGN]


async def until_told(work: Coroutine[Any, Any, T]) -> T:
    """Do some work, which SIGTERM and SIGHUP cancel as Ctrl-C does.

    What is written to a terminal that has gone away goes to nobody from then on.
    """
    import asyncio  # not before: every verb asks for `endings`

    task = asyncio.current_task()
    assert task is not None
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def end() -> None:
        for descriptor in terminals:
            if not os.isatty(descriptor):  # hung up: each write to it is an error
                with open(os.devnull, "wb") as nobody:
                    os.dup2(nobody.fileno(), descriptor)
        task.cancel()

    for number in endings():
        asyncio.get_running_loop().add_signal_handler(number, end)
    return await work
