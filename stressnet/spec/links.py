"""Who knows whom at the start, as users write it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from stressnet.spec.fields import AlsoWritten, Model, refuse, whole
from stressnet.spec.words import listing, nearest, show

_SHAPES = ("full", "ring", "line", "star", "tree", "random")
_EXAMPLE = "`random: {degree: 6}`"


def _selector(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise refuse(show(value), "the name of a node or group, or a glob such as eu-*")
    return value


Selector = Annotated[str, BeforeValidator(_selector), WithJsonSchema({"type": "string"})]
Fanout = Annotated[int, BeforeValidator(whole(1, 1000)), WithJsonSchema({"type": "integer", "minimum": 1})]


_TWO_NAMES = {
    "type": "array",
    "items": {"type": "string"},
    "minItems": 2,
    "maxItems": 2,
    "description": "[a, b]: they know each other.",
}
SHORT_FORMS: tuple[dict[str, Any], ...] = ({"enum": [*_SHAPES]}, {"type": "array"})


class NoOptions(Model):
    """A shape without options."""


class Star(Model):
    """Everyone knows the centre, and the centre everyone."""

    center: Selector = Field(
        default="", description="Node, group or glob in the middle; default: the first node."
    )


class Tree(Model):
    """Everyone knows its parent and its children."""

    fanout: Fanout = Field(default=2, description="Children of each node.")


class Random(Model):
    """A connected random graph in which everyone knows equally many."""

    degree: Fanout = Field(default=6, description="How many others each node knows.")


class Pair(Model):
    """`from` knows `to` (each the name of a node or group, or a glob)."""

    source: Selector = Field(alias="from", description="Who knows.")
    target: Selector = Field(alias="to", description="Who is known.")
    both: bool = Field(default=False, description="`to` knows `from` as well.")


def _pair(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) != 2:
            raise refuse(f"a list of {len(value)}", "[a, b], which know each other, or {from: a, to: b}")
        return {"from": value[0], "to": value[1], "both": True}
    if not isinstance(value, dict):
        raise refuse(show(value), "[a, b], which know each other, or {from: a, to: b}")
    return value


class Links(Model):
    """The shape of the graph; exactly one."""

    full: NoOptions | None = Field(default=None, description="Everyone knows everyone.")
    ring: NoOptions | None = Field(
        default=None, description="Everyone knows the one before and the one after, in a circle."
    )
    line: NoOptions | None = Field(
        default=None, description="Everyone knows the one before and the one after."
    )
    star: Star | None = Field(default=None, description="Everyone knows the centre, and the centre everyone.")
    tree: Tree | None = Field(default=None, description="Everyone knows its parent and its children.")
    random: Random | None = Field(
        default=None, description="A connected random graph of equal degree, by the seed."
    )
    pairs: list[Annotated[Pair, BeforeValidator(_pair), AlsoWritten((_TWO_NAMES,))]] | None = Field(
        default=None, description="An explicit list; also written without this key."
    )

    @model_validator(mode="after")
    def _one(self) -> Links:
        given = sorted(self.model_fields_set)
        if len(given) != 1:
            found = f"{' and '.join(given)} together" if given else "no shape"
            raise refuse(found, f"one of {listing(_SHAPES)}, or a list of pairs")
        return self


def normal_links(value: Any) -> Any:
    """Bring the short forms (`ring`, a list of pairs, `random:` without options) to the one normal form."""
    if isinstance(value, str):
        if value not in _SHAPES:
            raise refuse(show(value), f"{listing(_SHAPES)}, or a list of pairs", nearest(value, _SHAPES))
        return {value: {}}
    if isinstance(value, list):
        return {"pairs": value}
    if isinstance(value, dict):
        return {key: {} if item is None else item for key, item in value.items()}
    raise refuse(show(value), f"{listing(_SHAPES)}, a list of pairs, or {_EXAMPLE}")
