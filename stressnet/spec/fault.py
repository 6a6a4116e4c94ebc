"""A fault as users write it: the name of its kind, and its parameters as `name=value`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stressnet.errors import Problem
from stressnet.faults.kind import FaultKind, Parameter, Unit, Value
from stressnet.faults.kinds import KINDS
from stressnet.spec.units import (
    QuantityError,
    format_cpus,
    format_duration,
    format_percent,
    format_rate,
    format_size,
    parse_cpus,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_signed_duration,
    parse_size,
)
from stressnet.spec.words import listing, nearest, show

_PARSERS: Mapping[Unit, Callable[[object], float]] = {
    "duration": parse_duration,
    "rate": parse_rate,
    "size": parse_size,
    "share": parse_percent,
    "cpus": parse_cpus,
}
FORMATS: Mapping[Unit, Callable[[float], str]] = {
    "duration": format_duration,
    "rate": format_rate,
    "size": format_size,
    "share": format_percent,
    "cpus": format_cpus,
}
"""How a number in SI is written, by its unit."""


def read_kind(name: str, problems: list[Problem], kinds: Mapping[str, FaultKind] = KINDS) -> FaultKind | None:
    """Return the kind of fault of that name; None, and a problem, where there is none."""
    if name not in kinds:
        problems.append(
            _problem(name, f"there is no fault {show(name)}", listing(kinds), nearest(name, kinds))
        )
    return kinds.get(name)


def read_parameters(kind: FaultKind, texts: Sequence[str], problems: list[Problem]) -> dict[str, Value]:
    """Return all parameters of a kind in SI from texts such as `latency=80ms`; what is wrong goes to `problems`."""
    known = {parameter.name: parameter for parameter in kind.parameters}
    allowed = listing(_form(parameter) for parameter in kind.parameters) or f"{kind.name} takes no parameters"
    written: dict[str, str] = {}
    found: dict[str, Value] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if name in written:
            problems.append(_problem(text, f"{name} twice", "each parameter once"))
        elif name not in known:
            said = f"{kind.name} has no parameter {show(name)}" if sign else "no parameter"
            problems.append(_problem(text, said, allowed, nearest(name, known)))
        elif not sign or not value:
            problems.append(_problem(text, f"{name} without a value", _form(known[name])))
        else:
            _read(known[name], value, text, found, problems)
        written.setdefault(name, text)
    for parameter in kind.parameters:
        if parameter.default is not None:
            found.setdefault(parameter.name, parameter.default)
        elif parameter.name not in written:
            problems.append(_problem(kind.name, f"{parameter.name} is missing", _form(parameter)))
    _compare(kind, found, written, problems)
    return found


def read_value(parameter: Parameter, text: str, problems: list[Problem]) -> Value | None:
    """Return one value in SI; None where it is not right for its parameter, and `problems` gets why."""
    found: dict[str, Value] = {}
    _read(parameter, text, text, found, problems)
    return found.get(parameter.name)


def _problem(place: str, found: str, allowed: str, near: str = "") -> Problem:
    return Problem(place, 0, 0, "", found, allowed, near)


def _form(parameter: Parameter) -> str:
    return f"{parameter.name}={parameter.example}"


def _read(
    parameter: Parameter, value: str, text: str, found: dict[str, Value], problems: list[Problem]
) -> None:
    if parameter.unit == "word":
        if value in parameter.choices:
            found[parameter.name] = value
        else:
            near = nearest(value, parameter.choices)
            problems.append(_problem(text, show(value), listing(parameter.choices), near))
        return
    try:
        amount = _parser(parameter)(value)
    except QuantityError as error:
        problems.append(_problem(text, error.found, f"{error.allowed}, as in {_form(parameter)}"))
        return
    if not parameter.least <= amount <= parameter.most:
        problems.append(_problem(text, f"{value} is too {_side(parameter, amount)}", bounds(parameter)))
    elif not parameter.fits(amount):
        step = FORMATS[parameter.unit](parameter.step)
        problems.append(_problem(text, f"{value} is between two steps", f"multiples of {step}"))
    else:
        found[parameter.name] = amount


def _parser(parameter: Parameter) -> Callable[[object], float]:
    """Only where a parameter may be negative a sign is right."""
    if parameter.unit == "duration" and parameter.least < 0:
        return parse_signed_duration
    return _PARSERS[parameter.unit]


def _side(parameter: Parameter, amount: float) -> str:
    return "little" if amount < parameter.least else "much"


def _compare(
    kind: FaultKind, found: Mapping[str, Value], written: Mapping[str, str], problems: list[Problem]
) -> None:
    for parameter in kind.parameters:
        limit = parameter.up_to
        if limit in found and parameter.name in found and found[parameter.name] > found[limit]:  # type: ignore[operator]
            allowed = f"at most {limit}, {show_value(kind, limit, found[limit])}"
            problems.append(
                _problem(written[parameter.name], f"{parameter.name} is more than {limit}", allowed)
            )


def bounds(parameter: Parameter) -> str:
    """Return what a parameter may be, in words; nothing where its unit says it all."""
    if parameter.choices:
        return listing(parameter.choices)
    write = FORMATS[parameter.unit]
    least = write(parameter.least) if parameter.least else ""
    most = write(parameter.most) if parameter.most != float("inf") else ""
    if least and most:
        return f"{least} to {most}"
    return f"at least {least}" if least else f"at most {most}" if most else ""


def show_value(kind: FaultKind, name: str, value: Value) -> str:
    """Write a parameter's value with its unit; what the kind does not know, as it is."""
    for parameter in kind.parameters:
        if parameter.name == name and parameter.unit != "word" and isinstance(value, int | float):
            return FORMATS[parameter.unit](value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
