"""Quantities with their units: `80ms`, `256MiB`, `1Mbit/s`, `5%`, `80ms ± 5ms`.

A number without a unit is refused: twenty what?
"""

from __future__ import annotations

import math
import re

from stressnet.spec.words import show

_TIMES = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_RATES = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
_RATES |= {f"{unit}/s": 8 * factor for unit, factor in _SIZES.items()}

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-zµ%/]+)\Z")
_CPUS = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,9})?\Z")
_NUMBER = re.compile(r"[+-]?[0-9.]+\Z")

MAX_SECONDS = 366 * 86400.0


class QuantityError(ValueError):
    """What was written is not such a quantity; `example` is one that is."""

    def __init__(self, found: str, allowed: str, example: str) -> None:
        super().__init__(f"{found}; allowed: {allowed}")
        self.found = found
        self.allowed = allowed
        self.example = example


def parse_duration(value: object) -> float:
    """Return seconds from `20s`."""
    seconds = _parse(value, _TIMES, "a time", "20s")
    if seconds > MAX_SECONDS:
        raise QuantityError(f"{value}", "at most 366d", "20s")
    return seconds


def parse_signed_duration(value: object) -> float:
    """Return seconds from `20s`, `+20s` or `-20s`."""
    if not isinstance(value, str):
        return parse_duration(value)
    text = value.strip()
    seconds = parse_duration(text[1:] if text[:1] in ("+", "-") else text)
    return -seconds if text.startswith("-") else seconds


def parse_latency(value: object) -> tuple[float, float]:
    """Return delay and jitter in seconds from `80ms ± 5ms` (or `+-`, or without jitter)."""
    if not isinstance(value, str):
        return parse_duration(value), 0.0
    delay, sign, jitter = (part.strip() for part in value.replace("+-", "±").partition("±"))
    both = parse_duration(delay), parse_duration(jitter) if sign else 0.0
    if both[1] > both[0]:
        raise QuantityError(f"{value!r} varies by more than itself", "a jitter up to the delay", "80ms ± 5ms")
    return both


def parse_size(value: object) -> int:
    """Return bytes from `256MiB`."""
    size = _parse(value, _SIZES, "a size", "256MiB")
    if abs(size - round(size)) > size * 1e-9:  # 0.1KB is 100 bytes, whatever floats make of it
        raise QuantityError(f"{value} is no whole number of bytes", "whole bytes", f"{math.ceil(size)}B")
    return round(size)


def parse_rate(value: object) -> float:
    """Return bits a second from `1Mbit/s` or `125kB/s`."""
    return _parse(value, _RATES, "a rate", "1Mbit/s")


def parse_percent(value: object) -> float:
    """Return a share from 0 to 1 from `5%`."""
    share = _parse(value, {"%": 0.01}, "a percentage", "5%")
    if share > 1:
        raise QuantityError(f"{value}", "0% to 100%", "5%")
    return share


def parse_cpus(value: object) -> float:
    """Return a number of CPUs from `0.5`."""
    if isinstance(value, str) and _CPUS.match(value):
        return float(value)
    raise QuantityError(show(value), "a number of CPUs without a unit", "0.5")


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that gives a short number."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    for unit in ("d", "h", "m", "s", "ms"):
        amount = seconds / _TIMES[unit]
        if amount >= 1 and round(amount, 3) == round(amount, 9):
            return f"{amount:.10g}{unit}"
    return f"{seconds / 1e-6:.10g}us" if seconds else "0s"


def format_size(size: float) -> str:
    """Write bytes in binary units with at most one decimal."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _SIZES[unit]:
            return f"{size / _SIZES[unit]:.1f}".removesuffix(".0") + unit
    return f"{size:.0f}B"


def format_rate(rate: float) -> str:
    """Write bits a second in the largest decimal unit that is not less than one."""
    unit = next((unit for unit in ("Gbit/s", "Mbit/s", "kbit/s") if rate >= _RATES[unit]), "bit/s")
    return f"{rate / _RATES[unit]:.4g}{unit}"


def format_percent(share: float) -> str:
    """Write a share from 0 to 1 with at most four digits."""
    return f"{share * 100:.4g}%"


def format_cpus(cpus: float) -> str:
    """Write a number of CPUs."""
    return f"{cpus:.4g}"


def _parse(value: object, units: dict[str, float] | dict[str, int], noun: str, example: str) -> float:
    allowed = f"{noun} with its unit ({', '.join(units)})"
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise QuantityError(show(value), allowed, example)
    text = str(value).strip()
    if text.startswith("-") and len(text) > 1 and text[1].isdigit():
        raise QuantityError(f"{text} is negative", allowed, example)
    if _NUMBER.match(text):
        raise QuantityError(f"{text} has no unit", allowed, example)
    match = _QUANTITY.match(text)
    if not match:
        raise QuantityError(show(value), allowed, example)
    if match[2] not in units:
        raise QuantityError(f"{text!r} has an unknown unit {match[2]!r}", allowed, example)
    return float(match[1]) * units[match[2]]
