"""How a kind file declares faults that its nodes do themselves, and how they become kinds of faults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.errors import Problem
from stressnet.faults.declared import Declared, Hook
from stressnet.faults.kind import FaultKind, Parameter, Unit, Value
from stressnet.faults.kinds import KINDS
from stressnet.spec.fault import read_value
from stressnet.spec.fields import Model, PortReference, Text, TextList, one_of, refuse
from stressnet.spec.probes import Params
from stressnet.spec.source import Path as DocumentPath
from stressnet.spec.source import Source
from stressnet.spec.words import listing, nearest, show

_MOST: Mapping[Unit, float] = {"duration": 86400.0, "rate": 1e11, "size": 2.0**50, "share": 1.0, "word": 0.0}
"""Where a kind sets no bound: a plan has no number without end."""
_UNITS = tuple(_MOST)
_VERBS = ("POST", "PUT", "PATCH", "DELETE", "GET")
_PATH = re.compile(r"/[!-~]{0,1000}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}\Z")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise refuse(
            show(value), "a name of a to z, 0 to 9 and '_', that starts with a letter, at most 31 long"
        )
    return value


def _path(value: Any) -> str:
    if not isinstance(value, str) or not _PATH.match(value):
        raise refuse(show(value), "a path that begins with '/', without spaces")
    return value


def _body(value: Any) -> Any:
    if not isinstance(value, str | dict | list):
        raise refuse(show(value), "a text, or a mapping or list that is sent as JSON")
    return value


FaultName = Annotated[
    str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": _NAME.pattern[:-2]})
]
UrlPath = Annotated[str, BeforeValidator(_path), WithJsonSchema({"type": "string"})]
Body = Annotated[Any, BeforeValidator(_body), WithJsonSchema({"type": ["string", "object", "array"]})]
UnitName = Annotated[
    Literal["duration", "rate", "size", "share", "word"],
    BeforeValidator(one_of(*_UNITS)),
    WithJsonSchema({"enum": list(_UNITS)}),
]
Verb = Annotated[str, BeforeValidator(one_of(*_VERBS)), WithJsonSchema({"enum": list(_VERBS)})]


class HttpHook(Model):
    """An HTTP request; any status from 200 to 299 says that it is done."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: UrlPath = Field(default="/", description="Path and query.")
    method: Verb = Field(default="POST", description="Verb of the request.")
    body: Body = Field(default=None, description="Body: a text, or a mapping or list that is sent as JSON.")


class RpcHook(Model):
    """Call a JSON-RPC 2.0 method by POST; an answer without `error` says that it is done."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: UrlPath = Field(default="/", description="Path that takes the POST.")
    method: Text = Field(description="Name of the method, as in `debug_setFault`.")
    params: Params = Field(default=[], description="Parameters of the call.")


class FaultHook(Model):
    """How a node is asked: by `http` or by `rpc`. In path, body and params `{name}` stands for a parameter's value."""

    http: HttpHook | None = Field(default=None, description="An HTTP request.")
    rpc: RpcHook | None = Field(default=None, description="A JSON-RPC call.")

    @model_validator(mode="after")
    def _one(self) -> FaultHook:
        given = [name for name in ("http", "rpc") if name in self.model_fields_set]
        if len(given) != 1:
            raise refuse("http and rpc together" if given else "no request", "one of http, rpc")
        return self


class FaultParameter(Model):
    """One number or word of a fault, as users give it: with its unit."""

    unit: UnitName = Field(description="What it is.")
    summary: Text = Field(default="", description="What it means, in a few words.")
    example: Text = Field(description="A right value with its unit, as in `10%`.")
    default: Text | None = Field(
        default=None, description="Value where none is given; without it one must be."
    )
    least: Text | None = Field(default=None, description="Smallest value that is right.")
    most: Text | None = Field(default=None, description="Largest value that is right.")
    choices: TextList | None = Field(default=None, description="For `unit: word`: all words that are right.")


