"""Find kinds by name, read them, and check what a model alone cannot."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from stressnet.errors import InputError, Problem, UsageError
from stressnet.resources import folder
from stressnet.spec.declared import problems_of
from stressnet.spec.kind import Kind
from stressnet.spec.load import shown_path, validated
from stressnet.spec.source import Path as DocumentPath
from stressnet.spec.source import Source
from stressnet.spec.texts import asks_height, check_placeholders, place_of, probe_texts, texts_of
from stressnet.spec.words import listing, nearest, show
from stressnet.spec.yamlfile import MAX_BYTES, read_yaml

KIND_FILE = "kind.yaml"


@dataclass(frozen=True, slots=True)
class LoadedKind:
    """A kind, its folder, the places of its words, and the texts of the files that it copies."""

    kind: Kind
    directory: Path
    source: Source
    copies: Mapping[str, str]


class Kinds:
    """The kinds on a search path: the user's folders first, then those of STRESSNET_KINDS, then our own."""

    def __init__(self, folders: Sequence[str | os.PathLike[str]] = ()) -> None:
        for given in folders:
            if not Path(given).is_dir():
                raise UsageError(f"--kinds {given}: there is no such folder")
        more = os.environ.get("STRESSNET_KINDS", "").split(os.pathsep)
        self._folders = [*map(Path, folders), *(Path(one) for one in more if one), folder("images")]
        self._loaded: dict[str, LoadedKind] = {}

    @cached_property
    def _places(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for place in self._folders:
            for directory in _kind_folders(place):
                found.setdefault(directory.resolve().name, directory)
        return found

    def names(self) -> list[str]:
        """Return the names of all kinds, sorted."""
        return sorted(self._places)

    def load(self, name: str) -> LoadedKind:
        """Read a kind; KeyError where there is none, InputError where its file is wrong."""
        if name not in self._loaded:
            self._loaded[name] = load_kind(self._places[name])
        return self._loaded[name]


def _kind_folders(place: Path) -> Iterator[Path]:
    """A folder of kinds, or the folder of one kind."""
    if (place / KIND_FILE).is_file():
        yield place
    elif place.is_dir():
        yield from sorted(path.parent for path in place.glob(f"*/{KIND_FILE}"))


def load_kind(directory: Path) -> LoadedKind:
    """Read the kind in a folder; raise InputError with every problem of its file."""
    problems: list[Problem] = []
    file = shown_path(directory / KIND_FILE)
    source = Source(file, read_yaml(file, problems))
    kind = validated(Kind, source, problems)
    copies = dict(_copies(kind, directory, source, problems))
    problems += _Check(kind, source, copies).problems(directory.resolve().name)
    if problems:
        raise InputError(problems)
    return LoadedKind(kind, directory.resolve(), source, copies)


def _copies(
    kind: Kind, directory: Path, source: Source, problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    for path, spec in kind.files.items():
        if spec.source is None:
            continue
        try:
            raw = (directory / spec.source).read_bytes()
            if len(raw) > MAX_BYTES:
                raise ValueError("larger than 1 MiB")
            yield path, raw.decode("utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text of at most 1 MiB"
            found = f"{spec.source!r}: {reason}"
            problems.append(
                source.problem(("files", path, "copy"), found, "a text file of the kind's folder")
            )


class _Check:
    """What the parts of a kind say about each other."""

    def __init__(self, kind: Kind, source: Source, copies: Mapping[str, str]) -> None:
        self._kind = kind
        self._source = source
        self._copies = copies

    def problems(self, folder_name: str) -> list[Problem]:
        """Return all that does not fit together."""
        kind, place = self._kind, self._source.problem
        found: list[Problem] = []
        if kind.name != folder_name:
            found.append(place(("name",), repr(kind.name), f"the name of the folder, {folder_name!r}"))
        if kind.default_role and kind.default_role not in kind.roles:
            found.append(self._unknown(("default_role",), kind.default_role, kind.roles, "role"))
        strangers = [role for role in kind.args if role not in kind.roles]
        found += [self._unknown(("args", role), role, kind.roles, "role", key=True) for role in strangers]
        found += self._shared_ports()
        found += self._probe_ports()
        found += self._figures()
        found += problems_of(self._source, kind.faults)
        for path, text in self._texts():
            found += check_placeholders(self._source, path, text, kind, place=place_of(path))
        return found

    def _unknown(
        self, path: DocumentPath, word: str, choices: Iterable[str], noun: str, *, key: bool = False
    ) -> Problem:
        near = nearest(word, choices)
        allowed = listing(choices) or f"a {noun} of this kind, which has none"
        return self._source.problem(path, f"unknown {noun} {word!r}", allowed, near, key=key)

    def _shared_ports(self) -> Iterator[Problem]:
        yield from shared_ports(self._source, ("ports",), self._kind.ports)

    def _probe_ports(self) -> Iterator[Problem]:
        for name, probe in self._kind.probes.items():
            if probe is not None:
                yield from unknown_ports(self._source, (name,), probe, self._kind.ports)
        for name, fault in self._kind.faults.items():
            for side in ("on", "off"):
                path = ("faults", name, side)
                yield from unknown_ports(self._source, path, getattr(fault, side), self._kind.ports)

    def _figures(self) -> Iterator[Problem]:
        """Yield what is missing beside a block's height, series and times, or does not fit them."""
        kind, place = self._kind, self._source.problem
        if kind.block and not any(asks_height(text) for _, text in probe_texts((), kind.block)):
            yield place(
                ("block",), "no {height}", "{height} in path or params, for the block's number", key=True
            )
        if kind.series.model_fields_set and kind.metrics is None:
            yield place(
                ("series",), "series without metrics", "metrics with it, to say where they are", key=True
            )
        if kind.time_scale and not kind.recovery_timers:
            found = "time_scale without recovery_timers"
            yield place(("time_scale",), found, "recovery_timers with it, which it divides", key=True)
        if kind.time_scale and kind.scale_of(kind.config) is None:
            found = show(kind.config[kind.time_scale])
            yield place(("config", kind.time_scale), found, "a number above 0: time_scale")

    def _texts(self) -> Iterator[tuple[DocumentPath, str]]:
        kind = self._kind
        yield from texts_of(("command",), kind.command)
        yield from texts_of(("args",), kind.args)
        yield from texts_of(("env",), kind.env)
        yield from texts_of(("config",), kind.config)
        for name, probe in kind.probes.items():
            yield from probe_texts((name,), probe)
        if kind.prepare:
            yield from texts_of(("prepare", "command"), kind.prepare.command)
            yield ("prepare", "per_node"), kind.prepare.per_node
        for path, spec in kind.files.items():
            yield from texts_of(("files", path, "template"), spec.template)
            yield from texts_of(("files", path, "set"), spec.values)
            if path in self._copies and not spec.raw:
                yield ("files", path, "copy"), self._copies[path]


def unknown_ports(source: Source, path: DocumentPath, probe: Any, ports: Iterable[str]) -> Iterator[Problem]:
    """Yield the ports of a probe that are not among those named."""
    for field in ("http", "rpc", "tcp"):
        yield from _unknown_port(source, (*path, field), getattr(probe, field, None), ports)
    yield from _unknown_port(source, path, probe, ports)


def _unknown_port(source: Source, path: DocumentPath, probe: Any, ports: Iterable[str]) -> Iterator[Problem]:
    port = getattr(probe, "port", None)
    if isinstance(port, str) and port not in ports:
        allowed = listing(ports) or "a port under `ports`, of which there are none"
        yield source.problem((*path, "port"), f"unknown port {port!r}", allowed, nearest(port, ports))


def shared_ports(
    source: Source, path: DocumentPath, ports: Mapping[str, tuple[int, str]]
) -> Iterator[Problem]:
    """Yield the ports whose number is taken by an earlier name."""
    taken: dict[tuple[int, str], str] = {}
    for name, (number, protocol) in ports.items():
        first = taken.setdefault((number, protocol), name)
        if first != name:
            yield source.problem(
                (*path, name), f"{number}/{protocol} is the port {first!r} already", "a number of its own"
            )
