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
    return {"$schema": DIALECT, **_MODELS[name].model_json_schema(by_alias=True)}


def schema_text(name: str) -> str:
    """Return the schema as text."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False)
