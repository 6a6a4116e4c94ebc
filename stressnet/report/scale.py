"""Axes: where ticks go, and how their values are written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stressnet.report.page import Unit

_MANTISSAS = (1.0, 2.0, 2.5, 5.0, 10.0)
_BINARY = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_WHOLE: tuple[Unit, ...] = ("blocks", "count")
"""Units of which there are no parts."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What an axis spans, and the values that have a tick."""

    low: float
    high: float
    ticks: Sequence[float]

    def share(self, value: float) -> float:
        """Return where a value lies: 0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)


def value_scale(values: Iterable[float], unit: Unit, ticks: int = 4) -> Scale:
    """Return a scale with about so many steps, from 0 except where heights lie far above it."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=0.0)
    if low >= 0 and not (unit == "blocks" and low > high / 2):
        low = 0.0
    if high <= low:
        high = low + 1
    step = _step((high - low) / ticks, unit)
    first, last = math.floor(low / step), math.ceil(high / step)
    return Scale(first * step, last * step, tuple(number * step for number in range(first, last + 1)))


def _step(least: float, unit: Unit) -> float:
    """Return the smallest round step that is not less."""
    if unit == "bytes":
        base = 1024.0 ** max(0, math.floor(math.log(least, 1024)))
        return base * next(size for size in _BINARY if size * base >= least)
    base = 10.0 ** math.floor(math.log10(least))
    step = next(mantissa * base for mantissa in _MANTISSAS if mantissa * base >= least * (1 - 1e-9))
    return max(1.0, math.ceil(step)) if unit in _WHOLE else step


def time_scale(begin: float, end: float, ticks: int = 9) -> Scale:
    """Return a scale of seconds that spans just this, with at most so many steps."""
    end = end if end > begin else begin + 1
    least = (end - begin) / ticks
    step = next((step for step in _TIMES if step >= least), 86400 * math.ceil(least / 86400))
    numbers = range(math.ceil(begin / step), math.floor(end / step) + 1)
    return Scale(begin, end, tuple(float(number * step) for number in numbers))


def moment(seconds: float) -> str:
    """Write a moment of the run: `01:30`, or `1:01:30` from an hour on."""
    sign, whole = ("−" if seconds < -0.5 else ""), abs(round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes = f"{rest // 60:02}:{rest % 60:02}"
    return f"{sign}{hours}:{minutes}" if hours else sign + minutes


def value(number: float, unit: Unit) -> str:
    """Write a tick: `1,500`, `0.25`, `64 MiB`, `0`."""
    if unit == "bytes" and number:
        power = max(0, min(len(_SIZES) - 1, math.floor(math.log(abs(number), 1024) + 1e-9)))
        return f"{number / 1024**power:.4g}\u202f{_SIZES[power]}"
    if abs(number) >= 1e6:
        return f"{number / 1e6:.4g}\u202fM"
    return f"{number:,.10g}"
