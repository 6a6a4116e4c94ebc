"""What is asked of the engine, as the JSON bodies of its API (version 1.41). Nothing here has an effect."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stressnet.agent.logfile import PART_BYTES, PARTS
from stressnet.plan import Node, Plan

LABEL_NET = "stressnet.net"
LABEL_NODE = "stressnet.node"
LABEL_ROLE = "stressnet.part"
"""What a thing of ours is that is no node: agent, network, volume, prepare, look."""
LABEL_OWNER = "stressnet.owner"
LABEL_RUN = "stressnet.run"
LABEL_CREATED = "stressnet.created"
LABEL_EXPIRES = "stressnet.expires"
LABEL_KEPT = "stressnet.kept"
"""On volumes with data that outlives its net, instead of the net's label."""

VOLUME = "/.stressnet"
"""Where the net's volume is mounted: writable in the agent's container, read-only in the nodes'."""
GATE = f"{VOLUME}/gate"
AGENT_DIRECTORY = "/run/stressnet/agent"
AGENT_SOCKET = f"{AGENT_DIRECTORY}/agent.sock"
ENGINE_SOCKET = "/run/engine.sock"

AGENT_CAPABILITIES = (
    "NET_ADMIN",  # to delete routes and to set rules in the nodes' network namespaces
    "NET_RAW",  # to see the packets of nodes whose packets are to be kept
    "SYS_ADMIN",  # to enter them
    "SYS_PTRACE",  # to see which namespace a process is in, and to shift the clock that it sees
    "KILL",  # to stop nodes whose image runs as another user
    "SYS_CHROOT",  # without it nobody enters a mount namespace: there the disks of nodes are mounted
    "CHOWN",  # the first files on a disk are the node's
)
AGENT_CAPABILITIES_USERNS = (
    "DAC_OVERRIDE",  # its files and its volume belong to the engine's mapped root there, which it is not
)
NODE_CAPABILITIES_DROPPED = (
    "NET_RAW",  # could send packets with a forged source, past the control of its links
    "MKNOD",
    "AUDIT_WRITE",
)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What of an image's configuration decides how its containers are made."""

    command: tuple[str, ...]
    """Its own entrypoint and command."""
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What every label of one `up` has in common; times are Unix seconds, 0 for never."""

    net: str
    owner: str
    run: str
    created_at: float
    expires_at: float

    @classmethod
    def of(cls, labels: Mapping[str, str]) -> Origin:
        """Read it from the labels of a thing."""
        return cls(
            net=labels[LABEL_NET],
            owner=labels[LABEL_OWNER],
            run=labels[LABEL_RUN],
            created_at=float(labels[LABEL_CREATED]),
            expires_at=float(labels[LABEL_EXPIRES]),
        )

    def labels(self, **more: str) -> dict[str, str]:
        """Return the labels of one thing."""
        return {
            LABEL_NET: self.net,
            LABEL_OWNER: self.owner,
            LABEL_RUN: self.run,
            LABEL_CREATED: f"{self.created_at:.3f}",
            LABEL_EXPIRES: f"{self.expires_at:.3f}" if self.expires_at else "0",
            **more,
        }


def network_name(net: str) -> str:
    """Return the name of a net's network."""
    return f"stressnet-{net}"


def container_name(net: str, node: str) -> str:
    """Return the name of a node's container."""
    return f"stressnet-{net}.{node}"


def agent_name(net: str) -> str:
    """Return the name of the agent's container; no node can be called so."""
    return f"stressnet-{net}_agent"


def unfinished_agent_name(net: str) -> str:
    """Return the name of the agent's container before `up` has finished and once `down` has begun: no whole net."""
    return f"{agent_name(net)}-unfinished"


def kept_volume(net: str, node: str) -> str:
    """Return the name of the volume with a node's data that outlives the net."""
    return f"stressnet-{net}.{node}_data"


def network(plan: Plan, origin: Origin) -> dict[str, Any]:
    """Describe the bridge of a net with egress, as the arguments of the SDK's `create_network`.

    Other nets have none: the agent wires their containers to its own namespace.
    """
    return {
        "name": network_name(plan.net),
        "driver": "bridge",
        "check_duplicate": True,
        "ipam": {"Driver": "default", "Config": [{"Subnet": plan.subnet, "Gateway": plan.gateway}]},
        "labels": origin.labels(**{LABEL_ROLE: "network"}),
    }


