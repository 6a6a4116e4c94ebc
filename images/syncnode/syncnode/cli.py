"""The command line: `syncnode --home DIR` and `syncnode --version`."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Sequence
from pathlib import Path

from . import VERSION
from .config import Config, load
from .errors import ConfigError, NodeError
from .log import tell
from .node import Node

_USAGE = "usage: syncnode --home DIR | --version"


def main(args: Sequence[str]) -> int:
    """Run the program; return its exit code: 0 stopped, 1 failed, 2 wrong usage or configuration."""
    if list(args) == ["--version"]:
        print(f"syncnode {VERSION}")  # noqa: T201
        return 0
    if list(args) in (["--help"], ["-h"]):
        print(_USAGE)  # noqa: T201
        return 0
    home = _home(args)
    if home is None:
        return _complain(_USAGE, 2)
    try:
        config = load(home / "config.toml")
    except ConfigError as error:
        return _complain("\n".join(error.problems), 2)
    try:
        _loop_run(config, home)
    except (NodeError, OSError) as error:
        return _complain(str(error), 1)
    return 0


def _home(args: Sequence[str]) -> Path | None:
    if len(args) == 2 and args[0] == "--home":
        return Path(args[1])
    if len(args) == 1 and args[0].startswith("--home="):
        return Path(args[0].removeprefix("--home="))
    return None


def _complain(text: str, code: int) -> int:
    for line in text.splitlines():
        tell(f"syncnode: {line}")
    return code


def _loop_run(config: Config, home: Path) -> None:
    try:
        from uvloop import new_event_loop
    except ImportError:  # it only makes things quicker
        new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]
    gc.freeze()  # what start-up made stays: the collector need not walk it again
    gc.enable()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(config, home))


async def _run(config: Config, home: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Node(config, home).run(stop)
