"""The kind file as models: how to run a sort of node, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from stressnet.spec.declared import FaultDeclaration, FaultName
from stressnet.spec.fields import (
    Command,
    ImageName,
    MemorySize,
    Model,
    Name,
    PortName,
    PortNumber,
    Seconds,
    SomeSeconds,
    Text,
    TextList,
    Variable,
    one_of,
    refuse,
    whole,
)
from stressnet.spec.probes import MetricsProbe, ReadyProbe, ValueProbe
from stressnet.spec.topology import Config, flat
from stressnet.spec.words import show

SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGKILL")
_PATH = re.compile(r"[A-Za-z0-9._@+-][A-Za-z0-9._@+/ -]{0,254}\Z")
_MODE = re.compile(r"0?[0-7]{3}\Z")
_SERIES = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,254}\Z")
_LARGEST_SCALE = 1e9
PROBES = ("ready", "height", "peers", "metrics", "block", "in_sync", "stacks")
"""The keys of a kind that say how something is read from a node."""


def _below(value: Any) -> str:
    parts = value.split("/") if isinstance(value, str) else [""]
    if not isinstance(value, str) or not _PATH.match(value) or ".." in parts or "" in parts:
        raise refuse(show(value), "a path below, without '..'")
    return value


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise refuse(show(value), "a folder relative to this file")
    return value


def _template_path(value: Any) -> str:
    if not isinstance(value, str) or value.startswith("/") or ".." in value.split("/"):
        raise refuse(show(value), "a folder below {prepare_dir}, as in node{kind_index}")
    return value


def _mode(value: Any) -> int:
    if not isinstance(value, str) or not _MODE.match(value):
        raise refuse(show(value), 'an octal mode in quotes, as in "0600"')
    return int(value, 8)


def _series(value: Any) -> str:
    if not isinstance(value, str) or not _SERIES.match(value):
        raise refuse(show(value), "the name of a series without labels, as in process_open_fds")
    return value


Below = Annotated[str, BeforeValidator(_below), WithJsonSchema({"type": "string"})]
Folder = Annotated[str, BeforeValidator(_folder), WithJsonSchema({"type": "string"})]
PrepareFolder = Annotated[str, BeforeValidator(_template_path), WithJsonSchema({"type": "string"})]
Mode = Annotated[int, BeforeValidator(_mode), WithJsonSchema({"type": "string", "examples": ["0600"]})]
Values = Annotated[dict[str, Any], BeforeValidator(flat), WithJsonSchema({"type": "object"})]
Format = Annotated[
    Literal["toml", "json", "yaml"],
    BeforeValidator(one_of("toml", "json", "yaml")),
    WithJsonSchema({"enum": ["toml", "json", "yaml"]}),
]
Signal = Annotated[str, BeforeValidator(one_of(*SIGNALS)), WithJsonSchema({"enum": list(SIGNALS)})]
SeriesName = Annotated[
    str, BeforeValidator(_series), WithJsonSchema({"type": "string", "pattern": _SERIES.pattern[:-2]})
]
TimerName = FaultName
FileCount = Annotated[
    int, BeforeValidator(whole(1, 2**20)), WithJsonSchema({"type": "integer", "minimum": 1})
]


class Prepare(Model):
    """One command for the whole net, run once before any node, without a network."""

    command: Command = Field(description="The command; it writes below `{prepare_dir}`.")
    per_node: PrepareFolder = Field(
        description="Folder below `{prepare_dir}` that becomes a node's directory, as in `node{kind_index}`."
    )


class FileSpec(Model):
    """One file of the node's directory: a `template`, a `copy`, or a `patch`."""

    template: Text | None = Field(default=None, description="The text, with placeholders.")
    source: Below | None = Field(
        default=None, alias="copy", description="A file of the kind's folder, with placeholders."
    )
    raw: bool = Field(default=False, description="Leave the placeholders of the copied file alone.")
    patch: Format | None = Field(
        default=None,
        description="Format of a file whose keys are set; the preparation's other keys stay.",
    )
    values: Values = Field(
        default={}, alias="set", description="Keys to set, nested or dotted; texts have placeholders."
    )
    config: bool = Field(default=False, description="Put in the group's `config` as well, last.")
    mode: Mode = Field(default=0o644, description="Mode of the file, in quotes.")

    @model_validator(mode="after")
    def _one_way(self) -> FileSpec:
        ways = {"template": self.template, "copy": self.source, "patch": self.patch}
        given = [name for name, value in ways.items() if value is not None]
        if len(given) != 1:
            found = f"{' and '.join(given)} together" if given else "no content"
            raise refuse(found, "one of template, copy, patch")
        if self.patch is None and (self.values or self.config):
            raise refuse(
                f"{'set' if self.values else 'config'} without patch", "patch: toml, json or yaml with it"
            )
        if self.raw and self.source is None:
            raise refuse("raw without copy", "raw with copy")
        return self


class Stop(Model):
    """How a node is asked to end."""

    signal: Signal = Field(default="SIGTERM", description="Signal that asks.")
    timeout: Seconds = Field(default=5.0, description="Time until it is killed.")


