"""Read YAML strictly, and remember the line and column of every key and value.

PyYAML's own loader keeps the last of two equal keys, reads `no` as false, `010` as 8 and `10:30` as 630.
Here the event stream is read instead: only true, false, null and decimal numbers are typed, the rest is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import yaml

from stressnet.errors import InputError, Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_ITEMS = 100_000
"""Counted after aliases are expanded, so a small file cannot become a large one."""

Scalar: TypeAlias = "str | int | float | bool | None"
Content: TypeAlias = "Scalar | dict[str, Tree] | list[Tree]"

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Scalar] = {"true": True, "false": False, "null": None, "~": None, "": None}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,39})\Z")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?\Z")
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; lines and columns count from 1, 0 means the whole file."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Tree:
    """A value and where it was written. `key_at` is the place of its key (of itself where it has none)."""

    value: Content
    at: Mark
    key_at: Mark
    plain: bool = True
    """False for a quoted text, which stays a text whatever it looks like."""
    size: int = 1

    def data(self) -> Any:
        """Return the plain dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: item.data() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.data() for item in self.value]
        return self.value


def read_yaml(file: str, problems: list[Problem]) -> Tree:
    """Read one file; mistakes that leave a value are appended, others raise InputError."""
    return parse_yaml(_text(file), file, problems)


def parse_yaml(text: str, file: str, problems: list[Problem]) -> Tree:
    """Read one document from text; mistakes that leave a value are appended, others raise InputError."""
    bad = _FORBIDDEN.search(text)
    if bad:
        place = _place(text, bad.start())
        raise _fatal(Mark(file, *place), f"the character U+{ord(bad[0]):04X}", "printable characters")
    try:
        return _Builder(text, file, problems).document()
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error, text, file) from None
    except yaml.YAMLError as error:
        raise _fatal(Mark(file), f"not YAML: {error}") from None


def typed(text: str) -> Scalar:
    """Return what an unquoted scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    if _DECIMAL.match(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _text(file: str) -> str:
    try:
        with open(file, "rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _fatal(Mark(file), f"cannot be read: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise _fatal(Mark(file), "the file is larger than 1 MiB", "at most 1 MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        mark = Mark(file, *_place(before, len(before)))
        raise _fatal(mark, f"byte 0x{raw[error.start]:02x} is not UTF-8", "a file in UTF-8") from None


def _place(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _fatal(mark: Mark, found: str, allowed: str = "") -> InputError:
    return InputError([Problem(mark.file, mark.line, mark.column, "", found, allowed)])


def _too_deep(mark: Mark) -> InputError:
    return _fatal(mark, f"nested more than {MAX_DEPTH} levels deep")


def _not_yaml(error: yaml.MarkedYAMLError, text: str, file: str) -> InputError:
    at = error.problem_mark or error.context_mark
    if at is None:
        return _fatal(Mark(file), f"not YAML: {error.problem}")
    mark = Mark(file, at.line + 1, at.column + 1)
    if "nesting depth" in (error.problem or ""):  # libyaml's own bound, which it meets as it looks ahead
        return _too_deep(mark)
    lines = text.splitlines()
    line = lines[at.line] if at.line < len(lines) else ""
    if "\t" in line[: at.column + 1]:
        mark = replace(mark, column=line.index("\t") + 1)
        return _fatal(mark, "a tab", "spaces for indentation")
    if "${" in line:
        return _fatal(mark, f"not YAML: {error.problem}", 'quotes within braces, as in {count: "${COUNT}"}')
    return _fatal(mark, f"not YAML: {error.problem}")


class _Builder:
    """Turns the parser's events into a Tree, within bounds."""

    def __init__(self, text: str, file: str, problems: list[Problem]) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._file = file
        self._problems = problems
        self._anchors: dict[str, Tree] = {}
        self._items = 0

    def document(self) -> Tree:
        next(self._events)
        start = next(self._events)
        if isinstance(start, yaml.StreamEndEvent):
            raise _fatal(Mark(self._file, 1, 1), "the file is empty")
        tree = self._node(next(self._events), 0)
        next(self._events)
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise _fatal(self._mark(more), "a second document", "one document in a file")
        return tree

    def _mark(self, event: Any) -> Mark:
        return Mark(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _note(self, mark: Mark, found: str, allowed: str = "") -> None:
        self._problems.append(Problem(mark.file, mark.line, mark.column, "", found, allowed))

    def _node(self, event: Any, depth: int) -> Tree:
        mark = self._mark(event)
        if depth > MAX_DEPTH:
            raise _too_deep(mark)
        if isinstance(event, yaml.AliasEvent):
            tree = self._alias(event, mark)
            self._count(tree.size, mark)
            return tree
        self._count(1, mark)
        return self._fresh(event, mark, depth)

    def _count(self, items: int, mark: Mark) -> None:
        self._items += items
        if self._items > MAX_ITEMS:
            raise _fatal(mark, f"more than {MAX_ITEMS} values (aliases counted where they are used)")

    def _alias(self, event: Any, mark: Mark) -> Tree:
        known = self._anchors.get(event.anchor)
        if known is None:
            self._note(mark, f"the alias *{event.anchor} has no complete anchor before it")
            return Tree(None, mark, mark)
        return replace(known, at=mark, key_at=mark)

    def _fresh(self, event: Any, mark: Mark, depth: int) -> Tree:
        if event.tag and not (isinstance(event, yaml.ScalarEvent) and any(event.implicit)):
            self._note(mark, f"the tag {event.tag}", "no tags")
        if isinstance(event, yaml.ScalarEvent):
            plain = bool(event.implicit[0])
            tree = Tree(typed(event.value) if plain else event.value, mark, mark, plain)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = list(self._sequence(depth))
            tree = Tree(items, mark, mark, size=1 + sum(item.size for item in items))
        else:
            members = self._mapping(depth)
            tree = Tree(members, mark, mark, size=1 + sum(item.size for item in members.values()))
        if event.anchor:
            self._anchors[event.anchor] = tree
        return tree

    def _sequence(self, depth: int) -> Iterator[Tree]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _mapping(self, depth: int) -> dict[str, Tree]:
        members: dict[str, Tree] = {}
        merged: list[Tree] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            at = self._mark(event)
            key = self._key(event, depth)
            value = replace(self._node(next(self._events), depth + 1), key_at=at)
            if key == "<<" and event.implicit[0]:
                merged.append(value)
            elif key in members:
                first = members[key].key_at
                self._note(at, f"the key {key!r} again; it is already on line {first.line}", "each key once")
            elif key is not None:
                members[key] = value
        return self._merge(merged, members)

    def _key(self, event: Any, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(1, self._mark(event))
            return str(event.value)
        self._note(self._mark(event), "a key that is not a word", "a word as key")
        self._node(event, depth + 1)
        return None

    def _merge(self, merged: list[Tree], members: dict[str, Tree]) -> dict[str, Tree]:
        """Resolve `<<: *defaults`; the mapping's own keys win."""
        for tree in merged:
            for source in tree.value if isinstance(tree.value, list) else [tree]:
                if isinstance(source.value, dict):
                    members = {**source.value, **members}
                else:
                    self._note(source.at, "'<<' with something that is not a mapping", "<<: *an_anchor")
        return members