class FaultDeclaration(Model):
    """A fault that nodes of this kind do themselves when they are asked."""

    summary: Text = Field(description="What it does, for `stressnet fault kinds`.")
    parameters: dict[FaultName, FaultParameter] = Field(default={}, description="What can be said of it.")
    on: FaultHook = Field(description="How a node is asked to begin; it may be asked again.")
    off: FaultHook = Field(description="How a node is asked to end.")


def declared(node_kind: str, name: str, fault: FaultDeclaration) -> Declared:
    """Return what a declaration that is right amounts to."""
    parameters = tuple(_parameter(one, spec, []) for one, spec in fault.parameters.items())
    kind = FaultKind(name, "protocol", fault.summary, parameters)
    return Declared(node_kind, kind, _hook(fault.on), _hook(fault.off))


def problems_of(source: Source, faults: Mapping[str, FaultDeclaration]) -> Iterator[Problem]:
    """Yield all that is wrong with the declarations of a kind but their ports."""
    for name, fault in faults.items():
        here = ("faults", name)
        if name in KINDS:
            yield source.problem(here, f"{name!r} is a fault of stressnet's own", "another name", key=True)
        for one, spec in fault.parameters.items():
            for key, problem in _wrong(one, spec):
                yield source.problem(
                    (*here, "parameters", one, *key),
                    problem.found,
                    problem.allowed,
                    problem.nearest,
                    key=not key,
                )
        for side in ("on", "off"):
            yield from _unknown_words(source, (*here, side), _hook(getattr(fault, side)), fault.parameters)


def _unknown_words(
    source: Source, path: DocumentPath, hook: Hook, known: Mapping[str, FaultParameter]
) -> Iterator[Problem]:
    for word in dict.fromkeys(hook.words()):
        if word not in known:
            allowed = (
                listing(f"{{{one}}}" for one in known) or "a name under `parameters`, of which there are none"
            )
            yield source.problem(
                (*path, hook.via), f"unknown parameter {{{word}}}", allowed, nearest(word, known)
            )


def _hook(spec: FaultHook) -> Hook:
    if spec.rpc is not None:
        return Hook("rpc", spec.rpc.port, spec.rpc.path, spec.rpc.method, spec.rpc.params)
    assert spec.http is not None
    return Hook("http", spec.http.port, spec.http.path, spec.http.method, spec.http.body)


def _wrong(name: str, spec: FaultParameter) -> Iterator[tuple[tuple[str, ...], Problem]]:
    """Yield the mistakes of one parameter, each behind the key that it is in."""
    if (spec.unit == "word") != bool(spec.choices):
        found = "words without choices" if spec.unit == "word" else f"choices of a {spec.unit}"
        yield (), Problem("", 0, 0, "", found, "`unit: word` and `choices` together")
        return
    if spec.unit == "word" and (spec.least or spec.most):
        yield (), Problem("", 0, 0, "", "bounds of a word", "`choices` alone")
        return
    problems: list[tuple[str, Problem]] = []
    parameter = _parameter(name, spec, problems)
    if parameter.most < parameter.least:
        problems = [("most", Problem("", 0, 0, "", "less than `least`", "at least as much"))]
    for key, problem in problems:
        yield (key,), problem


def _parameter(name: str, spec: FaultParameter, problems: list[tuple[str, Problem]]) -> Parameter:
    """Return a parameter in SI; what cannot be read of its bounds goes to `problems`, behind its key."""
    bare = Parameter(
        name, spec.unit, spec.summary, spec.example, most=_MOST[spec.unit], choices=tuple(spec.choices or ())
    )

    def read(key: str, within: Parameter, text: str | None) -> Value | None:
        said: list[Problem] = []
        value = None if text is None else read_value(within, text, said)
        problems.extend((key, one) for one in said)
        return value

    least, most = read("least", bare, spec.least), read("most", bare, spec.most)
    bounded = replace(
        bare,
        least=bare.least if least is None else float(least),
        most=bare.most if most is None else float(most),
    )
    read("example", bounded, spec.example)
    return replace(bounded, default=read("default", bounded, spec.default))