class Estimate(Model):
    """What one node takes, for the estimate of `stressnet plan`."""

    memory: MemorySize = Field(default=64 * 2**20, description="Memory of one node in normal work.")
    files: FileCount = Field(default=128, description="Open files of one node, connections included.")


class Series(Model):
    """Which of a node's Prometheus series say what, over all their labels together."""

    streams: SeriesName | None = Field(
        default=None, description="Streams that are open at the node now, whoever has opened them."
    )
    streams_opened: SeriesName | None = Field(
        default=None, description="Streams that have come about so far, a counter."
    )
    discoveries: SeriesName | None = Field(
        default=None, description="How often peers have been looked for so far, a counter."
    )
    tasks: SeriesName | None = Field(default=None, description="Tasks, goroutines or threads that there are.")
    pending_requests: SeriesName | None = Field(
        default=None, description="Requests to peers that wait for their answers."
    )


class Kind(Model):
    """How to run a sort of node."""

    name: Name = Field(description="Name of the kind; the same as that of its folder.")
    description: Text = Field(default="", description="One line for `stressnet kinds`.")
    image: ImageName | None = Field(
        default=None, description="Image for docker; without it a topology says which."
    )
    build: Folder | None = Field(
        default=None,
        description="Folder with a Dockerfile, for `stressnet images build`; relative to this file.",
    )
    binary: Text | None = Field(
        default=None,
        description="Program for netns: a path relative to this file, or a name looked up on PATH.",
    )
    install: TextList | None = Field(
        default=None, description="Command that gets the program; shown where it is missing."
    )
    roles: list[Name] = Field(default=["node"], description="Roles in the order of `{kind_index}`.")
    default_role: Name | None = Field(
        default=None,
        description="Role of a group that neither says one nor is called like one; default: the last.",
    )
    command: Command | None = Field(
        default=None, description='What to execute, with placeholders; default: ["{binary}"].'
    )
    args: dict[Name, TextList] = Field(default={}, description="Further arguments by role.")
    env: dict[Variable, Text] = Field(default={}, description="Environment variables, with placeholders.")
    ports: dict[PortName, PortNumber] = Field(default={}, description="Ports by name, as in `p2p: 9000/tcp`.")
    prepare: Prepare | None = Field(default=None, description="A command for the whole net, before any node.")
    files: dict[Below, FileSpec] = Field(
        default={}, description="Files of the node's directory by relative path."
    )
    ready: ReadyProbe | None = Field(
        default=None, description="When a node is ready; default: `started: true`."
    )
    ready_timeout: SomeSeconds = Field(default=30.0, description="Time within which it must be ready.")
    height: ValueProbe | None = Field(
        default=None, description="How the height is read: a number, as text or hexadecimal too."
    )
    peers: ValueProbe | None = Field(
        default=None, description="How the peers are read: their number, or a list of them."
    )
    metrics: MetricsProbe | None = Field(default=None, description="Where Prometheus metrics are.")
    block: ValueProbe | None = Field(
        default=None,
        description="How the hash of a block is read; `{height}` in path or params stands for the block's number.",
    )
    in_sync: ValueProbe | None = Field(
        default=None, description="Whether the node itself says that it is in sync: true or false."
    )
    stacks: ValueProbe | None = Field(
        default=None, description="Where the stacks of all its tasks or goroutines are: a text."
    )
    series: Series = Field(default=Series(), description="Which of its Prometheus series say what.")
    recovery_timers: dict[TimerName, SomeSeconds] = Field(
        default={},
        description="Times after which a node that has come to a halt tries anew by itself, as in `cooldown: 60s`.",
    )
    time_scale: Text | None = Field(
        default=None, description="The key of `config` by whose value the node divides these times."
    )
    stop: Stop = Field(default=Stop(), description="How a node is asked to end, and how long it may take.")
    faults: dict[FaultName, FaultDeclaration] = Field(
        default={}, description="Faults that its nodes do themselves, for `stressnet fault add`."
    )
    config: Config = Field(default={}, description="Defaults of a group's `config`.")
    estimate: Estimate = Field(default=Estimate(), description="What one node takes.")

    @field_validator("roles")
    @classmethod
    def _distinct(cls, roles: list[str]) -> list[str]:
        if not roles:
            raise refuse("an empty list", "at least one role")
        if len(set(roles)) != len(roles):
            raise refuse("a role twice", "each role once")
        return roles

    @property
    def probes(self) -> dict[str, Any]:
        """How each fact is read, by its key; None where the kind does not say."""
        return {name: getattr(self, name) for name in PROBES}

    def scale_of(self, config: Mapping[str, object]) -> float | None:
        """Return what divides its times under these settings; None where that is no number above 0."""
        value = config.get(self.time_scale, 1) if self.time_scale else 1
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if number and 0 < value <= _LARGEST_SCALE else None  # type: ignore[operator,return-value]

    @property
    def fallback_role(self) -> str:
        """The role of a group that has no other."""
        return self.default_role or self.roles[-1]
