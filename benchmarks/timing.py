"""Time several ways of doing one thing in turn (A B C A B C …), because the machine's speed drifts."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of every repetition of one way."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.seconds):.2f}–{max(self.seconds):.2f})"


@dataclass(frozen=True, slots=True)
class Way:
    """One way of doing a thing: `do` is timed, `undo` is timed apart."""

    do: Callable[[], object]
    undo: Callable[[], object]


def in_turn(ways: Mapping[str, Way], repetitions: int) -> dict[str, tuple[Times, Times]]:
    """Return the times of doing and undoing, by way; the first, uncounted, round warms caches up."""
    done: dict[str, list[float]] = {name: [] for name in ways}
    undone: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(repetitions + 1):
        for name, way in ways.items():
            first, second = timed(way.do), timed(way.undo)
            if repetition:
                done[name].append(first)
                undone[name].append(second)
    return {name: (Times(tuple(done[name])), Times(tuple(undone[name]))) for name in ways}


def timed(step: Callable[[], object]) -> float:
    """Return how many seconds a step took."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def machine() -> str:
    """Describe the machine in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown CPU",
    )
    versions = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} CPUs ({model}), {memory:.0f} GiB, {versions}"
