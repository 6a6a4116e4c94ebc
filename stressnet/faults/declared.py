"""Faults that a kind of node declares (layer "protocol"): the node does something wrong itself, by a request to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stressnet.faults.kind import FaultKind, Parameter, Value
from stressnet.faults.kinds import KINDS

_WORD = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Hook:
    """One request to a port of the node, from inside its network namespace. `{name}` in it is a parameter's value.

    A value is in SI: seconds, bits a second, bytes, a share from 0 to 1, a word. A text that is nothing but
    `{name}` becomes the number itself.
    """

    via: Literal["http", "rpc"]
    port: str | int
    """Name of a port of the node, or a number."""
    path: str
    method: str
    """A verb of HTTP, or a method of JSON-RPC 2.0."""
    content: Any = None
    """http: the body, a text or what is sent as JSON, None for none; rpc: the list of parameters."""

    def words(self) -> Iterator[str]:
        """Yield the names of parameters that stand in it."""
        yield from _words([self.path, self.content])

    def request(self, parameters: Mapping[str, Value]) -> tuple[str, str, bytes]:
        """Return verb, path and body for these values; KeyError where one is missing."""
        for missing in (word for word in self.words() if word not in parameters):
            raise KeyError(missing)
        path, content = filled(self.path, parameters), filled(self.content, parameters)
        if self.via == "rpc":
            call = {"jsonrpc": "2.0", "id": 1, "method": self.method, "params": content}
            return "POST", str(path), json.dumps(call).encode()
        if content is None:
            return self.method, str(path), b""
        body = content if isinstance(content, str) else json.dumps(content)
        return self.method, str(path), body.encode()


@dataclass(frozen=True, slots=True)
class Declared:
    """A fault, the kind of node that can do it, and how that is asked."""

    node_kind: str
    fault: FaultKind
    on: Hook
    off: Hook

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> Declared:
        """Read it from plain data."""
        fault = raw["fault"]
        parameters = tuple(
            Parameter(**{**one, "choices": tuple(one["choices"])}) for one in fault["parameters"]
        )
        return cls(
            raw["node_kind"],
            FaultKind(**{**fault, "parameters": parameters}),
            Hook(**raw["on"]),
            Hook(**raw["off"]),
        )


def with_declared(declared: Iterable[Declared]) -> dict[str, FaultKind]:
    """Return our own kinds of faults and these, by name."""
    return {**KINDS, **{one.fault.name: one.fault for one in declared}}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _WORD.findall(value)
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _words(item)


def filled(value: Any, parameters: Mapping[str, Value]) -> Any:
    """Put parameters in the place of their names in braces, in all texts of a value; other braces stay.

    A text that is nothing but `{name}` becomes the number itself.
    """
    if isinstance(value, str):
        alone = _WORD.fullmatch(value)
        if alone and alone[1] in parameters:
            return _plain(parameters[alone[1]])
        return _WORD.sub(lambda found: str(_plain(parameters.get(found[1], found[0]))), value)
    if isinstance(value, dict):
        return {key: filled(item, parameters) for key, item in value.items()}
    return [filled(item, parameters) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: Value) -> Value:
    """4096 rather than 4096.0: many programs refuse a fraction where they want a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
