"""The texts of kinds and topologies that may have placeholders, and which placeholders mean something where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from stressnet.errors import Problem
from stressnet.spec import placeholders
from stressnet.spec.kind import Kind
from stressnet.spec.source import Path as DocumentPath
from stressnet.spec.source import Source
from stressnet.spec.words import listing, nearest

Place = Literal["file", "env", "prepare", "block", "other"]
"""Where a text with placeholders goes: not every word means something everywhere."""
_MEANT = {
    "file": placeholders.WORDS,
    "env": placeholders.WORDS - placeholders.PREPARED - {"env"},
    "prepare": placeholders.NET_WIDE,
    "block": placeholders.WORDS - placeholders.PREPARED | placeholders.ASKED,
    "other": placeholders.WORDS - placeholders.PREPARED,
}


def texts_of(path: tuple[str | int, ...], value: Any) -> Iterator[tuple[DocumentPath, str]]:
    """Yield every text in a value of lists and mappings, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of((*path, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_of((*path, index), item)


def place_of(path: DocumentPath) -> Place:
    """Return where a text of a kind file goes."""
    if tuple(path[:2]) == ("prepare", "command"):
        return "prepare"
    places: dict[str | int, Place] = {"env": "env", "block": "block", "files": "file", "config": "file"}
    return places.get(path[0], "other")


def probe_texts(path: tuple[str | int, ...], probe: Any) -> Iterator[tuple[DocumentPath, str]]:
    """Yield the texts of a probe that may have placeholders: its path and its parameters."""
    for via in ("http", "rpc"):
        options = getattr(probe, via, None)
        for name in ("path", "params"):
            yield from texts_of((*path, via, name), getattr(options, name, None))
    yield from texts_of((*path, "path"), getattr(probe, "path", None))


def asks_height(text: str) -> bool:
    """Tell whether the number of a block goes into a text."""
    return any(one.word in placeholders.ASKED for one in placeholders.parse(text).placeholders)


def check_placeholders(
    source: Source,
    path: DocumentPath,
    text: str,
    kind: Kind,
    ports: Iterable[str] | None = None,
    *,
    place: Place = "other",
    others: Iterable[str] = (),
) -> Iterator[Problem]:
    """Yield the placeholders of a text that mean nothing for this kind in this place.

    `others` are ports of other nodes, which `{knows:PORT}` and `{boot:PORT}` may name as well.
    """
    words = _MEANT[place]
    if place == "block":
        yield from _literal_height(source, path, text)
    for one in placeholders.parse(text).placeholders:
        if one.word in placeholders.PREPARED and place != "file":
            found = f"{one}, but prepared files are read only when the files of nodes are written"
            yield source.problem(path, found, "in `files` and `config`")
        elif one.word in placeholders.PREPARED and kind.prepare is None:
            yield source.problem(
                path, f"{one}, but the kind {kind.name} prepares nothing", "a kind with `prepare`"
            )
        elif one.word == "env" and place == "env":
            yield source.problem(path, f"{one} within the environment", "a value without {env:...}")
        elif one.word not in words:
            allowed = f"{listing(sorted(words), len(words))}; {{{one}}} to write it as it is"
            yield source.problem(path, f"unknown placeholder {one}", allowed, nearest(one.word, words))
        elif bool(one.argument) and one.word not in placeholders.MAY_HAVE_ARGUMENT:
            yield source.problem(path, f"{one} with an argument", f"{{{one.word}}}")
        elif not one.argument and one.word in placeholders.NEED_ARGUMENT:
            yield source.problem(path, f"{one} without an argument", f"{{{one.word}:...}}")
        else:
            known = kind.ports if ports is None else ports
            if one.word in ("knows", "boot"):
                known = dict.fromkeys((*known, *others))
            yield from _argument(source, path, one, kind, known)


def _literal_height(source: Source, path: DocumentPath, text: str) -> Iterator[Problem]:
    """Yield `{{height}}`, which could not be told from `{height}` once the braces around it are gone."""
    literal = (part for part in placeholders.parse(text).parts if isinstance(part, str))
    if any(f"{{{word}}}" in part for part in literal for word in placeholders.ASKED):
        yield source.problem(path, "{{height}}", "{height}, which stands for the block's number")


def _argument(
    source: Source, path: DocumentPath, one: placeholders.Placeholder, kind: Kind, ports: Iterable[str]
) -> Iterator[Problem]:
    choices: Iterable[str]
    if one.word in placeholders.PREPARED:
        if {"", ".", ".."} & set(one.argument.split("/")):
            yield source.problem(
                path, f"{one}: no path of a file", "a path below the node's directory, without '..'"
            )
        return
    if one.word == "env":
        noun, choices = "environment variable", kind.env
    elif one.word in ("port", "knows", "boot"):
        noun, choices = "port", ports
    elif one.word in ("count", "names") and one.argument:
        noun, choices = "role", kind.roles
    else:
        return
    if one.argument not in choices:
        allowed = listing(choices) or f"no {noun} is named"
        yield source.problem(path, f"unknown {noun} in {one}", allowed, nearest(one.argument, choices))
