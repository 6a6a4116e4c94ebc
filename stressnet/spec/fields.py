"""The field types that topologies and kinds share, and the base of their models."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError

from stressnet.spec.units import QuantityError, parse_duration, parse_latency, parse_size
from stressnet.spec.words import listing, nearest, show

REFUSED: Final = "refused"
"""The type of the errors made here; they carry their own words."""

NAME_PATTERN = "[a-z](?:[a-z0-9-]{0,29}[a-z0-9])?"
_NAME = re.compile(NAME_PATTERN + r"\Z")
_RESERVED = frozenset({"all", "any", "gateway", "highest", "lagging", "localhost", "rest"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}\Z")
_PORT = re.compile(r"([0-9]{1,5})(?:/(tcp|udp))?\Z")
_PORT_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}\Z")
_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,254}\Z")


class Model(BaseModel):
    """Frozen, strict, and closed: an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=False)


@dataclass(frozen=True)
class AlsoWritten:
    """For the JSON Schema: other forms of a value, which a validator brings to the model's own."""

    forms: tuple[dict[str, Any], ...]

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"oneOf": [handler(core_schema), *self.forms]}


def refuse(found: str, allowed: str, near: str = "", example: str = "") -> PydanticCustomError:
    """Make the error of a validator, with what was found, what is allowed and what was probably meant.

    `example` is a right value; it is shown with its key, as the right line would be.
    """
    words = {"found": found, "allowed": allowed, "nearest": near, "example": example}
    return PydanticCustomError(REFUSED, "{found}", words)


def _field(parse: Callable[[Any], Any], **schema: Any) -> Any:
    return BeforeValidator(parse), WithJsonSchema(schema)


def _matching(
    pattern: re.Pattern[str], allowed: str, reserved: frozenset[str] = frozenset()
) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not isinstance(value, str) or not pattern.match(value):
            raise refuse(show(value), allowed)
        if value in reserved:
            raise refuse(f"{value!r}, a word with a meaning of its own", "another name")
        return value

    return parse


def _quantity(parse: Callable[[Any], Any], *, positive: bool = False) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            amount = parse(value)
        except QuantityError as error:
            raise refuse(error.found, error.allowed, example=error.example) from None
        if positive and not amount:
            raise refuse(show(value), "more than zero")
        return amount

    return read


def _text(value: Any) -> str:
    """Accept whole numbers and booleans where a text is meant; 1.10 would silently become 1.1."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        raise refuse(f"the number {value}", f'text in quotes, as in "{value}"')
    if not isinstance(value, str | int):
        raise refuse(show(value), "text")
    if "\0" in str(value):
        raise refuse("a text with a zero byte", "text without it")
    return str(value)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise refuse(show(value), f"a list, as in [{value if isinstance(value, str) else 'a, b'}]")
    return value


def _command(value: Any) -> list[Any]:
    words = _listed(value)
    if not words or words[0] in ("", None):
        raise refuse(show(words) if not words else "an empty first word", "at least one word: the program")
    return words


def _port(value: Any) -> tuple[int, str]:
    match = _PORT.match(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if not match or not 0 < int(match[1]) < 65536:
        raise refuse(show(value), "1 to 65535, with /tcp or /udp after it if needed, as in 9000/tcp")
    return int(match[1]), match[2] or "tcp"


def _port_reference(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise refuse(show(value), "the name of a port, or its number")
    if isinstance(value, int) and not 0 < value < 65536:
        raise refuse(str(value), "1 to 65535")
    return value


def _cpu(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse(show(value), "a number of CPUs, as in 0.5 or 2")
    if not 0.01 <= value <= 1024:
        raise refuse(f"{value} CPUs", "0.01 to 1024")
    return float(value)


def _memory(value: Any) -> int:
    size: int = _quantity(parse_size)(value)
    if not 2**20 <= size <= 2**46:
        raise refuse(show(value), "1MiB to 64TiB")
    return size


def _disk(value: Any) -> int:
    size: int = _quantity(parse_size)(value)
    if not 2**16 <= size <= 2**46:
        raise refuse(show(value), "64KiB to 64TiB")
    return size


def whole(least: int, most: int) -> Any:
    """Return the checks of a whole number within bounds."""

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise refuse(show(value), f"a whole number from {least} to {most}")
        if not least <= value <= most:
            raise refuse(str(value), f"{least} to {most}")
        return value

    return parse


def plain_number(value: Any) -> float:
    """Return a number that has no unit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise refuse(show(value), "a number")
    return float(value)


def _per_second(value: Any) -> float:
    number, sign, unit = str(value).partition("/")
    try:
        rate = float(number)
    except ValueError:
        rate = 0.0
    if not sign or unit != "s" or not 0 < rate <= 1000:
        raise refuse(show(value), "how often a second, up to 1000/s", example="20/s")
    return rate


def one_of(*choices: str) -> Callable[[Any], str]:
    """Return the check of a word out of a few."""

    def parse(value: Any) -> str:
        if value not in choices or not isinstance(value, str):
            raise refuse(show(value), listing(choices), nearest(str(value), choices))
        return value

    return parse


NAME_WORDS = "a name of a to z, 0 to 9 and '-', that starts with a letter, at most 31 long"
Name = Annotated[
    str, *_field(_matching(_NAME, NAME_WORDS, _RESERVED), type="string", pattern=f"^{NAME_PATTERN}$")
]
Text = Annotated[str, *_field(_text, type=["string", "integer", "boolean"])]
TextList = Annotated[
    list[Text], *_field(_listed, type="array", items={"type": ["string", "integer", "boolean"]})
]
Command = Annotated[
    list[Text], *_field(_command, type="array", items={"type": ["string", "integer", "boolean"]}, minItems=1)
]
Variable = Annotated[str, *_field(_matching(_VARIABLE, "a name of letters, digits and '_'"), type="string")]
Label = Annotated[
    str, *_field(_matching(_LABEL, "a name of letters, digits, '.', '_' and '-'"), type="string")
]
ImageName = Annotated[
    str,
    *_field(_matching(_IMAGE, "the reference of an image, as in name:tag"), type="string"),
]
PortName = Annotated[
    str, *_field(_matching(_PORT_NAME, "a name of a to z, 0 to 9, '-' and '_'"), type="string")
]
PortNumber = Annotated[tuple[int, str], *_field(_port, type=["string", "integer"], examples=["9000/tcp"])]
PortReference = Annotated[str | int, *_field(_port_reference, type=["string", "integer"])]
Seconds = Annotated[float, *_field(_quantity(parse_duration), type="string", examples=["20s"])]
Number = Annotated[float, *_field(plain_number, type="number")]
PerSecond = Annotated[float, *_field(_per_second, type="string", examples=["20/s"])]
SomeSeconds = Annotated[
    float, *_field(_quantity(parse_duration, positive=True), type="string", examples=["20s"])
]
LatencyText = Annotated[
    tuple[float, float], *_field(_quantity(parse_latency), type="string", examples=["80ms ± 5ms"])
]
MemorySize = Annotated[int, *_field(_memory, type="string", examples=["256MiB"])]
DiskSize = Annotated[int, *_field(_disk, type="string", examples=["64MiB"])]
CpuShare = Annotated[float, *_field(_cpu, type="number", minimum=0.01, maximum=1024)]
