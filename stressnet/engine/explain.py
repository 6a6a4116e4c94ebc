"""Say in words why a node is not what it should be."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

from stressnet.backends.base import Fate
from stressnet.plan import Node

_SIGNAL_BASE = 128


def explain(node: Node, now: Mapping[str, Any], fate: Fate | None) -> str:
    """Say in words why a node is not ready."""
    if now["state"] == "refused":
        return f"its gate stays shut: {now['reason']}"
    if now["state"] == "exited":
        code = exit_code(now, fate)
        if (fate and fate.oom_killed) or now["reason"] == "out of memory":
            limit = f" of {node.memory / 2**20:.0f} MiB" if node.memory else ""
            return f"killed by the kernel: it went over its memory limit{limit}"
        return exit_words(code)
    return f"not ready after {node.ready_timeout_s:g} s: {now['reason'] or 'it has not answered'}"


def exit_code(now: Mapping[str, Any], fate: Fate | None) -> int | None:
    """Return how a node ended: the agent may have it from the kernel, which knows more than the engine."""
    told: int | None = now.get("exit_code")
    return told if told is not None or fate is None else fate.exit_code


def exit_words(code: int | None) -> str:
    """Say in words how a process ended; `code` is negative for a signal."""
    if code is None:
        return "it ended, and nobody saw with what exit code"
    if code < 0:
        return f"killed by {_signal(-code)}"
    words = {126: "its program cannot be executed", 127: "its program is not there"}
    if _SIGNAL_BASE < code < _SIGNAL_BASE + signal.NSIG:
        words[code] = f"{_signal(code - _SIGNAL_BASE)}?"  # so shells and engines write it; a program may, too
    return f"exit code {code}" + (f" ({words[code]})" if code in words else "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
