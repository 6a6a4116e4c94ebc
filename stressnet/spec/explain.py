"""Say in plain words, with line and column, what a model refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stressnet.errors import Problem
from stressnet.spec.fields import REFUSED
from stressnet.spec.source import Source
from stressnet.spec.words import UNKNOWN_KEY, listing, nearest, show

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def explain(error: ValidationError, model: type[BaseModel], source: Source) -> list[Problem]:
    """Turn every mistake that the model found into a problem with its place."""
    return [_problem(detail, model, source) for detail in error.errors(include_url=False)]


def _problem(detail: ErrorDetails, model: type[BaseModel], source: Source) -> Problem:
    kind, path, value = detail["type"], list(detail["loc"]), detail["input"]
    at_key = bool(path) and path[-1] == "[key]"
    if at_key:
        path.pop()
    owner = _model_at(model, path[:-1])
    # What is missing has no place of its own, whatever the normal form says.
    path = [*source.written(path[:-1]), path[-1]] if kind == "missing" else list(source.written(path))
    if kind == "extra_forbidden":
        keys = _keys(owner) if owner else []
        near = nearest(str(path[-1]), keys)
        return source.problem(path, UNKNOWN_KEY, listing(keys) or "no keys", near, key=True)
    if kind == "missing":
        return source.problem(path, "is missing", _describe(owner, path[-1]), key=True)
    if kind == REFUSED:
        words = detail.get("ctx", {})
        allowed = words["allowed"]
        if words["example"]:
            allowed += f", as in `{path[-1]}: {words['example']}`"
        return source.problem(path, words["found"], allowed, words["nearest"], key=at_key)
    return source.problem(path, show(value), _WANTED.get(kind, detail["msg"]), key=at_key)


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _describe(model: type[BaseModel] | None, key: str | int) -> str:
    for name, field in model.model_fields.items() if model else ():
        if key in (name, field.alias):
            return (field.description or "").partition(";")[0].rstrip(".")
    return ""


def _model_at(model: type[BaseModel], path: list[str | int]) -> type[BaseModel] | None:
    """Return the model that a path leads into."""
    here: Any = model
    for part in path:
        here = _below(here, part)
    return next(_models(here), None)


def _below(annotation: Any, part: str | int) -> Any:
    for model in _models(annotation):
        for name, field in model.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
    return next((args[-1] for args in _containers(annotation)), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of this annotation is itself (not what it contains)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) not in (list, dict, tuple):
        for argument in get_args(annotation):
            yield from _models(argument)


def _containers(annotation: Any) -> Iterator[tuple[Any, ...]]:
    if get_origin(annotation) in (list, dict):
        yield get_args(annotation)
    else:
        for argument in get_args(annotation):
            yield from _containers(argument)
