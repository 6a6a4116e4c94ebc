"""The frozen result of compiling a topology: everything that `up` will do, and nothing that it has to decide.

A plan is a pure function of (topology, kinds, seed, backend). It holds no clock, no process id and no
random number, so the same input gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from stressnet.faults.declared import Declared, filled
from stressnet.faults.kind import Value

PLAN_VERSION = 1

Backend = Literal["netns", "docker"]
_UNKNOWN_ONCE: Mapping[str, Any] = {"disk": 0, "series": {}, "recovery_s": 0.0}
"""What a node of a net that is up may lack, because an earlier version made its plan."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the kind names. Numbers are per node: every node has an address of its own."""

    name: str
    number: int
    protocol: Literal["tcp", "udp"] = "tcp"


@dataclass(frozen=True, slots=True)
class Probe:
    """How one fact is read from a node, by the agent, from inside the node's network namespace.

    via "http": GET path on port; "rpc": JSON-RPC 2.0 by POST of method/params to path on port;
    "tcp": the port accepts; "log": a line of the log matches `pattern`; "started": the process runs.
    `json` is a JMESPath into the answer (empty: only the status 200 counts).
    """

    via: Literal["http", "rpc", "tcp", "log", "started"]
    port: int = 0
    path: str = "/"
    method: str = ""
    params: tuple[Any, ...] = ()
    json: str = ""
    pattern: str = ""

    def about(self, values: Mapping[str, Value]) -> Probe:
        """Return the same question with these values for `{name}` in its path and parameters."""
        return replace(self, path=str(filled(self.path, values)), params=tuple(filled(self.params, values)))


@dataclass(frozen=True, slots=True)
class File:
    """One file of a node, relative to its node directory.

    `text` is the whole content (already rendered). With `patch` set, the content is the file as the kind's
    preparation left it (empty if it did not), with the dotted keys of `set` put in.
    """

    path: str
    text: str = ""
    patch: Literal["", "toml", "json", "yaml"] = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Start:
    """When a node's first instruction runs: `after_s` seconds from the release of the net, and not before
    every node named in `of` has reached `height` (0: no height is waited for)."""

    after_s: float = 0.0
    height: int = 0
    of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """One net-wide command of a kind, run once before any node, with no network.

    It writes under `output` (the same path on every backend). What it wrote below `sources[node]` becomes
    the first content of that node's directory.
    """

    kind: str
    command: tuple[str, ...]
    image: str
    output: str
    sources: Mapping[str, str]
    kind_dir: str = ""
    """docker: the kind's folder on this machine, to be put into the container; empty where nothing uses it."""
    filled: tuple[str, ...] = ()
    """Files of the kind's nodes in which `{prepared:NODE/FILE}` stands for the text of a prepared file."""


