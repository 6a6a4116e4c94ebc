"""How a fact is read from a node, as users write it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.spec.fields import Model, PortReference, Text, refuse
from stressnet.spec.words import listing, show


def _query(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse(show(value), "a JMESPath, as in result.height")
    try:
        jmespath.compile(value)
    except JMESPathError:
        raise refuse(f"{value!r} is not a JMESPath", "a JMESPath, as in result.height") from None
    return value


def _pattern(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse(show(value), "a regular expression in quotes")
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise refuse(f"{value!r} is not a regular expression: {error}", "a regular expression") from None
    return value


def _params(value: Any) -> Any:
    if not isinstance(value, list):
        raise refuse(show(value), 'a list, as in ["latest", false]')
    return value


def _started(value: Any) -> bool:
    if value is not True:
        raise refuse(show(value), "true")
    return True


Query = Annotated[str, BeforeValidator(_query), WithJsonSchema({"type": "string"})]
Pattern = Annotated[str, BeforeValidator(_pattern), WithJsonSchema({"type": "string", "format": "regex"})]
Params = Annotated[list[Any], BeforeValidator(_params), WithJsonSchema({"type": "array"})]
Started = Annotated[Literal[True], BeforeValidator(_started), WithJsonSchema({"const": True})]


class HttpProbe(Model):
    """GET a path; the status 200 counts, or a value in the JSON answer."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: Text = Field(default="/", description="Path and query.")
    query: Query = Field(default="", alias="json", description="JMESPath into the JSON answer.")


class RpcProbe(Model):
    """Call a JSON-RPC 2.0 method by POST."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: Text = Field(default="/", description="Path that takes the POST.")
    method: Text = Field(description="Name of the method, as in `eth_blockNumber`.")
    params: Params = Field(default=[], description="Parameters of the call.")
    query: Query = Field(
        default="", alias="json", description="JMESPath into the JSON answer, as in `result`."
    )


class TcpProbe(Model):
    """Connect to a port."""

    port: PortReference = Field(description="Name of the port, or its number.")


class MetricsProbe(Model):
    """Where Prometheus metrics are served."""

    port: PortReference = Field(description="Name of the port, or its number.")
    path: Text = Field(default="/metrics", description="Path of the metrics.")


def _only_one(model: Model, fields: tuple[str, ...]) -> None:
    given = [name for name in fields if name in model.model_fields_set]
    if len(given) != 1:
        found = f"{' and '.join(given)} together" if given else "no probe"
        raise refuse(found, f"one of {listing(fields)}")


class ValueProbe(Model):
    """How a fact is read: by `http` or by `rpc`."""

    http: HttpProbe | None = Field(default=None, description="GET a path.")
    rpc: RpcProbe | None = Field(default=None, description="Call a JSON-RPC method.")

    @model_validator(mode="after")
    def _one(self) -> ValueProbe:
        _only_one(self, ("http", "rpc"))
        return self


class ReadyProbe(Model):
    """When a node counts as ready: one of the following."""

    http: HttpProbe | None = Field(
        default=None, description="GET a path; status 200, and the value at `json` if given."
    )
    rpc: RpcProbe | None = Field(default=None, description="A JSON-RPC method answers.")
    tcp: TcpProbe | None = Field(default=None, description="The port accepts a connection.")
    log: Pattern | None = Field(
        default=None, description="A line of the log matches this regular expression."
    )
    started: Started | None = Field(default=None, description="The process runs; nothing more is asked.")

    @model_validator(mode="after")
    def _one(self) -> ReadyProbe:
        _only_one(self, ("http", "rpc", "tcp", "log", "started"))
        return self
