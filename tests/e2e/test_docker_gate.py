"""The gate: no program of a node runs before the agent let it, on any start, and then it is the container."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract.nets import Quiet, live, log, plan_text, python_nodes, until
from needs import require

from stressnet import state
from stressnet.backends.base import FoundNet
from stressnet.backends.docker import DockerBackend, bodies, found_nets, nodes, remove_kept
from stressnet.backends.docker.found import things_of
from stressnet.backends.docker.ownership import owner
from stressnet.backends.docker.removal import remove_net
from stressnet.engine.down import prune
from stressnet.engine.reconcile import reconcile
from stressnet.engine.up import up
from stressnet.errors import StageError
from stressnet.images import agent as agent_image
from stressnet.images.engine import connect, create_container
from stressnet.plan import Plan

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("state_home", "engine")]

SLEEP = "import time\ntime.sleep(600)"
BASE = "stressnet/base:2"


@pytest.fixture
def engine() -> None:
    require("docker")


def planned(folder: Path, name: str, groups: dict[str, str], subnet: str, **options: Any) -> Plan:
    return plan_text(folder, f"subnet: {subnet}\n" + python_nodes(name, groups, **options), "docker")


async def observed(net: DockerBackend, node: str) -> dict[str, Any]:
    async with await net.connect() as agent:
        return dict((await agent.call("status"))["nodes"][node])


async def lines(net: DockerBackend, node: str, count: int) -> list[str]:
    async def enough() -> list[str]:
        found = await log(net, node)
        return found if len(found) >= count else []

    return await until(enough)


@pytest.fixture
def lonely_gate(tmp_path: Path) -> Iterator[str]:
    """A node's container, started with a volume that has the gate but no agent."""
    plan = planned(tmp_path, "gate-a", {"n": "print('it ran')"}, "10.90.0.0/24")
    client, origin = connect(), bodies.Origin("gate-a", owner(), "test", 0.0, 0.0)
    volume = client.create_volume("stressnet-gate-a", labels=origin.labels())["Name"]
    filler = create_container(
        client,
        {
            "Image": agent_image.ensure(client, print),
            "Cmd": ["true"],
            "HostConfig": {"Mounts": [{"Type": "volume", "Source": volume, "Target": bodies.VOLUME}]},
        },
    )
    client.remove_container(filler)
    facts = bodies.ImageFacts((), 0, 0)
    node = create_container(client, bodies.node(plan, plan.node("n"), origin, facts, volume))
    try:
        client.start(node)
        yield node
    finally:
        client.remove_container(node, force=True, v=True)
        client.remove_volume(volume)


def test_nothing_runs_without_an_agent(lonely_gate: str) -> None:
    """A container that no agent lets go waits at its gate, and its program has not run."""
    time.sleep(2)
    client = connect()
    state = client.inspect_container(lonely_gate)["State"]
    assert state["Running"]
    assert os.readlink(f"/proc/{state['Pid']}/exe").endswith("/gate")
    assert client.logs(lonely_gate) == b""


def test_a_gate_ends_at_once_when_it_is_stopped(lonely_gate: str) -> None:
    """`docker stop` of a waiting container does not have to wait for its SIGKILL."""
    client = connect()
    time.sleep(1)  # until it is at the gate
    before = time.monotonic()
    client.stop(lonely_gate, timeout=20)
    assert time.monotonic() - before < 10
    assert client.inspect_container(lonely_gate)["State"]["ExitCode"] == 128 + 15


def test_the_node_is_process_one(tmp_path: Path) -> None:
    """Process id, arguments, signals and exit code are the node's own; nothing of the gate is left."""
    program = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), open('/proc/1/cmdline').read().split(chr(0))[0], os.listdir('/proc/self/fd'))
time.sleep(600)
"""
    plan = planned(tmp_path, "gate-b", {"n": program}, "10.91.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            pid, name, files = (await lines(net, "n", 1))[0].split(" ", 2)
            assert (pid, name) == ("1", "python3")
            assert files == "['0', '1', '2', '3']"
            connect().kill(bodies.container_name("gate-b", "n"), "SIGTERM")

            async def ended() -> bool:
                return (await observed(net, "n"))["state"] == "exited"

            await until(ended)
            assert (await observed(net, "n"))["exit_code"] == 7
            assert (await net.fates())["n"].exit_code == 7

    asyncio.run(story())


def test_a_start_by_the_engine_passes_the_gate_again(tmp_path: Path) -> None:
    """After `docker restart` the new namespace is set up like the first before the program runs again."""
    program = "print(len(open('/proc/net/route').readlines()))\n" + SLEEP
    plan = planned(tmp_path, "gate-c", {"n": program}, "10.92.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            before = await observed(net, "n")
            connect().restart(bodies.container_name("gate-c", "n"), timeout=0)
            first, second = await lines(net, "n", 2)
            assert first == second == "2"  # the headline and the net's own route
            after = await observed(net, "n")
            assert (after["state"], after["starts"]) == ("ready", 2)
            assert after["pid"] != before["pid"]

    asyncio.run(story())


def test_a_node_cannot_work_the_gate(tmp_path: Path) -> None:
    """The volume is read-only to nodes, and the knock socket hangs up on whoever is not the gate."""
    program = """