@dataclass(frozen=True, slots=True)
class Node:
    """One process under test, completely described."""

    name: str
    index: int
    """Position in the whole plan, from 0."""
    kind_index: int
    """Position among the nodes of its kind, roles in the kind's order: what preparation commands count by."""
    group: str
    kind: str
    role: str
    region: str
    host: str
    labels: Mapping[str, str]
    address: str
    """IPv4 address, on both backends."""
    image: str
    """Image reference; empty on netns."""
    binary: str
    """netns: absolute path of the program. docker: absolute path of a local program to put in, or empty."""
    command: tuple[str, ...]
    """What to execute; empty on docker: the image's own entrypoint and command."""
    env: Mapping[str, str]
    directory: str
    """The node's directory as the node sees it; the same on both backends."""
    files: tuple[File, ...]
    ports: tuple[Port, ...]
    cpu: float
    """CPUs, 0 for no limit."""
    memory: int
    """Bytes, 0 for no limit."""
    disk: int
    """Bytes of the file system, in memory, that its directory lies on; 0: it lies with all others on one disk."""
    start: Start
    data: Literal["fresh", "kept"]
    ready: Probe
    ready_timeout_s: float
    height: Probe | None
    peers: Probe | None
    metrics: Probe | None
    block: Probe | None
    """The hash of the block at `{height}`, which stands in path or params."""
    in_sync: Probe | None
    """Whether the node says that it is in sync."""
    stacks: Probe | None
    """The stacks of all its tasks, as a text."""
    series: Mapping[str, str]
    """Names of its Prometheus series by what they say, in the words of `stressnet.spec.kind.Series`."""
    recovery_s: float
    """The longest time after which it tries anew by itself; 0: its kind says none."""
    stop_signal: str
    stop_timeout_s: float
    knows: tuple[str, ...]
    """Names of the nodes whose addresses it is given at the start: its outgoing links."""

    def port(self, name: str) -> Port:
        """Return the port of that name; KeyError where the kind has none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise KeyError(name)

    def p2p_ports(self, protocol: Literal["tcp", "udp"] = "tcp") -> tuple[Port, ...]:
        """Return the ports by which nodes reach each other: those named `p2p` or beginning so."""
        return tuple(port for port in self.ports if port.protocol == protocol and port.name.startswith("p2p"))


@dataclass(frozen=True, slots=True)
class Latency:
    """What the topology asks for between two regions, one way, in seconds."""

    source: str
    target: str
    delay_s: float
    jitter_s: float


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often the agent looks at nodes from outside; seconds, 0 for never."""

    every_s: float = 1.0
    closely_s: float = 10.0
    """Between two closer looks, which cost more."""
    keep_s: float = 172800.0
    """What is older is dropped; 0: nothing is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole net, ready to be built."""

    net: str
    seed: int
    backend: Backend
    subnet: str
    gateway: str
    egress: bool
    ttl_s: float
    """After this many seconds the net removes itself; 0: never."""
    nodes: tuple[Node, ...]
    relay: str = ""
    """The program that carries streams between nodes (Toxiproxy), as the agent sees it; empty: links are direct."""
    latencies: tuple[Latency, ...] = ()
    preparations: tuple[Preparation, ...] = ()
    faults: tuple[Declared, ...] = ()
    """What the kinds of its nodes declare. Where two declare a fault of one name, it takes the same parameters."""
    sampling: Sampling = Sampling()
    warnings: tuple[str, ...] = ()
    version: int = PLAN_VERSION

    def node(self, name: str) -> Node:
        """Return the node of that name; KeyError where there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def links(self) -> tuple[tuple[str, str], ...]:
        """The directed links known at the start, in plan order."""
        return tuple((node.name, peer) for node in self.nodes for peer in node.knows)

    def to_json(self) -> str:
        """The canonical text: sorted keys, one line a plan; equal plans give equal bytes."""
        return json.dumps(self, default=_fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote; ValueError where it is of another version."""
        raw = json.loads(text)
        if raw.get("version") != PLAN_VERSION:
            raise ValueError(f"a plan of version {raw.get('version')}, not {PLAN_VERSION}")
        return cls(
            **{
                **raw,
                "nodes": tuple(_node(item) for item in raw["nodes"]),
                "latencies": tuple(Latency(**item) for item in raw["latencies"]),
                "preparations": tuple(_preparation(item) for item in raw["preparations"]),
                "sampling": Sampling(**raw.get("sampling", {})),
                "faults": tuple(Declared.from_raw(item) for item in raw.get("faults", ())),
                "warnings": tuple(raw["warnings"]),
            }
        )


def shorten(names: Sequence[str]) -> str:
    """Name the first and the last of many nodes, or all of a few."""
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} … {names[-1]}"


def _fields(part: Any) -> dict[str, Any]:
    """One level at a time: five times as fast as `asdict`, which copies all that is below."""
    return {name: getattr(part, name) for name in part.__dataclass_fields__}


def _probe(raw: Mapping[str, Any] | None) -> Probe | None:
    return None if raw is None else Probe(**{**raw, "params": tuple(raw["params"])})


def _preparation(raw: Mapping[str, Any]) -> Preparation:
    return Preparation(**{**raw, "command": tuple(raw["command"]), "filled": tuple(raw.get("filled", ()))})


def _node(raw: Mapping[str, Any]) -> Node:
    return Node(
        **{
            **_UNKNOWN_ONCE,
            **raw,
            "command": tuple(raw["command"]),
            "files": tuple(File(**item) for item in raw["files"]),
            "ports": tuple(Port(**item) for item in raw["ports"]),
            "start": Start(**{**raw["start"], "of": tuple(raw["start"]["of"])}),
            "ready": _probe(raw["ready"]),
            "height": _probe(raw["height"]),
            "peers": _probe(raw["peers"]),
            "metrics": _probe(raw["metrics"]),
            **{fact: _probe(raw.get(fact)) for fact in ("block", "in_sync", "stacks")},
            "knows": tuple(raw["knows"]),
        }
    )
