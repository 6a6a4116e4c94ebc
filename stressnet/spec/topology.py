"""The topology file as models: which nodes, where, and who knows whom."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from stressnet.spec.fields import (
    AlsoWritten,
    Command,
    CpuShare,
    DiskSize,
    ImageName,
    Label,
    LatencyText,
    MemorySize,
    Model,
    Name,
    PortName,
    PortNumber,
    SomeSeconds,
    Text,
    TextList,
    Variable,
    one_of,
    refuse,
    whole,
)
from stressnet.spec.links import SHORT_FORMS, Links, Selector, normal_links
from stressnet.spec.probes import ReadyProbe
from stressnet.spec.sampling import OFF, Sampling, normal_sampling
from stressnet.spec.words import show

MAX_NODES = 10_000
MAX_SEED = 2**63 - 1


def _subnet(value: Any) -> str:
    allowed = "an IPv4 network such as 10.77.0.0/16"
    try:
        network = ipaddress.IPv4Network(value if isinstance(value, str) else "")
    except ValueError as error:
        reason = "has host bits set" if "host bits" in str(error) else "is not a network"
        raise refuse(f"{show(value)} {reason}", allowed) from None
    if network.is_loopback or network.is_multicast or network.is_link_local or network.prefixlen < 8:
        raise refuse(f"{show(value)} cannot hold nodes", allowed)
    return str(network)


def _selectors(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def flat(value: Any) -> Any:
    """Write nested mappings with dotted keys: `sync: {concurrency: 4}` as `sync.concurrency: 4`."""
    if not isinstance(value, dict):
        raise refuse(show(value), "a mapping, as in {sync.concurrency: 4}")
    found: dict[str, Any] = {}
    for key, item in _flat(value, ""):
        if key in found:
            raise refuse(f"the key {key!r} twice, nested and with dots", "each key once")
        found[key] = item
    return found


def _flat(value: dict[str, Any], prefix: str) -> Any:
    for key, item in value.items():
        if not all(key.split(".")):
            raise refuse(f"the key {key!r}", "words with dots between, as in sync.concurrency")
        if isinstance(item, dict) and item:
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield prefix + key, item


_whole = {"type": "integer"}
Config = Annotated[dict[str, Any], BeforeValidator(flat), WithJsonSchema({"type": "object"})]
Seed = Annotated[int, BeforeValidator(whole(0, MAX_SEED)), WithJsonSchema({**_whole, "minimum": 0})]
Count = Annotated[
    int,
    BeforeValidator(whole(1, MAX_NODES)),
    WithJsonSchema({**_whole, "minimum": 1, "maximum": MAX_NODES}),
]
Height = Annotated[int, BeforeValidator(whole(1, 2**53)), WithJsonSchema({**_whole, "minimum": 1})]
Subnet = Annotated[str, BeforeValidator(_subnet), WithJsonSchema({"type": "string"})]
Selectors = Annotated[
    list[Selector],
    BeforeValidator(_selectors),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]
Host = Annotated[
    str,
    BeforeValidator(one_of("local")),
    WithJsonSchema({"enum": ["local"]}),
]
Interpose = Annotated[
    Literal["all", "none", "auto"],
    BeforeValidator(one_of("all", "none", "auto")),
    WithJsonSchema({"enum": ["all", "none", "auto"]}),
]
Data = Annotated[
    Literal["fresh", "kept"],
    BeforeValidator(one_of("fresh", "kept")),
    WithJsonSchema({"enum": ["fresh", "kept"]}),
]


class StartAt(Model):
    """When a group starts; both conditions together mean both."""

    after: SomeSeconds | None = Field(
        default=None, description="Time after the release of the net, as in `20s`."
    )
    height: Height | None = Field(
        default=None, description="Height that all nodes of `of` must have reached."
    )
    of: Selectors | None = Field(
        default=None, description="Whose height: node, group or glob, or a list of these."
    )

    @model_validator(mode="after")
    def _complete(self) -> StartAt:
        if (self.height is None) != (self.of is None):
            raise refuse("one of height and of alone", "both, as in {height: 40, of: validator}")
        if self.after is None and self.height is None:
            raise refuse("no condition", "{after: 20s} or {height: 40, of: validator}")
        return self


class Settings(Model):
    """What both `defaults` and a group can say."""

    kind: Name | None = Field(
        default=None, description="How to run the nodes: the name of a kind (`stressnet kinds`)."
    )
    role: Name | None = Field(
        default=None,
        description="Role within the kind; default: the group's name if it is one, else the kind's.",
    )
    region: Name | None = Field(default=None, description="Region, one of those under `regions`.")
    host: Host | None = Field(
        default=None, description="Machine that runs the nodes; only `local` in this version."
    )
    config: Config = Field(
        default={}, description="Settings put into the node's files; nested or with dotted keys."
    )
    env: dict[Variable, Text] = Field(
        default={}, description="Environment variables, put over those of the kind."
    )
    args: TextList | None = Field(default=None, description="Arguments added to the command.")
    command: Command | None = Field(default=None, description="Command in place of the kind's.")
    image: ImageName | None = Field(default=None, description="Image in place of the kind's (docker).")
    binary: Text | None = Field(
        default=None,
        description="Program in place of the kind's: a path relative to this file, or a name on PATH.",
    )
    ports: dict[PortName, PortNumber] = Field(default={}, description="Ports by name, added to the kind's.")
    ready: ReadyProbe | None = Field(default=None, description="Readiness probe in place of the kind's.")
    cpu: CpuShare | None = Field(default=None, description="Limit in CPUs, as in 0.5 or 2.")
    memory: MemorySize | None = Field(default=None, description="Limit of memory, as in `256MiB`.")
    disk: DiskSize | None = Field(
        default=None,
        description="Size of a file system of its own for the directory of each node, as in `64MiB`. It lies in "
        "memory; only with `data: fresh`.",
    )
    data: Data | None = Field(
        default=None,
        description="`fresh` starts from nothing each time, `kept` keeps the node's directory between runs.",
    )
    labels: dict[Label, Text] = Field(default={}, description="Labels to select nodes by.")


class Group(Settings):
    """Nodes that are alike."""

    count: Count | None = Field(
        default=None,
        description="How many; without it one node with the name of the group, else NAME-1 to NAME-count.",
    )
    start: StartAt | None = Field(default=None, description="When the nodes start; default: at once.")


class Topology(Model):
    """A net of nodes on one machine."""

    name: Name = Field(description="Name of the net; containers, records and commands use it.")
    description: Text = Field(default="", description="One line about what it is for.")
    include: TextList = Field(
        default=[], description="Files that this one builds on, relative to it; what it says itself wins."
    )
    seed: Seed = Field(default=1, description="Seed of all that is random; same file and seed, same net.")
    regions: dict[Name, dict[Name, LatencyText]] = Field(
        default={},
        description="Regions with their one-way latencies to others; both ways alike unless both are given.",
    )
    defaults: Settings = Field(
        default=Settings(), description="Settings of all groups; what a group says itself wins."
    )
    nodes: dict[Name, Group] = Field(description="The groups of nodes by name.")
    links: Annotated[Links | None, BeforeValidator(normal_links), AlsoWritten(SHORT_FORMS)] = Field(
        default=None,
        description="Who knows whom at the start; default: `full` up to 7 nodes, else `random: {degree: 6}`.",
    )
    subnet: Subnet | None = Field(
        default=None,
        description="IPv4 network of the nodes. Default: a part of 198.18.0.0/15 by the net's name.",
    )
    interpose: Interpose = Field(
        default="auto",
        description="Which links are under control, so that faults can be put on their streams: `all`, `none`, or "
        "`auto`, which is all of up to 20,000.",
    )
    sampling: Annotated[Sampling, BeforeValidator(normal_sampling), AlsoWritten(({"enum": [OFF]},))] = Field(
        default=Sampling(), description="How often figures of nodes are kept, or `off`."
    )
    egress: bool = Field(
        default=False, description="Give nodes a way out of the net; a real client may meet its real network."
    )
    ttl: SomeSeconds | None = Field(
        default=None, description="Age at which the net removes itself, as in `8h`."
    )

    @field_validator("nodes")
    @classmethod
    def _some_nodes(cls, nodes: dict[str, Group]) -> dict[str, Group]:
        if not nodes:
            raise refuse("no nodes", "at least one group")
        return nodes
