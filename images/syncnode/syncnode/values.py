"""How values of the configuration are written, read and scaled, by the name of their type."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

from .defects import Defect, Remedy

Seconds = float
Scaled = float
ScaledRate = float
Size = int
Count = int
Positive = int
Port = int
Flag = bool
Address = str
Addresses = list[str]
Names = list[str]
Level = str
Defects = list[str]
Remedies = list[str]

_LEVELS = ("debug", "info", "warn", "error")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZES = {"B": 1, "KiB": 1024, "MiB": 1024 * 1024, "KB": 1000, "MB": 1000000}


def fill(target: object, raw: dict[str, Any], prefix: str, known: tuple[str, ...] = ()) -> list[str]:
    """Put decoded values into a section; return what is wrong with them."""
    types = {item.name: str(item.type) for item in fields(target) if item.name not in known}  # type: ignore[arg-type]
    problems = []
    for key, value in raw.items():
        if key not in types:
            problems.append(f"{prefix}{key}: unknown key{_nearest(key, [*types, *known])}")
            continue
        try:
            setattr(target, key, _READERS[types[key]](value))
        except ValueError as error:
            problems.append(f"{prefix}{key}: {error}, found {value!r}")
    return problems


def scale(target: object, by: float) -> None:
    """Divide a section's scaled durations and multiply its scaled rates."""
    for item in fields(target):  # type: ignore[arg-type]
        if item.type == "Scaled":
            setattr(target, item.name, getattr(target, item.name) / by)
        elif item.type == "ScaledRate":
            setattr(target, item.name, getattr(target, item.name) * by)


def _nearest(key: str, words: list[str]) -> str:
    import difflib  # only a wrong file needs it

    found = difflib.get_close_matches(key, words, 1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _seconds(value: Any) -> float:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)", value)):
        value = float(match[1]) * _UNITS[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError('a duration above 0 is needed, such as "10s" or 0.5 (seconds)')
    return float(value)


def _rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError("a number above 0 (per second) is needed")
    return float(value)


def _size(value: Any) -> int:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)\s*(B|KiB|MiB|KB|MB)", value)):
        value = int(match[1]) * _SIZES[match[2]]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError('a size is needed, such as "1KiB" or 1024 (bytes)')
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError("a whole number from 0 on is needed")
    return value


def _positive(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 1 << 63:
        raise ValueError("a whole number from 1 on is needed")
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 65536:
        raise ValueError("a port from 1 to 65535 is needed")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is needed")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text is needed")
    return value


def _address(value: Any) -> str:
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        if host and port.isdecimal() and int(port) < 65536:
            return value
    raise ValueError('an address such as "127.0.0.1:9000" is needed')


def _addresses(value: Any) -> list[str]:
    return [_address(item) for item in _list(value, "addresses")]


def _names(value: Any) -> list[str]:
    return [_text(item) for item in _list(value, "names")]


def _defects(value: Any) -> list[str]:
    return _known(value, "defect", [one.value for one in Defect])


def _remedies(value: Any) -> list[str]:
    return _known(value, "remedy", [one.value for one in Remedy])


def _known(value: Any, what: str, known: list[str]) -> list[str]:
    for item in _list(value, f"names, each of a {what},"):
        if item not in known:
            near = _nearest(item, known) if isinstance(item, str) else ""
            raise ValueError(f"no {what} is called {item!r}{near}; known: {', '.join(known)}")
    return list(dict.fromkeys(value))


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"a list of {what} is needed")
    return value


def _level(value: Any) -> str:
    if value not in _LEVELS:
        raise ValueError(f"one of {', '.join(_LEVELS)} is needed")
    return str(value)


_READERS = {
    "Seconds": _seconds,
    "Scaled": _seconds,
    "ScaledRate": _rate,
    "Size": _size,
    "Count": _count,
    "Positive": _positive,
    "Port": _port,
    "Flag": _flag,
    "Address": _address,
    "Addresses": _addresses,
    "Names": _names,
    "Level": _level,
    "Defects": _defects,
    "Remedies": _remedies,
    "str": _text,
}
