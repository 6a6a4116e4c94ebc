"""A command in a node's container on this terminal, or on whatever our input and output are."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import time
from collections.abc import Sequence

import docker

from stressnet.backends import terminal
from stressnet.backends.docker.stream import ExecStream

_RESIZE_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


async def run(engine: docker.APIClient, container: str, command: Sequence[str], directory: str) -> int:
    """Run a command with our standard input, output and errors; return its exit code."""
    interactive = terminal.is_interactive()
    stream = await asyncio.to_thread(
        ExecStream, engine, container, command, tty=interactive, directory=directory
    )

    def resize(*_: int) -> None:
        asyncio.get_running_loop().run_in_executor(None, _resize, engine, stream)

    try:
        with terminal.handed_over(resize) if interactive else contextlib.nullcontext():
            terminal.feed(stream.write, stream.end_input)
            await asyncio.to_thread(_show, stream)
        return await asyncio.to_thread(stream.exit_code)
    finally:
        stream.hang_up()  # the thread that reads it may still wait
        await asyncio.to_thread(stream.close)


def _show(stream: ExecStream) -> None:
    while True:
        target, chunk = stream.read()
        if not chunk:
            return
        terminal.write_all(lambda part, target=target: os.write(target, part), chunk)  # type: ignore[misc]


def _resize(engine: docker.APIClient, stream: ExecStream) -> None:
    for pause in _RESIZE_PAUSES_S:
        lines, columns = termios.tcgetwinsize(0)  # now: it may have changed while we tried
        try:
            return engine.exec_resize(stream.id, height=lines, width=columns)
        except docker.errors.APIError:  # it does not run yet, though it was started, or not any more
            time.sleep(pause)
    return None