import os, socket, time
try: open('/.stressnet/new', 'w')
except OSError as error: print(error.strerror)
s = socket.socket(socket.AF_UNIX); s.connect('/.stressnet/knock'); s.settimeout(5)
print(s.recv(1))
time.sleep(600)
"""
    plan = planned(tmp_path, "gate-d", {"n": program, "other": SLEEP}, "10.93.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            assert await lines(net, "n", 2) == ["Read-only file system", "b''"]
            assert [(await observed(net, name))["starts"] for name in ("n", "other")] == [1, 1]

    asyncio.run(story())


def test_names_are_known_inside_and_only_there(tmp_path: Path) -> None:
    """Nodes find each other by name; a name of the world outside is not looked up for them."""
    program = """
import socket, time
print(socket.gethostbyname('peer'))
try: print(socket.gethostbyname('deb.debian.org'))
except OSError: print('unknown')
for where in ('172.17.0.1', '1.1.1.1'):
    s = socket.socket(); s.settimeout(6)
    try: s.connect((where, 22)); print('connected')
    except ConnectionRefusedError: print('reached')
    except OSError: print('no way')
time.sleep(600)
"""
    plan = planned(tmp_path, "gate-e", {"n": program, "peer": SLEEP}, "10.94.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            peer = plan.node("peer").address
            assert await lines(net, "n", 4) == [peer, "unknown", "no way", "no way"]

    asyncio.run(story())


def test_nothing_is_left(tmp_path: Path) -> None:
    """After `destroy` the engine has no container, network or volume of the net; a second one is fine."""
    plan = planned(tmp_path, "gate-f", {"n": SLEEP}, "10.95.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            there = things_of(connect(), "gate-f")
            assert (len(there.containers), len(there.networks), len(there.volumes)) == (2, 0, 1)
            await net.destroy()
        assert not things_of(connect(), "gate-f")

    asyncio.run(story())


def test_a_net_whose_agent_is_gone_can_be_removed(tmp_path: Path) -> None:
    """Containers, network and volume go by their labels alone, also when the agent went first."""
    plan = planned(tmp_path, "gate-g", {"n": SLEEP}, "10.96.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            connect().remove_container(bodies.agent_name("gate-g"), force=True)
            await net.destroy()
        assert not things_of(connect(), "gate-g")

    asyncio.run(story())


def test_an_ended_node_goes_on_in_its_container(tmp_path: Path) -> None:
    """`--reconcile` starts a node that ended again, with what it wrote, by way of its gate."""
    program = """
from pathlib import Path
import time
file = Path('count'); seen = int(file.read_text()) if file.exists() else 0
file.write_text(str(seen + 1)); print('run', seen)
time.sleep(1 if seen == 0 else 600)
"""
    plan = planned(tmp_path, "gate-h", {"n": program, "same": SLEEP}, "10.97.0.0/24")

    async def story() -> None:
        async with live(plan) as net:

            async def ended() -> bool:
                return (await observed(net, "n"))["state"] == "exited"

            await until(ended)
            same = await observed(net, "same")
            changes = await reconcile(plan, net, Quiet())
            assert changes.missing == ("n",)
            assert await lines(net, "n", 2) == ["run 0", "run 1"]
            assert [(await observed(net, name))["state"] for name in ("n", "same")] == ["ready", "ready"]
            assert (await observed(net, "same"))["pid"] == same["pid"]

    asyncio.run(story())


def test_a_net_is_whole_when_up_has_finished(tmp_path: Path) -> None:
    """What a killed `up` leaves is remains, although its agent runs; afterwards the net is whole."""
    plan = planned(tmp_path, "gate-i", {"n": SLEEP}, "10.98.0.0/24")

    async def story() -> None:
        net = DockerBackend("gate-i")
        try:
            await net.open(plan)
            await (await net.connect()).close()
            assert whole("gate-i") == [False]
            await net.keep()
            assert whole("gate-i") == [True]
            await (await DockerBackend("gate-i").connect()).close()
        finally:
            await net.destroy()

    asyncio.run(story())


def test_what_a_killed_down_leaves_is_no_whole_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it died before the engine had removed everything, or after: remains, and prune takes them."""
    plan = planned(tmp_path, "gate-l", {"n": SLEEP}, "10.102.0.0/24")

    def dies(*_: object) -> None:
        raise InterruptedError

    async def story() -> None:
        async with live(plan) as net:
            with monkeypatch.context() as patch:
                patch.setattr("stressnet.backends.docker.removal.remove_container", dies)
                with pytest.raises(InterruptedError):
                    await net.destroy()
            assert whole("gate-l") == [False]
            with monkeypatch.context() as patch:
                patch.setattr(state, "forget", dies)
                with pytest.raises(InterruptedError):
                    await net.destroy()
            assert not things_of(connect(), "gate-l")
            assert whole("gate-l") == [False]
            assert [removal.error for removal in await prune(found("gate-l"))] == [""]
            assert whole("gate-l") == []

    asyncio.run(story())


