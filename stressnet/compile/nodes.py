"""Every node in full: command, environment, files and probes with their placeholders filled in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from stressnet.compile.acquaintance import Knows
from stressnet.compile.groups import Resolved
from stressnet.compile.members import Member
from stressnet.compile.programs import Programs
from stressnet.compile.scope import KindScope, NodeScope, environment, node_directory
from stressnet.plan import File, Node, Port, Probe, Start
from stressnet.spec.kind import FileSpec
from stressnet.spec.placeholders import Lookup, Template, parse
from stressnet.spec.probes import ReadyProbe, ValueProbe

T = TypeVar("T")
Make = Callable[[Lookup], T]


class GroupRenderer:
    """Renders the nodes of one group; what is alike for all of them is rendered once."""

    def __init__(self, group: Resolved, scope: KindScope, programs: Programs, start: Start) -> None:
        settings, kind = group.settings, group.kind
        self._group = group
        self._scope = scope
        self._binary = programs.inside(group)
        words = [*programs.command(group), *kind.args.get(group.role, ()), *(settings.args or ())]
        self._command = [self._text(word) for word in words]
        self._env = {key: self._text(text) for key, text in environment(group).items()}
        self._files = [self._file(path, spec) for path, spec in kind.files.items()]
        probes = {**kind.probes, "ready": settings.ready or kind.ready or ReadyProbe(started=True)}
        self._probes = {name: self._probe(probe) for name, probe in probes.items()}
        self._same: dict[str, Any] = {
            "group": group.name,
            "kind": kind.name,
            "role": group.role,
            "region": settings.region or "",
            "host": settings.host or "local",
            "labels": settings.labels,
            "image": programs.image(group),
            "binary": programs.local(group),
            "ports": tuple(Port(name, *port) for name, port in group.ports.items()),  # type: ignore[arg-type]
            "cpu": settings.cpu or 0.0,
            "memory": settings.memory or 0,
            "disk": settings.disk or 0,
            "start": start,
            "data": settings.data or "fresh",
            "ready_timeout_s": kind.ready_timeout,
            "series": kind.series.model_dump(exclude_none=True),
            "recovery_s": max(kind.recovery_timers.values(), default=0.0)
            / (kind.scale_of(group.config) or 1.0),
            "stop_signal": kind.stop.signal,
            "stop_timeout_s": kind.stop.timeout,
        }

    def node(self, member: Member, knows: Sequence[Member]) -> Node:
        """Return the node in full."""
        lookup = NodeScope(self._scope, member, lambda: knows, self._binary).lookup
        return Node(
            name=member.name,
            index=member.index,
            kind_index=member.kind_index,
            address=member.address,
            command=tuple(make(lookup) for make in self._command),
            env={key: make(lookup) for key, make in self._env.items()},
            directory=node_directory(member),
            files=tuple(make(lookup) for make in self._files),
            knows=tuple(other.name for other in knows),
            **{fact: make(lookup) for fact, make in self._probes.items()},  # type: ignore[arg-type]
            **self._same,
        )

    def _once(self, varies: bool, make: Make[T]) -> Make[T]:
        """Return a renderer that renders only once if the value is alike for all nodes of the group."""
        if varies:
            return make
        sample = Member("", 0, 0, "", self._group)
        value = make(NodeScope(self._scope, sample, tuple, self._binary).lookup)
        return lambda _: value

    def _text(self, text: str) -> Make[str]:
        template = parse(text)
        return self._once(template.varies, template.text)

    def _value(self, value: Any) -> tuple[bool, Make[Any]]:
        """Return whether a value differs from node to node, and its renderer."""
        if isinstance(value, str):
            template = parse(value)
            return template.varies, lambda lookup: _plain(template, lookup)
        if isinstance(value, list):
            items = [self._value(item) for item in value]
            return any(varies for varies, _ in items), lambda lookup: [make(lookup) for _, make in items]
        if isinstance(value, dict):
            members = {key: self._value(item) for key, item in value.items()}
            varies = any(differs for differs, _ in members.values())
            return varies, lambda lookup: {key: make(lookup) for key, (_, make) in members.items()}
        return False, lambda _: value

    def _file(self, path: str, spec: FileSpec) -> Make[File]:
        if spec.patch is None:
            text = spec.template if spec.source is None else self._group.loaded_kind.copies[path]
            template = Template((text or "",), varies=False) if spec.raw else parse(text or "")
            return self._once(
                template.varies, lambda lookup: File(path, text=template.text(lookup), mode=spec.mode)
            )
        patch = spec.patch
        varies, values = self._value({**spec.values, **(self._group.config if spec.config else {})})
        return self._once(varies, lambda lookup: File(path, patch=patch, set=values(lookup), mode=spec.mode))

    def _probe(self, spec: Any) -> Make[Probe | None]:
        if spec is None:
            return lambda _: None
        via, options = _chosen(spec)
        if via in ("log", "started"):
            probe = Probe(via, pattern=options if via == "log" else "")
            return lambda _: probe
        ports: Mapping[str, tuple[int, str]] = self._group.ports
        port = options.port if isinstance(options.port, int) else ports[options.port][0]
        varies, make = self._value([getattr(options, "path", "/"), getattr(options, "params", [])])

        def render(lookup: Lookup) -> Probe:
            path, params = make(lookup)
            method, query = getattr(options, "method", ""), getattr(options, "query", "")
            return Probe(via, port, path, method, tuple(params), query)

        return self._once(varies, render)


def _plain(template: Template, lookup: Lookup) -> Any:
    value = template.value(lookup)
    return list(value) if isinstance(value, tuple) else value


def _chosen(spec: Any) -> tuple[Any, Any]:
    """Return which probe it is, and its options; metrics are read by http."""
    if not isinstance(spec, ReadyProbe | ValueProbe):
        return "http", spec
    via = next(iter(spec.model_fields_set))
    return via, getattr(spec, via)


def render(
    members: Sequence[Member],
    knows: Knows,
    scopes: Mapping[str, KindScope],
    programs: Programs,
    starts: Mapping[str, Start],
) -> tuple[Node, ...]:
    """Return all nodes in full, in plan order."""
    by_name = {member.name: member for member in members}
    renderers: dict[str, GroupRenderer] = {}
    nodes = []
    for member in members:
        group = member.group
        if group.name not in renderers:
            renderers[group.name] = GroupRenderer(
                group, scopes[group.kind.name], programs, starts[group.name]
            )
        nodes.append(renderers[group.name].node(member, [by_name[name] for name in knows[member.name]]))
    return tuple(nodes)
