"""What a group and its kind must agree on before anything is rendered."""

from __future__ import annotations

from collections.abc import Iterator

from stressnet.compile.groups import Resolved, Resolver
from stressnet.errors import Problem
from stressnet.plan import Backend
from stressnet.spec import placeholders
from stressnet.spec.kinds import shared_ports, unknown_ports
from stressnet.spec.texts import Place, check_placeholders, probe_texts, texts_of
from stressnet.spec.words import listing, nearest, show


def disagreements(group: Resolved, resolver: Resolver, backend: Backend) -> Iterator[Problem]:
    """Yield what the settings of a group ask for and its kind cannot give."""
    source, settings = resolver.loaded.source, group.settings
    yield from shared_ports(source, resolver.origin(group.name, "ports"), group.ports)
    if settings.ready:
        yield from unknown_ports(source, resolver.origin(group.name, "ready"), settings.ready, group.ports)
    if settings.config and not any(spec.config for spec in group.kind.files.values()):
        yield source.problem(
            resolver.origin(group.name, "config"),
            f"the kind {group.kind.name} puts no settings into files",
            "a kind with a file that says `config: true`",
            key=True,
        )
    if settings.disk and settings.data == "kept":
        yield source.problem(
            resolver.origin(group.name, "disk"),
            "a disk in memory, which ends with the net, for data that is kept",
            "`data: fresh`, or no disk",
            key=True,
        )
    if group.kind.time_scale and group.kind.scale_of(group.config) is None:
        path = (*resolver.origin(group.name, "config"), group.kind.time_scale)
        found = show(group.config[group.kind.time_scale])
        yield source.problem(
            path, found, f"a number above 0: it divides the times of the kind {group.kind.name}"
        )
    yield from _overlaps(group, resolver)
    yield from _words(group, resolver)
    yield from _labels(group, resolver)
    if backend == "docker":
        yield from _in_containers(group, resolver)


def _in_containers(group: Resolved, resolver: Resolver) -> Iterator[Problem]:
    source, settings, kind = resolver.loaded.source, group.settings, group.kind
    if not (settings.image or kind.image):
        found = f"no image, and the kind {kind.name} has none"
        yield source.problem(("nodes", group.name), found, "image: NAME, or --backend netns", key=True)
    named = settings.command or settings.binary or kind.command or kind.binary
    if not named and (settings.args or kind.args.get(group.role)):
        found = "arguments for an image whose own program is not known before it runs"
        path = resolver.origin(group.name, "args")
        yield source.problem(path, found, "command: [program] of the image as well", key=True)
    if any(one.word == "kind_dir" for one in _all_placeholders(group)):
        found = f"{{kind_dir}}, but the folder of the kind {kind.name} is not in the container"
        yield source.problem(("nodes", group.name), found, "--backend netns", key=True)


def _overlaps(group: Resolved, resolver: Resolver) -> Iterator[Problem]:
    """`a: 1` and `a.b: 2` cannot both be in one file."""
    for spec in group.kind.files.values():
        keys = {*spec.values, *(group.config if spec.config else ())}
        for key in sorted(keys):
            parts = key.split(".")
            above = [".".join(parts[:length]) for length in range(1, len(parts))]
            for one in keys.intersection(above):
                path = (*resolver.origin(group.name, "config"), key)
                found = f"both {one!r} and {key!r} are set"
                yield resolver.loaded.source.problem(path, found, "a value, or keys below it")


def _words(group: Resolved, resolver: Resolver) -> Iterator[Problem]:
    places: dict[str, Place] = {"command": "other", "args": "other", "env": "env", "config": "file"}
    for key, place in places.items():
        path = resolver.origin(group.name, key)
        for where, text in texts_of(path, getattr(group.settings, key)):
            yield from check_placeholders(
                resolver.loaded.source,
                where,
                text,
                group.kind,
                group.ports,
                place=place,
                others=resolver.ports,
            )
    for where, text in probe_texts(resolver.origin(group.name, "ready"), group.settings.ready):
        yield from check_placeholders(resolver.loaded.source, where, text, group.kind, group.ports)


def _labels(group: Resolved, resolver: Resolver) -> Iterator[Problem]:
    labels = group.settings.labels
    wanted = {one.argument for one in _all_placeholders(group) if one.word == "label"}
    for label in sorted(wanted - set(labels)):
        yield resolver.loaded.source.problem(
            ("nodes", group.name),
            f"no label {label!r}, which {{label:{label}}} needs",
            listing(labels) or f"labels: {{{label}: ...}}",
            nearest(label, labels),
            key=True,
        )


def _all_placeholders(group: Resolved) -> Iterator[placeholders.Placeholder]:
    for text in _all_texts(group):
        yield from placeholders.parse(text).placeholders


def _all_texts(group: Resolved) -> Iterator[str]:
    kind, settings = group.kind, group.settings
    files = [[spec.template, spec.values] for spec in kind.files.values()]
    copies = [text for path, text in group.loaded_kind.copies.items() if not kind.files[path].raw]
    everything = [kind.command, kind.args, kind.env, kind.config, files, copies]
    everything += [settings.command, settings.args, settings.env, settings.config]
    for _, text in texts_of((), everything):
        yield text
    for probe in {**kind.probes, "ready": settings.ready or kind.ready}.values():
        for _, text in probe_texts((), probe):
            yield text