def found(name: str) -> list[FoundNet]:
    return [net for net in found_nets() if net.name == name]


def whole(name: str, **options: Any) -> list[bool]:
    return [net.complete for net in found_nets(**options) if net.name == name]


def test_a_net_that_lost_its_agent_ends_in_time_all_the_same(tmp_path: Path) -> None:
    """Whoever lists nets removes one whose time has passed, if nobody else is left to do it."""
    plan = planned(tmp_path, "gate-j", {"n": SLEEP}, "10.99.0.0/24")

    async def story() -> None:
        async with live(replace(plan, ttl_s=8.0)):
            connect().remove_container(bodies.agent_name("gate-j"), force=True)
            assert whole("gate-j") == [False]
            await asyncio.sleep(8)
            assert whole("gate-j") == []
            assert not things_of(connect(), "gate-j")

    asyncio.run(story())


def test_nets_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not listed or removed, and whoever wants the same name is told that it is taken."""
    plan = planned(tmp_path, "gate-k", {"n": SLEEP}, "10.100.0.0/24")
    other = planned(tmp_path, "gate-k", {"other": SLEEP}, "10.101.0.0/24")

    async def story() -> None:
        async with live(plan):
            with monkeypatch.context() as patch:
                patch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
                assert whole("gate-k") == []
                assert whole("gate-k", everyone=True) == [True]
                await DockerBackend("gate-k").destroy(data=True)
                with pytest.raises(
                    StageError, match="another user, or another state folder, has a net 'gate-k'"
                ):
                    await up(other, DockerBackend("gate-k"), Quiet())
            assert whole("gate-k") == [True]
            assert set(things_of(connect(), "gate-k").nodes()) == {"n"}

    asyncio.run(story())


def test_kept_data_of_others_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A net of the same name that somebody else had does not hand its data on, nor lose it."""
    plan = planned(tmp_path, "gate-l", {"n": SLEEP}, "10.102.0.0/24", extra="data: kept")
    client, volume = connect(), bodies.kept_volume("gate-l", "n")

    async def story() -> None:
        net = DockerBackend("gate-l")
        await up(plan, net, Quiet())
        await net.destroy()
        with monkeypatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
            try:
                with pytest.raises(StageError, match="belongs to a net 'gate-l' of another user"):
                    await up(plan, DockerBackend("gate-l"), Quiet())
            finally:
                await DockerBackend("gate-l").destroy()
            assert not remove_kept("gate-l")
        assert client.inspect_volume(volume)["Name"] == volume
        assert remove_kept("gate-l")

    asyncio.run(story())


def test_a_look_into_an_image_carries_the_nets_name() -> None:
    """A container made for that, and left by a killed command, is found and removed with its net."""
    client, began = connect(), int(time.time())
    origin = bodies.Origin("gate-m", owner(), "test", 0.0, 0.0)
    nodes._user(client, BASE, "nobody", origin.labels(**{bodies.LABEL_ROLE: "look"}))
    wanted = {"event": "create", "label": ["stressnet.net=gate-m", f"stressnet.owner={owner()}"]}
    made = list(client.events(since=began, until=int(time.time()) + 1, filters=wanted, decode=True))
    assert [event["Actor"]["Attributes"]["stressnet.part"] for event in made] == ["look"]


def test_a_net_without_a_name_is_nobodys(tmp_path: Path) -> None:
    """A thing with an empty label, as an earlier version could leave, is no net, and drags no other down."""
    plan = planned(tmp_path, "gate-n", {"n": SLEEP}, "10.103.0.0/24")
    labels = {bodies.LABEL_NET: "", bodies.LABEL_OWNER: owner()}
    odd = create_container(connect(), {"Image": BASE, "Cmd": ["none"], "Labels": labels})

    async def story() -> None:
        async with live(plan):
            assert [net.name for net in found_nets()] == ["gate-n"]
            with pytest.raises(ValueError, match="no name of a net"):
                await remove_net(connect(), "")
            assert whole("gate-n") == [True]

    try:
        asyncio.run(story())
    finally:
        connect().remove_container(odd)


def test_a_node_that_locks_its_hosts_file_is_alone_without_news(tmp_path: Path) -> None:
    """A changed plan reaches the agent and the other nodes all the same."""
    hide = "import os\nos.chmod('/etc/hosts', 0)\nprint('hidden')\n" + SLEEP
    plan = planned(tmp_path, "gate-o", {"hides": hide, "other": SLEEP}, "10.104.0.0/24")
    grown = planned(tmp_path, "gate-o", {"hides": hide, "other": SLEEP, "new": SLEEP}, "10.104.0.0/24")

    async def story() -> None:
        async with live(plan) as net:
            assert await lines(net, "hides", 1) == ["hidden"]
            await net.replan(grown)
            pid = (await observed(net, "other"))["pid"]
            assert f"{grown.node('new').address} new" in Path(f"/proc/{pid}/root/etc/hosts").read_text()

    asyncio.run(story())
