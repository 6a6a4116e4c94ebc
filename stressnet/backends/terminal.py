"""This terminal while a command runs in a node's place: handed over whole, and given back however that ends."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import termios
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

_CHUNK = 65536
_LAST_WORDS_S = 1.0
"""How long after a command ended its terminal may take to hang up, with all that was written to it."""


def is_interactive() -> bool:
    """Tell whether somebody sits before our input and output."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def feed(write: Callable[[bytes], object], end: Callable[[], object]) -> None:
    """Hand on what comes from our input, from now to its end, in a thread: a read of a terminal cannot be awaited."""

    def carry() -> None:
        with suppress(OSError, ValueError):  # whoever took it has gone
            while chunk := os.read(0, _CHUNK):
                write(chunk)
            end()

    threading.Thread(target=carry, name="input", daemon=True).start()


def write_all(write: Callable[[bytes], int | None], chunk: bytes) -> None:
    """Write all of it, to what may take less at a time."""
    while chunk:
        chunk = chunk[write(chunk) or 0 :]


@contextmanager
def handed_over(resize: Callable[[int, int], None]) -> Iterator[None]:
    """Pass every key on as it is, Ctrl-C too; call `resize` with lines and columns now and whenever they change.

    The terminal is given back at the end, and before SIGTERM or SIGHUP end this program. Only within a coroutine.
    """
    loop, before = asyncio.get_running_loop(), termios.tcgetattr(0)

    def end(number: int) -> None:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        loop.remove_signal_handler(number)
        os.kill(os.getpid(), number)

    loop.add_signal_handler(signal.SIGWINCH, lambda: resize(*termios.tcgetwinsize(0)))
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    try:
        tty.setraw(0, termios.TCSANOW)  # now: what was typed ahead is kept
        resize(*termios.tcgetwinsize(0))
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        for number in (signal.SIGWINCH, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)


@asynccontextmanager
async def pseudo_terminal() -> AsyncIterator[int]:
    """Yield the far end of a pseudo terminal (pty(7)) for a command, whose near end is this terminal.

    When this program ends, however it does, the kernel tells the command that its terminal has hung up.
    """
    master, far = os.openpty()
    near, hung_up = io.FileIO(master, "r+"), asyncio.Event()
    loop = asyncio.get_running_loop()

    def show() -> None:
        try:
            write_all(lambda chunk: os.write(1, chunk), near.read(_CHUNK) or b"")
        except OSError:  # EIO: nobody has the far end open any more
            loop.remove_reader(master)
            hung_up.set()

    with near:
        try:
            with handed_over(lambda lines, columns: termios.tcsetwinsize(master, (lines, columns))):
                loop.add_reader(master, show)
                feed(lambda chunk: write_all(near.write, chunk), lambda: None)
                try:
                    yield far
                finally:
                    os.close(far)
                with suppress(TimeoutError):
                    await asyncio.wait_for(hung_up.wait(), _LAST_WORDS_S)
        finally:
            loop.remove_reader(master)
