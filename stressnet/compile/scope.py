"""What the placeholders mean: for a kind in this net, and for one node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from stressnet.compile.groups import Resolved
from stressnet.compile.members import Member
from stressnet.spec.placeholders import ASKED, Value, parse, prepared_token

NODES_ROOT = "/run/stressnet/nodes"
KEPT_ROOT = "/run/stressnet/kept"
PREPARE_ROOT = "/run/stressnet/prepare"
KIND_FOLDER = "/run/stressnet/kind"
"""Where the container of a preparation has the kind's folder."""
BOOT, VALIDATOR = "boot", "validator"


def node_directory(member: Member) -> str:
    """Return the directory of a node, the same on every backend."""
    root = KEPT_ROOT if member.group.settings.data == "kept" else NODES_ROOT
    return f"{root}/{member.name}"


def endpoints(members: Sequence[Member], port: str) -> tuple[str, ...]:
    """Return address:port of those members that have such a port."""
    return tuple(
        f"{member.address}:{member.group.ports[port][0]}" for member in members if port in member.group.ports
    )


def environment(group: Resolved) -> dict[str, str]:
    """Return the environment of a group's nodes, with its placeholders: the topology's over the kind's."""
    return {**group.kind.env, **group.settings.env}


def _prepared(members: Sequence[Member], file: str) -> tuple[str, ...]:
    """Name a prepared file of those members whose kind prepares something."""
    return tuple(prepared_token(member.name, file) for member in members if member.group.kind.prepare)


@dataclass(frozen=True, slots=True)
class Net:
    """What is the same for every kind."""

    name: str
    seed: int
    backend: str


class KindScope:
    """The words that are the same for all nodes of a kind."""

    def __init__(self, net: Net, members: Sequence[Member], binary: str) -> None:
        loaded = members[0].group.loaded_kind
        self.net = net
        self.members = members
        self.kind = loaded.kind
        self._fixed: dict[str, Value] = {
            "net": net.name,
            "seed": net.seed,
            "prepare_dir": f"{PREPARE_ROOT}/{loaded.kind.name}",
            "kind_dir": str(loaded.directory),
            "binary": binary,
            "first_address": members[0].address,
            "addresses": tuple(member.address for member in members),
            "validators": self._of_role(VALIDATOR),
        }
        boots = [member for member in members if member.group.role == BOOT] or members[:1]
        self._boots = cache(lambda port: endpoints(boots, port))
        self._boots_prepared = cache(lambda file: _prepared(boots, file))
        self._env = environment(members[0].group)
        self._names = cache(self._of_role)

    def _of_role(self, role: str) -> tuple[str, ...]:
        return tuple(member.name for member in self.members if member.group.role == role)

    def lookup(self, word: str, argument: str) -> Value:
        """Return the value of a net-wide placeholder."""
        if word == "count":
            return len(self._names(argument)) if argument else len(self.members)
        if word == "names":
            return self._names(argument)
        if word == "boot":
            return self._boots(argument)
        if word == "boot_prepared":
            return self._boots_prepared(argument)
        if word == "env":
            return parse(self._env[argument]).text(self.lookup)
        if word == "port":
            return self.kind.ports[argument][0]
        return self._fixed[word]


class NodeScope:
    """The words of one node, over those of its kind."""

    def __init__(
        self, kind: KindScope, member: Member, knows: Callable[[], Sequence[Member]], binary: str
    ) -> None:
        self._kind = kind
        self._member = member
        self._knows = knows
        group = member.group
        self._own: Mapping[str, Value] = {
            "name": member.name,
            "index": member.index,
            "kind_index": member.kind_index,
            "address": member.address,
            "node_dir": node_directory(member),
            "group": group.name,
            "role": group.role,
            "region": group.settings.region or "",
            "binary": binary,
        }

    def lookup(self, word: str, argument: str) -> Value:
        """Return the value of any placeholder."""
        if word in self._own:
            return self._own[word]
        if word in ASKED:
            return f"{{{word}}}"
        if word == "port":
            return self._member.group.ports[argument][0]
        if word == "label":
            return self._member.group.settings.labels[argument]
        if word == "env":
            return parse(environment(self._member.group)[argument]).text(self.lookup)
        if word == "prepared":
            return prepared_token(self._member.name, argument)
        if word == "knows_prepared":
            return _prepared(self._knows(), argument)
        if word == "knows":
            return endpoints(self._knows(), argument)
        if word == "knows_names":
            return tuple(member.name for member in self._knows())
        return self._kind.lookup(word, argument)
