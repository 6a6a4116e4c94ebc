"""Tables of the keys of a file format, and of faults, made from the code for the pages of docs/.

`stressnet/faultplan/reference.py` says which page has which, and writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from stressnet.faults.kind import FaultKind, Parameter
from stressnet.faults.kinds import KINDS
from stressnet.spec.fault import bounds, show_value

BEGIN, END = "<!-- keys: made from the models -->", "<!-- end of keys -->"


def put_between(page: str, tables: str) -> str:
    """Return a page with something else between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"


def tables(body: dict[str, Any], elsewhere: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a section with a table for every model of a format, from its schema.

    `elsewhere`: models that are described on another page, and where.
    """
    sections = {body["title"]: body, **body.get("$defs", {})}
    order = list(_reachable(body["title"], sections, elsewhere))
    text = "\n".join(section(title, sections[title]) for title in order)
    for title, page in elsewhere.items():
        text = text.replace(f"(#{title.lower()})", f"({page})")
    return text


def fault_tables() -> str:
    """Return a section with a table for every layer of faults."""
    return "\n".join(_layer(layer) for layer in dict.fromkeys(kind.layer for kind in KINDS.values()))


def _layer(layer: str) -> str:
    lines = [f"### Faults on {layer}s", "", "| fault | what it does | parameters |", "| --- | --- | --- |"]
    for kind in KINDS.values():
        if kind.layer == layer:
            parameters = "<br>".join(_parameter(kind, one) for one in kind.parameters) or "none"
            lines.append(f"| `{kind.name}` | {_cell(kind.summary)} | {parameters} |")
    return "\n".join([*lines, ""])


def _parameter(kind: FaultKind, one: Parameter) -> str:
    usual = "**required**" if one.default is None else f"default `{show_value(kind, one.name, one.default)}`"
    allowed = bounds(one) or f"at most `{one.up_to}`"
    return f"`{one.name}={one.example}` {_cell(one.summary)}; {allowed}; {usual}"


def _reachable(title: str, sections: dict[str, Any], elsewhere: Mapping[str, str]) -> Iterator[str]:
    """Yield the models in the order in which a reader meets them."""
    todo, seen = [title], set(elsewhere)
    while todo:
        here = todo.pop(0)
        if here not in seen and sections[here].get("properties"):
            seen.add(here)
            yield here
            todo.extend(_references(sections[here]["properties"]))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def section(title: str, model: dict[str, Any]) -> str:
    """Return the table of a model, from its schema."""
    required = model.get("required", [])
    lines = [f"### {title}", "", model["description"], "", "| key | value | meaning |", "| --- | --- | --- |"]
    for key, item in model["properties"].items():
        needed = " **Required.**" if key in required else ""
        lines.append(f"| `{key}` | {_value(item)} | {_cell(item.get('description', ''))}{needed} |")
    return "\n".join([*lines, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _value(item: dict[str, Any]) -> str:
    if "$ref" in item:
        title = item["$ref"].rpartition("/")[2]
        return "`{}`" if title == "NoOptions" else f"[{title}](#{title.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in item:
            words = [_value(one) for one in item[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(words))
    if "enum" in item:
        return ", ".join(f"`{choice}`" for choice in item["enum"])
    if "const" in item:
        return f"`{str(item['const']).lower()}`"
    if item.get("examples"):
        return f"such as `{item['examples'][0]}`"
    return _of_type(item)


def _of_type(item: dict[str, Any]) -> str:
    kind = item.get("type", "any")
    if isinstance(kind, list):
        return "text" if "integer" in kind else "text or list"
    if kind == "array":
        return f"list of {_value(item['items'])}" if item.get("items") else "list"
    if kind == "object":
        below = item.get("additionalProperties") or next(
            iter(item.get("patternProperties", {}).values()), None
        )
        return f"name: {_value(below)}" if isinstance(below, dict) else "mapping"
    words = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`", "any": "anything"}
    return words.get(kind, str(kind))
