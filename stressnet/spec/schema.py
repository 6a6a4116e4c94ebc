"""The JSON Schemas of the file formats."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from stressnet.spec.kind import Kind
from stressnet.spec.topology import Topology

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[str, type[BaseModel]] = {"topology": Topology, "kind": Kind}


def schema(name: str) -> dict[str, Any]:
    """Return the schema of `topology` or `kind`."""
    return schema_of(_MODELS[name])


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a file that is read as this model."""
    return {"$schema": DIALECT, **model.model_json_schema(by_alias=True)}


def schema_text(body: dict[str, Any]) -> str:
    """Return a schema as text."""
    return json.dumps(body, indent=2, ensure_ascii=False)
