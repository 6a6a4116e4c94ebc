"""The net-wide preparation of a kind, rendered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stressnet.compile.groups import Resolved, Resolver
from stressnet.compile.members import Member
from stressnet.compile.programs import Find, Programs, absolute
from stressnet.compile.scope import KIND_FOLDER, PREPARE_ROOT, KindScope, NodeScope, environment
from stressnet.errors import Problem
from stressnet.plan import Backend, Preparation
from stressnet.spec.kind import FileSpec
from stressnet.spec.placeholders import NET_WIDE, PREPARED, Placeholder, Value, parse
from stressnet.spec.texts import texts_of


def preparation(
    scope: KindScope, members: Sequence[Member], programs: Programs, backend: Backend, find: Find
) -> Preparation | None:
    """Return what a kind does before any node; `sources` are folders relative to `output`."""
    asked = scope.kind.prepare
    if asked is None:
        return None
    first = members[0].group

    def lookup(word: str, argument: str) -> Value:
        inside = word == "kind_dir" and backend == "docker"
        return KIND_FOLDER if inside else scope.lookup(word, argument)

    command = [parse(word).text(lookup) for word in asked.command]
    if backend == "netns":
        command[0] = absolute(command[0], first.loaded_kind.directory, find)
    folder = parse(asked.per_node)
    sources = {member.name: folder.text(NodeScope(scope, member, tuple, "").lookup) for member in members}
    uses_folder = any(one.word == "kind_dir" for one in _placeholders(asked.command))
    groups = {member.group.name: member.group for member in members}
    return Preparation(
        kind=scope.kind.name,
        command=tuple(command),
        image=programs.image(first),
        output=f"{PREPARE_ROOT}/{scope.kind.name}",
        sources=sources,
        kind_dir=str(first.loaded_kind.directory) if uses_folder and backend == "docker" else "",
        filled=tuple(path for path in scope.kind.files if _has_prepared(path, list(groups.values()))),
    )


def _placeholders(value: object) -> Iterator[Placeholder]:
    for _, text in texts_of((), value):
        yield from parse(text).placeholders


def _has_prepared(path: str, groups: Sequence[Resolved]) -> bool:
    """Whether a file of the kind has texts that only the preparation knows."""
    loaded = groups[0].loaded_kind
    spec: FileSpec = loaded.kind.files[path]
    if spec.raw:
        return False
    configs = [dict(group.config) for group in groups] if spec.config else []
    texts = [spec.template, loaded.copies.get(path), spec.values, configs]
    return any(one.word in PREPARED for one in _placeholders(texts))


def unsettled(groups: Sequence[Resolved], resolver: Resolver) -> Iterator[Problem]:
    """Yield the environment variables that a preparation uses and that are not the same in the whole net."""
    for kind in dict.fromkeys(group.kind.name for group in groups):
        alike = [group for group in groups if group.kind.name == kind]
        asked = alike[0].kind.prepare
        keys = [one.argument for one in _placeholders(asked.command) if one.word == "env"] if asked else []
        for key in dict.fromkeys(keys):
            yield from _unsettled(key, alike, resolver)


def _unsettled(key: str, groups: Sequence[Resolved], resolver: Resolver) -> Iterator[Problem]:
    first = environment(groups[0])[key]
    for group in groups:
        text = environment(group)[key]
        found = allowed = ""
        strangers = [one for one in parse(text).placeholders if one.word not in NET_WIDE]
        if text != first:
            found = f"{text!r}, but {first!r} in group {groups[0].name!r}"
            allowed = f"one value for the net: the preparation of kind {group.kind.name} uses it"
        elif strangers:
            found = f"{strangers[0]}, but the preparation of kind {group.kind.name} uses it before there are nodes"
            allowed = "a value without words of a node"
        if found:
            yield resolver.loaded.source.problem((*resolver.origin(group.name, "env"), key), found, allowed)
