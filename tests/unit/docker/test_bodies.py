"""What is asked of the engine: limits, names, what is forbidden, and what is the same for every node."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stressnet.backends.docker import bodies
from stressnet.plan import Node, Plan, Probe, Start

AGENT_CAPABILITIES = {"NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "KILL", "SYS_CHROOT", "CHOWN"}
NODE = Node(
    name="a-1", index=0, kind_index=0, group="a", kind="generic", role="node", region="", host="", labels={},
    address="10.0.0.2", image="some/image:1", binary="", command=("run", "it"), env={"KEY": "value"},
    directory="/run/stressnet/nodes/a-1", files=(), ports=(), cpu=0.0, memory=0, disk=0, start=Start(), data="fresh",
    ready=Probe("started"), ready_timeout_s=30.0, height=None, peers=None, metrics=None,
    block=None, in_sync=None, stacks=None, series={}, recovery_s=0.0,
    stop_signal="SIGINT", stop_timeout_s=2.5, knows=(),
)  # fmt: skip
PLAN = Plan(
    net="n",
    seed=1,
    backend="docker",
    subnet="10.0.0.0/24",
    gateway="10.0.0.1",
    egress=False,
    ttl_s=0.0,
    nodes=(NODE,),
)
ORIGIN = bodies.Origin("n", "me", "run1", 10.0, 20.0)
FACTS = bodies.ImageFacts(("own", "command"), 0, 0)


def body(node: Node = NODE, plan: Plan = PLAN) -> dict[str, Any]:
    return bodies.node(plan, node, ORIGIN, FACTS, "the-volume")


def test_the_gate_comes_before_the_nodes_command() -> None:
    """The entrypoint is the gate with the node's directory; the command is the plan's."""
    assert body()["Entrypoint"] == ["/.stressnet/gate", "-C", NODE.directory]
    assert body()["Cmd"] == ["run", "it"]


def test_an_empty_command_is_that_of_the_image() -> None:
    """A node without a command runs the image's own entrypoint and command."""
    own = body(replace(NODE, command=()))
    assert own["Cmd"] == ["own", "command"]
    assert "-C" not in own["Entrypoint"]


def test_the_nodes_volume_is_read_only() -> None:
    """Nodes see the gate, and cannot change it for others."""
    (mount,) = body()["HostConfig"]["Mounts"]
    assert (mount["Source"], mount["Target"], mount["ReadOnly"]) == ("the-volume", "/.stressnet", True)


def test_limits_are_those_of_the_plan() -> None:
    """CPU in billionths, memory without swap; no limit is no key."""
    limited = body(replace(NODE, cpu=0.25, memory=2**25))["HostConfig"]
    assert (limited["NanoCpus"], limited["Memory"], limited["MemorySwap"]) == (250_000_000, 2**25, 2**25)
    assert not {"NanoCpus", "Memory"} & body()["HostConfig"].keys()


def test_no_container_is_privileged() -> None:
    """Capabilities are named: nodes lose the one that forges packets, the agent has six."""
    agent = bodies.agent(PLAN, ORIGIN, "image", "/var/run/docker.sock", security=())["HostConfig"]
    assert "Privileged" not in agent
    assert "Privileged" not in body()["HostConfig"]
    assert agent["CapDrop"] == ["ALL"]
    assert set(agent["CapAdd"]) == AGENT_CAPABILITIES
    assert "NET_RAW" in body()["HostConfig"]["CapDrop"]


def test_the_agent_is_itself_where_the_engine_maps_users() -> None:
    """It shares the machine's processes there too, and may write what belongs to the mapped root; nowhere else."""
    agent = bodies.agent(PLAN, ORIGIN, "image", "/var/run/docker.sock", security={"userns"})["HostConfig"]
    assert agent["UsernsMode"] == "host"
    assert set(agent["CapAdd"]) == AGENT_CAPABILITIES | {"DAC_OVERRIDE"}
    assert agent["SecurityOpt"] == ["no-new-privileges"]


def test_the_agent_is_unconfined_where_apparmor_is() -> None:
    """Its default profile forbids the agent's mounts; hosts without it do not know the option."""
    agent = bodies.agent(PLAN, ORIGIN, "image", "/var/run/docker.sock", security={"apparmor", "seccomp"})
    assert "apparmor=unconfined" in agent["HostConfig"]["SecurityOpt"]
    assert "DAC_OVERRIDE" not in agent["HostConfig"]["CapAdd"]


def test_everything_carries_the_nets_labels() -> None:
    """Network, agent, volume and nodes say whose they are, since when and until when."""
    agent = bodies.agent(PLAN, ORIGIN, "image", "/var/run/docker.sock", security=())
    volume = agent["HostConfig"]["Mounts"][0]["VolumeOptions"]["Labels"]
    for labels in (bodies.network(PLAN, ORIGIN)["labels"], agent["Labels"], volume, body()["Labels"]):
        assert labels["stressnet.net"] == "n"
        assert (labels["stressnet.owner"], labels["stressnet.run"]) == ("me", "run1")
        assert (labels["stressnet.created"], labels["stressnet.expires"]) == ("10.000", "20.000")


@pytest.mark.parametrize("egress", [False, True])
def test_only_egress_opens_the_net(egress: bool) -> None:
    """Without egress a container has no network of the engine's, and no name server is asked."""
    asked = body(plan=replace(PLAN, egress=egress))
    assert asked["HostConfig"]["NetworkMode"] == ("stressnet-n" if egress else "none")
    assert bool(asked["NetworkingConfig"]["EndpointsConfig"]) is egress
    assert asked["HostConfig"]["Dns"] == ([] if egress else ["127.0.0.1"])


def test_kept_data_is_labelled_as_kept_alone() -> None:
    """The volume of kept data does not carry the net's label, so `down` leaves it."""
    mount = body(replace(NODE, data="kept"))["HostConfig"]["Mounts"][1]
    assert mount["Target"] == NODE.directory
    assert mount["VolumeOptions"]["Labels"] == {
        "stressnet.kept": "n",
        "stressnet.node": "a-1",
        "stressnet.owner": "me",
    }


def test_no_node_can_be_called_like_the_agent() -> None:
    """Names of nodes have no underscore, the agent's container has."""
    assert bodies.agent_name("n") == "stressnet-n_agent"
    assert bodies.unfinished_agent_name("n") == "stressnet-n_agent-unfinished"
    assert bodies.container_name("n", "agent") == "stressnet-n.agent"