def agent(
    plan: Plan, origin: Origin, image: str, engine_socket: str, *, security: Collection[str]
) -> dict[str, Any]:
    """Describe the agent's container. Its volume has no name, so that it goes with the container.

    `security` has the names of what the engine confines its containers by, such as apparmor, userns.
    """
    command = [plan.net, origin.owner, f"{origin.expires_at}", AGENT_DIRECTORY]
    labels = origin.labels(**{LABEL_ROLE: "volume"})
    return {
        "Image": image,
        "Hostname": "agent",
        "Entrypoint": ["python3", "-m", "stressnet.agent.dockerinit"],
        "Cmd": command,
        "Labels": origin.labels(**{LABEL_ROLE: "agent"}),
        "HostConfig": {
            "AutoRemove": True,
            "PidMode": "host",
            "UsernsMode": "host",  # else an engine with user namespaces does not share process ids
            "NetworkMode": "none",
            "Sysctls": {"net.ipv4.ip_forward": "1"},  # its namespace is the router of the net
            "CapDrop": ["ALL"],
            "CapAdd": [*AGENT_CAPABILITIES, *(AGENT_CAPABILITIES_USERNS if "userns" in security else ())],
            "SecurityOpt": [
                "no-new-privileges",
                *(["apparmor=unconfined"] if "apparmor" in security else []),
            ],
            "LogConfig": _log_config(),
            "Mounts": [
                {"Type": "volume", "Target": VOLUME, "VolumeOptions": {"Labels": labels}},
                {"Type": "bind", "Source": engine_socket, "Target": ENGINE_SOCKET},
            ],
        },
    }


def node(plan: Plan, node: Node, origin: Origin, facts: ImageFacts, volume: str) -> dict[str, Any]:
    """Describe a node's container, whose first process is the gate."""
    name = network_name(plan.net)
    mounts: list[dict[str, Any]] = [
        {
            "Type": "volume",
            "Source": volume,
            "Target": VOLUME,
            "ReadOnly": True,
            "VolumeOptions": {"NoCopy": True},
        }
    ]
    endpoint = {"IPAMConfig": {"IPv4Address": node.address}, "Aliases": [node.name]}
    if node.data == "kept":
        labels = {LABEL_KEPT: plan.net, LABEL_OWNER: origin.owner, LABEL_NODE: node.name}
        source = kept_volume(plan.net, node.name)
        mounts.append(
            {
                "Type": "volume",
                "Source": source,
                "Target": node.directory,
                "VolumeOptions": {"Labels": labels},
            }
        )
    return {
        "Image": node.image,
        "Hostname": node.name,
        # A command of the kind starts in the node's directory, as on netns; an image's own where the image says.
        "Entrypoint": [GATE, *(["-C"] if node.command else []), node.directory],
        "Cmd": list(node.command or facts.command),
        "Env": [f"{key}={value}" for key, value in node.env.items()],
        "Labels": origin.labels(**{LABEL_NODE: node.name}),
        "Healthcheck": {"Test": ["NONE"]},  # it would run the image's programs while the node is at its gate
        "StopSignal": node.stop_signal,
        "StopTimeout": math.ceil(node.stop_timeout_s),
        "HostConfig": {
            "NetworkMode": name if plan.egress else "none",
            "CapDrop": list(NODE_CAPABILITIES_DROPPED),
            "SecurityOpt": ["no-new-privileges"],
            "RestartPolicy": {"Name": "no"},
            "LogConfig": _log_config(),
            "Mounts": mounts,
            "Sysctls": {
                "net.ipv6.conf.all.disable_ipv6": "1",
                "net.ipv6.conf.default.disable_ipv6": "1",
            },
            # Nobody answers there: names of nodes are in /etc/hosts, and no other is looked up.
            "Dns": [] if plan.egress else ["127.0.0.1"],
            **_limits(node),
        },
        "NetworkingConfig": {"EndpointsConfig": {name: endpoint} if plan.egress else {}},
    }


def preparation(
    image: str, command: Sequence[str], directory: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Describe the one-off container of a kind's preparation."""
    return {
        "Image": image,
        "Hostname": "prepare",
        "Entrypoint": [command[0]],
        "Cmd": list(command[1:]),
        "WorkingDir": directory,
        "Labels": dict(labels),
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": list(NODE_CAPABILITIES_DROPPED),
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": _log_config(),
        },
    }


def _limits(node: Node) -> dict[str, int]:
    limits = {}
    if node.cpu:
        limits["NanoCpus"] = round(node.cpu * 1e9)
    if node.memory:
        limits["Memory"] = limits["MemorySwap"] = node.memory
    return limits


def _log_config() -> dict[str, Any]:
    return {"Type": "json-file", "Config": {"max-size": str(PART_BYTES), "max-file": str(PARTS)}}
