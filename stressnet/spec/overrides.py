"""`--set nodes.late.count=20`, and `set:` in a fault plan: values put over those of a topology."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from stressnet.errors import InputError, Problem
from stressnet.spec.yamlfile import MAX_DEPTH, Mark, Tree, parse_yaml


def apply_sets(tree: Tree, sets: tuple[str, ...], problems: list[Problem]) -> Tree:
    """Return the tree with every KEY=VALUE put in; the value is read as YAML."""
    for setting in sets:
        key, sign, text = setting.partition("=")
        mark = Mark(f"--set {key.strip()}")
        parts = key.strip().split(".")
        if not sign or not all(parts) or len(parts) > MAX_DEPTH:
            problems.append(Problem(mark.file, 0, 0, "", f"{setting!r} is not a setting", "KEY.KEY=VALUE"))
            continue
        value = _value(text, mark, problems)
        if value is not None:
            tree = _put(tree, parts, value, problems)
    return tree


def put(tree: Tree, settings: Tree, problems: list[Problem]) -> Tree:
    """Return the tree with a mapping of settings put in, nested or with dotted keys; each keeps its own place."""
    for key, value in _flat(settings):
        parts = key.split(".")
        if all(parts) and len(parts) <= MAX_DEPTH:
            tree = _put(tree, parts, value, problems)
        else:
            at = value.key_at
            problems.append(
                Problem(at.file, at.line, at.column, "set", f"{key!r} is not a setting", "KEY.KEY")
            )
    return tree


def _flat(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Tree]]:
    if not isinstance(tree.value, dict) or (prefix and not tree.value):
        yield prefix.removesuffix("."), tree
        return
    for key, item in tree.value.items():
        yield from _flat(item, f"{prefix}{key}.")


def _value(text: str, mark: Mark, problems: list[Problem]) -> Tree | None:
    noted: list[Problem] = []
    try:
        tree = parse_yaml(text, mark.file, noted) if text.strip() else Tree("", mark, mark)
    except InputError as error:
        noted.extend(error.problems)
    problems.extend(replace(problem, line=0, column=0) for problem in noted)
    return None if noted else _moved(tree, mark)


def _moved(tree: Tree, mark: Mark) -> Tree:
    """Give the whole tree one place: the option has no lines."""
    value = tree.value
    if isinstance(value, dict):
        value = {key: _moved(item, mark) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_moved(item, mark) for item in value]
    return replace(tree, value=value, at=mark, key_at=mark)


def _put(tree: Tree, parts: list[str], value: Tree, problems: list[Problem]) -> Tree:
    if not parts:
        return value
    if isinstance(tree.value, list):
        return _put_item(tree, tree.value, parts, value, problems)
    members = tree.value if isinstance(tree.value, dict) else {}
    key, rest = _longest_key(members, parts)
    below = members.get(key, Tree({}, value.at, value.at))
    return replace(tree, value={**members, key: _put(below, rest, value, problems)})


def _longest_key(members: dict[str, Tree], parts: list[str]) -> tuple[str, list[str]]:
    """A key may itself have dots (`config: {sync.concurrency: 4}`): the longest that is there is meant."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if key in members:
            return key, parts[length:]
    return parts[0], parts[1:]


def _put_item(tree: Tree, items: list[Tree], parts: list[str], value: Tree, problems: list[Problem]) -> Tree:
    index = int(parts[0]) if parts[0].isdecimal() and len(parts[0]) < 7 else -1
    if not 0 <= index < len(items):
        allowed = f"0 to {len(items) - 1}" if items else "nothing: the list is empty"
        problems.append(Problem(value.at.file, 0, 0, "", f"{parts[0]!r} is not in the list", allowed))
        return tree
    changed = [*items[:index], _put(items[index], parts[1:], value, problems), *items[index + 1 :]]
    return replace(tree, value=changed)
