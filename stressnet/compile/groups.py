"""Groups with their kinds, roles and defaults settled, and the nodes that they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stressnet.errors import InputError, Problem
from stressnet.spec.kind import Kind
from stressnet.spec.kinds import Kinds, LoadedKind
from stressnet.spec.load import Loaded
from stressnet.spec.topology import Group, Settings
from stressnet.spec.words import listing, nearest

_MAPPINGS = ("config", "env", "ports", "labels")


@dataclass(frozen=True, slots=True)
class Resolved:
    """A group that is ready to be numbered; `settings` has the defaults under what the group says."""

    name: str
    settings: Group
    loaded_kind: LoadedKind
    role: str
    nodes: tuple[str, ...]
    ports: Mapping[str, tuple[int, str]]
    config: Mapping[str, object]

    @property
    def kind(self) -> Kind:
        """The kind of its nodes."""
        return self.loaded_kind.kind


@dataclass(slots=True)
class Resolver:
    """Settles every group; what is wrong is collected in `problems`."""

    loaded: Loaded
    kinds: Kinds
    problems: list[Problem] = field(default_factory=list)
    _broken: set[str] = field(default_factory=set)

    def groups(self) -> list[Resolved]:
        """Return the groups that could be settled, in the order of the file."""
        found = [self._group(name, group) for name, group in self.loaded.topology.nodes.items()]
        return [group for group in found if group]

    @property
    def ports(self) -> list[str]:
        """The names of ports that groups of the topology have in addition to those of their kinds."""
        return [port for group in self.loaded.topology.nodes.values() for port in group.ports]

    def origin(self, group: str, key: str) -> tuple[str, ...]:
        """Return the path of a setting: the group's own, or that of the defaults."""
        own = self.loaded.topology.nodes[group].model_fields_set
        if key not in own and key in self.loaded.topology.defaults.model_fields_set:
            return ("defaults", key)
        return ("nodes", group, key)

    def _group(self, name: str, group: Group) -> Resolved | None:
        settings = under(self.loaded.topology.defaults, group)
        self._region(name, settings)
        loaded_kind = self._kind(name, settings)
        if loaded_kind is None:
            return None
        kind = loaded_kind.kind
        return Resolved(
            name,
            settings,
            loaded_kind,
            self._role(name, settings, kind),
            node_names(name, group.count),
            {**kind.ports, **settings.ports},
            {**kind.config, **settings.config},
        )

    def _region(self, name: str, settings: Group) -> None:
        regions = self.loaded.topology.regions
        if settings.region is not None and settings.region not in regions:
            self._unknown(name, "region", settings.region, regions, "a name under `regions`")

    def _kind(self, name: str, settings: Group) -> LoadedKind | None:
        if settings.kind is None:
            self.problems.append(
                self.loaded.source.problem(
                    ("nodes", name),
                    "has no kind",
                    f"kind: {listing(self.kinds.names())}; here or under `defaults`",
                    key=True,
                )
            )
            return None
        if settings.kind not in self.kinds.names():
            self._unknown(name, "kind", settings.kind, self.kinds.names(), "a folder of --kinds")
            return None
        return self._read_kind(settings.kind)

    def _read_kind(self, kind: str) -> LoadedKind | None:
        if kind in self._broken:
            return None
        try:
            return self.kinds.load(kind)
        except InputError as error:
            self._broken.add(kind)
            self.problems += error.problems
            return None

    def _role(self, name: str, settings: Group, kind: Kind) -> str:
        if settings.role is None:
            return name if name in kind.roles else kind.fallback_role
        if settings.role not in kind.roles:
            self._unknown(name, "role", settings.role, kind.roles, f"a role of the kind {kind.name}")
            return kind.fallback_role
        return settings.role

    def _unknown(
        self, group: str, key: str, word: str, choices: Mapping[str, object] | list[str], or_: str
    ) -> None:
        problem = self.loaded.source.problem(
            self.origin(group, key),
            f"unknown {key} {word!r}",
            listing(choices) or or_,
            nearest(word, choices),
        )
        if problem not in self.problems:
            self.problems.append(problem)


def under(defaults: Settings, group: Group) -> Group:
    """Return the group with the defaults under what it says; mappings key by key."""
    update: dict[str, object] = {
        key: getattr(defaults, key) for key in defaults.model_fields_set - group.model_fields_set
    }
    for key in _MAPPINGS:
        update[key] = {**getattr(defaults, key), **getattr(group, key)}
    return group.model_copy(update=update)


def node_names(group: str, count: int | None) -> tuple[str, ...]:
    """Name the nodes of a group: as the group itself where no count is given, else NAME-1 to NAME-count."""
    return (group,) if count is None else tuple(f"{group}-{number}" for number in range(1, count + 1))


def name_clashes(loaded: Loaded) -> Iterator[Problem]:
    """Yield the groups whose nodes have the names of another's (a-1 of `a`, and a group `a-1`)."""
    groups = loaded.topology.nodes
    owners: dict[str, str] = {}
    for name, group in groups.items():
        for node in node_names(name, group.count):
            first = owners.setdefault(node, name)
            if first != name or (node != name and node in groups):
                other = first if first != name else node
                yield loaded.source.problem(
                    ("nodes", name),
                    f"its node {node!r} has the name of another of group {other!r}",
                    "names that differ",
                    key=True,
                )
                break
