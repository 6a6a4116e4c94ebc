"""What both backends promise: the same nets, the same words, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest
from contract.nets import IMAGE, Quiet, kill_agent, live, log, plan_text, python_nodes, status, until
from needs import require, require_limits

from stressnet.agent.names import LAUNCHER
from stressnet.backends.base import Backend
from stressnet.backends.worlds import MODULE, worlds
from stressnet.engine.choose import backend_for, found_nets, nets_called
from stressnet.engine.down import down
from stressnet.engine.forward import listen
from stressnet.engine.reconcile import Changes, reconcile
from stressnet.engine.status import NodeStatus, look, watch
from stressnet.engine.up import up
from stressnet.errors import StageError, UsageError
from stressnet.state import net_directory

pytestmark = pytest.mark.usefixtures("state_home")

SLEEP = "import time\ntime.sleep(600)"
SERVE = """
import socket
s = socket.create_server(('', 7000))
print('serving')
while True:
    c, who = s.accept()
    print('from', who[0])
    c.sendall(b'hello ' + c.recv(100))
    c.close()
"""


def test_a_net_comes_up_and_leaves_nothing(backend: str, tmp_path: Path) -> None:
    """All nodes are ready after `up`, and after `down` no trace of the net is found."""
    plan = plan_text(tmp_path, python_nodes("contract-a", {"n": SLEEP}, count=3), backend)

    async def story() -> None:
        async with live(plan) as net:
            seen = await status(plan, net)
            assert [node.state for node in seen.nodes] == ["ready"] * 3
            assert [net.name for net in found_nets() if net.complete and net.name == plan.net]

    asyncio.run(story())
    assert [net for net in found_nets() if net.name == plan.net] == []


def test_the_network_is_complete_before_the_first_instruction(backend: str, tmp_path: Path) -> None:
    """The first thing that a node does can already use its address, sees no way out and no IPv6."""
    first = """
import os, socket
s = socket.socket(); s.bind((os.environ['ADDRESS'], 0))
print('routes', [l.split()[1] for l in open('/proc/net/route').readlines()[1:]])
try: six = open('/proc/net/if_inet6').read().strip()
except FileNotFoundError: six = ''
print('ipv6', repr(six))
import time; time.sleep(600)
"""
    text = python_nodes("contract-b", {"n": first}, extra="env: {ADDRESS: '{address}'}")
    plan = plan_text(tmp_path, text, backend)

    async def story() -> list[str]:
        async with live(plan) as net:
            return await until(lambda: _two_lines(net))

    routes, ipv6 = asyncio.run(story())
    assert "00000000" not in routes
    assert ipv6 == "ipv6 ''"


async def _two_lines(net) -> list[str] | None:  # type: ignore[no-untyped-def]
    lines = await log(net, "n")
    return lines[:2] if len(lines) >= 2 else None


def test_nodes_meet_by_name_with_their_true_addresses(backend: str, tmp_path: Path) -> None:
    """A node reaches another by name, and the other sees the caller's own address."""
    call = """
import socket, time
while True:
    try: c = socket.create_connection(('server', 7000), 5); break
    except OSError: time.sleep(0.1)
c.sendall(b'there'); print(c.recv(100)); time.sleep(600)
"""
    plan = plan_text(tmp_path, python_nodes("contract-c", {"server": SERVE, "caller": call}), backend)

    async def story() -> None:
        async with live(plan) as net:
            await until(lambda: _contains(net, "caller", "b'hello there'"))
            assert f"from {plan.node('caller').address}" in await log(net, "server")

    asyncio.run(story())


async def _contains(net, node: str, line: str) -> bool:  # type: ignore[no-untyped-def]
    return line in await log(net, node)


def test_nothing_leaves_the_net(backend: str, tmp_path: Path) -> None:
    """A node reaches no address outside its net, and no name outside resolves."""
    escape = """
import socket, time
for target in (('192.0.2.1', 80), ('1.1.1.1', 53)):
    try: socket.create_connection(target, 3); print('escaped', target)
    except OSError as e: print('blocked')
try: print('escaped', socket.gethostbyname('example.com'))
except OSError: print('blocked')
time.sleep(600)
"""
    plan = plan_text(tmp_path, python_nodes("contract-d", {"n": escape}), backend)

    async def story() -> list[str]:
        async with live(plan) as net:
            return await until(lambda: _lines(net, "n", 3), 60)

    assert asyncio.run(story()) == ["blocked"] * 3


async def _lines(net, node: str, count: int) -> list[str] | None:  # type: ignore[no-untyped-def]
    lines = await log(net, node)
    return lines if len(lines) >= count else None


def test_a_node_that_ends_fails_the_up_and_says_why(backend: str, tmp_path: Path) -> None:
    """`up` names the node, its exit code and its last words, and leaves nothing."""
    text = python_nodes("contract-e", {"good": SLEEP, "bad": "print('my last words')\nraise SystemExit(7)"})
    plan = plan_text(tmp_path, text + "    ready: {tcp: {port: p}}\n    ports: {p: 1/tcp}\n", backend)

    with pytest.raises(StageError) as raised:
        asyncio.run(up(plan, backend_for(backend, plan.net), Quiet()))

    assert "bad: exit code 7" in raised.value.message
    assert "my last words" in raised.value.message
    assert "was removed again" in " ".join(raised.value.hints)
    assert [net for net in found_nets() if net.name == plan.net] == []


def test_a_node_over_its_memory_limit_is_killed_and_named(backend: str, tmp_path: Path) -> None:
    """The limit holds, and the message says that it was the limit."""
    require_limits(backend)
    text = python_nodes(
        "contract-f", {"hog": "x = bytearray(200 * 2**20)\nprint('got it')\nimport time\ntime.sleep(60)"}
    )
    plan = plan_text(tmp_path, text + "    memory: 64MiB\n    ready: {log: got it}\n", backend)

    with pytest.raises(StageError, match="went over its memory limit of 64 MiB"):
        asyncio.run(up(plan, backend_for(backend, plan.net), Quiet()))


def test_a_cpu_limit_holds(backend: str, tmp_path: Path) -> None:
    """A node that spins uses no more than its share."""
    require_limits(backend)
    plan = plan_text(
        tmp_path, python_nodes("contract-g", {"spin": "while True: pass"}) + "    cpu: 0.2\n", backend
    )

    async def story() -> float:
        async with live(plan) as net:
            await until(lambda: _spins(plan, net))
            await asyncio.sleep(3)
            return (await status(plan, net)).nodes[0].cpu or 0.0

    assert 0.02 < asyncio.run(story()) < 0.5


async def _spins(plan, net) -> bool:  # type: ignore[no-untyped-def]
    return ((await status(plan, net)).nodes[0].cpu or 0.0) > 0.02


def test_late_nodes_wait_for_their_time(backend: str, tmp_path: Path) -> None:
    """A late node is held while the others run, and starts by itself."""
    text = python_nodes("contract-h", {"early": SLEEP, "late": SLEEP}) + "    start: {after: 3s}\n"
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:
            seen = await status(plan, net)
            assert [node.state for node in seen.nodes] == ["ready", "waiting"]
            await until(lambda: _all_ready(plan, net), 10)

    asyncio.run(story())


async def _all_ready(plan, net) -> bool:  # type: ignore[no-untyped-def]
    return (await status(plan, net)).all_ready()


def test_a_killed_agent_comes_back_and_knows_everything(backend: str, tmp_path: Path) -> None:
    """After kill -9 of the agent the nodes run on, undisturbed, and late ones still start."""
    text = python_nodes("contract-i", {"early": SLEEP, "late": SLEEP}) + "    start: {after: 5s}\n"
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:
            async with await net.connect() as agent:
                before = await agent.call("status")
            kill_agent(plan)
            after = await until(lambda: _answer(net))
            assert after["nodes"]["early"]["pid"] == before["nodes"]["early"]["pid"] != 0
            await until(lambda: _all_ready(plan, net), 15)

    asyncio.run(story())


def test_a_killed_launcher_comes_back(tmp_path: Path) -> None:
    """What starts programs on netns is replaced: nodes run on, others still start, and their ends are seen."""
    require("netns")
    ends = "import sys\nsys.exit(3)"
    text = python_nodes("contract-la", {"early": SLEEP, "late": ends}) + "    start: {after: 5s}\n"
    plan = plan_text(tmp_path, text, "netns")

    async def ended(net: Backend) -> dict[str, NodeStatus] | None:
        nodes = {node.node: node for node in (await status(plan, net)).nodes}
        return nodes if nodes["late"].state == "exited" else None

    async def story() -> None:
        async with live(plan) as net:
            async with await net.connect() as agent:
                before = await agent.call("status")
            kill_agent(plan, LAUNCHER)
            nodes = await until(lambda: ended(net), 15)
            assert nodes["late"].exit_code == 3
            async with await net.connect() as agent:
                after = await agent.call("status")
            assert after["nodes"]["early"]["pid"] == before["nodes"]["early"]["pid"] != 0

    asyncio.run(story())


def test_a_node_that_is_just_being_started_is_no_world(tmp_path: Path) -> None:
    """Before its exec it has the words of a world and is process 1 of a namespace: to end it would end nothing."""
    require("netns")
    words = ["-m", MODULE, "--net", "contract-lb", "--directory", str(tmp_path)]
    program = [sys.executable, "-c", "print('begun', flush=True); input()", *words]
    alike = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", *program]
    with subprocess.Popen(alike, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        found = [world for world in worlds() if world.directory == tmp_path]
        running.communicate(b"\n")
    assert found == []


async def _answer(net):  # type: ignore[no-untyped-def]
    try:
        async with await net.connect() as agent:
            return await agent.call("status")
    except Exception:
        return None


def test_commands_run_in_a_nodes_place(backend: str, tmp_path: Path) -> None:
    """`exec` runs in the node's network and returns the exit code."""
    plan = plan_text(tmp_path, python_nodes("contract-j", {"n": SLEEP}), backend)
    check = f"import socket; socket.socket().bind(('{plan.node('n').address}', 0)); raise SystemExit(5)"

    async def story() -> int:
        async with live(plan) as net:
            return await net.execute("n", ["python3", "-c", check])

    assert asyncio.run(story()) == 5


def test_a_port_of_a_node_is_reached_from_here(backend: str, tmp_path: Path) -> None:
    """`forward` carries bytes both ways between a loopback port and the node's."""
    plan = plan_text(tmp_path, python_nodes("contract-k", {"n": SERVE}), backend)

    async def story() -> bytes:
        async with live(plan) as net:
            complaints: list[str] = []
            await until(lambda: _contains(net, "n", "serving"))
            server = await listen(net, 0, complaints.append, "dial", node="n", port=7000)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"you")
                answer = await reader.read(100)
                writer.close()
            assert complaints == []
            return answer

    assert asyncio.run(story()) == b"hello you"


def test_two_nets_do_not_disturb_each_other(backend: str, tmp_path: Path) -> None:
    """Nets side by side come and go alone."""
    plans = [
        plan_text(tmp_path, python_nodes(name, {"n": SLEEP}, count=2), backend)
        for name in ("contract-l", "contract-m")
    ]

    async def story() -> None:
        async with live(plans[0]) as one:
            async with live(plans[1]):
                pass
            assert (await status(plans[0], one)).all_ready()

    asyncio.run(story())


def test_a_name_is_taken_once(backend: str, tmp_path: Path) -> None:
    """A second `up` of the same name says so and changes nothing."""
    plan = plan_text(tmp_path, python_nodes("contract-n", {"n": SLEEP}), backend)

    async def story() -> None:
        async with live(plan) as net:
            with pytest.raises(UsageError, match="is up already"):
                await up(plan, backend_for(backend, plan.net), Quiet())
            assert (await status(plan, net)).all_ready()

    asyncio.run(story())


def test_a_net_ends_at_its_time_to_live(backend: str, tmp_path: Path) -> None:
    """Nobody has to remove an abandoned net."""
    plan = plan_text(tmp_path, python_nodes("contract-o", {"n": SLEEP}), backend, ttl_s=6.0)

    async def gone() -> bool:
        return not [net for net in found_nets() if net.name == plan.net]

    async def story() -> None:
        await up(plan, backend_for(backend, plan.net), Quiet())
        assert not await gone()
        await until(gone, 40)

    asyncio.run(story())


def test_stop_signal_reaches_the_node(backend: str, tmp_path: Path) -> None:
    """A stopped node gets its kind's signal first and can end in its own way, with words that are read alone."""
    polite = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: (print('bye'), exit(3)))
print('set')
time.sleep(600)
"""
    plan = plan_text(tmp_path, python_nodes("contract-p", {"n": polite}) + "    ready: {log: set}\n", backend)

    async def story() -> None:
        async with live(plan) as net:
            place = net.log_end("n")
            async with await net.connect() as agent:
                await agent.call("stop", names=["n"])
            seen = await until(lambda: _ended(plan, net))
            assert seen.exit_code == 3
            assert await log(net, "n") == ["set", "bye"]
            since = [line async for line in net.logs("n", follow=False, tail=None, since=place)]
            assert since == [b"bye"]

    asyncio.run(story())


def test_a_signal_is_told_from_the_number_that_engines_write_for_it(backend: str, tmp_path: Path) -> None:
    """A program that ends with 137 was not killed; one that was killed did not end with 137."""
    own = "import time\ntime.sleep(3)\nraise SystemExit(137)"
    text = python_nodes("contract-aa", {"own": own, "killed": SLEEP})
    plan = plan_text(tmp_path, text, backend)

    async def story() -> dict[str, str]:
        async with live(plan) as net:
            async with await net.connect() as agent:
                await agent.call("stop", names=["killed"])
            await until(lambda: _both_ended(plan, net))
            return {node.node: node.reason for node in (await status(plan, net)).nodes}

    reasons = asyncio.run(story())
    assert reasons["own"] == "exit code 137 (SIGKILL?)"
    told = ["killed by SIGKILL"]
    if backend == "docker" and tuple(map(int, os.uname().release.split(".")[:2])) < (6, 15):
        told = ["exit code 137 (SIGKILL?)"]
    assert [reasons["killed"]] == told


async def _ended(plan, net):  # type: ignore[no-untyped-def]
    node = (await status(plan, net)).nodes[0]
    return node if node.state == "exited" and node.exit_code is not None else None


def test_a_node_starts_in_its_directory_under_its_name(backend: str, tmp_path: Path) -> None:
    """The working directory is the node's own and writable; the host name is the node's."""
    where = """
import os, socket
open('proof', 'w').write('x')
print(os.getcwd(), socket.gethostname())
import time; time.sleep(600)
"""
    plan = plan_text(tmp_path, python_nodes("contract-q", {"here": where}), backend)

    async def story() -> list[str]:
        async with live(plan) as net:
            return await until(lambda: _lines(net, "here", 1))

    assert asyncio.run(story()) == ["/run/stressnet/nodes/here here"]


def test_kept_data_outlives_the_net_and_fresh_data_does_not(backend: str, tmp_path: Path) -> None:
    """A second net of the same name finds what a node with `data: kept` wrote, until it is removed with the net."""
    count = """
from pathlib import Path
file = Path('count'); seen = int(file.read_text()) if file.exists() else 0
file.write_text(str(seen + 1)); print(seen)
import time; time.sleep(600)
"""
    text = python_nodes("contract-r", {"fresh": count, "kept": count}) + "    data: kept\n"
    plan = plan_text(tmp_path, text, backend)

    async def once(data: bool) -> tuple[list[str], list[str]]:
        net = backend_for(plan.backend, plan.net)
        await up(plan, net, Quiet())
        try:
            return await until(lambda: _lines(net, "fresh", 1)), await until(lambda: _lines(net, "kept", 1))
        finally:
            await net.destroy(data=data)

    assert asyncio.run(once(data=False)) == (["0"], ["0"])
    assert asyncio.run(once(data=True)) == (["0"], ["1"])
    assert asyncio.run(once(data=True)) == (["0"], ["0"])


def test_a_local_program_runs_without_an_image_of_its_own(backend: str, tmp_path: Path) -> None:
    """`binary` names a program of this machine; on docker it is put into the group's image."""
    program = tmp_path / "mine"
    program.write_text(
        "#!/usr/bin/env python3\nprint('my build', flush=True)\nimport time; time.sleep(600)\n"
    )
    program.chmod(0o755)
    text = f"name: contract-s\nnodes:\n  n: {{kind: generic, image: '{IMAGE}', binary: ./mine}}\n"
    plan = plan_text(tmp_path, text, backend)

    async def story() -> list[str]:
        async with live(plan) as net:
            return await until(lambda: _lines(net, "n", 1))

    assert asyncio.run(story()) == ["my build"]


def test_a_watch_survives_the_death_of_the_agent(backend: str, tmp_path: Path) -> None:
    """Whoever watches a net goes on when the agent has come back, and the age of nodes goes on too."""
    plan = plan_text(tmp_path, python_nodes("contract-t", {"n": SLEEP}), backend)

    async def story() -> tuple[float, float]:
        async with live(plan) as net:
            await asyncio.sleep(2)
            async with aclosing(watch(plan, net, 0.1)) as states:
                before = (await anext(states)).nodes[0].age_s or 0.0
                kill_agent(plan)
                await asyncio.sleep(1)
                return before, (await anext(states)).nodes[0].age_s or 0.0

    before, after = asyncio.run(story())
    assert after >= before >= 1


def test_a_changed_topology_is_reconciled(backend: str, tmp_path: Path) -> None:
    """What is new starts, what is gone goes, what changed starts again, and the rest is left alone."""
    first = python_nodes("contract-u", {"same": SLEEP, "changed": f"print(1)\n{SLEEP}", "gone": SLEEP})
    second = python_nodes("contract-u", {"same": SLEEP, "changed": f"print(2)\n{SLEEP}", "new": SLEEP})
    links = "links: [[same, changed]]\n"
    plan, after = (plan_text(tmp_path, text + links, backend) for text in (first, second))

    async def story() -> tuple[Changes, str, float, float]:
        async with live(plan) as net:
            await asyncio.sleep(2)
            changes = await reconcile(after, net, Quiet())
            seen = {node.node: node for node in (await look(after, net)).nodes}
            states = " ".join(f"{name}:{node.state}" for name, node in seen.items())
            assert await until(lambda: _lines(net, "changed", 1)) == ["2"]
            return changes, states, seen["same"].age_s or 0, seen["changed"].age_s or 0

    changes, states, same, changed = asyncio.run(story())
    assert (changes.missing, changes.gone, changes.changed) == (("new",), ("gone",), ("changed",))
    assert states == "same:ready changed:ready new:ready"
    assert same > changed


def test_a_net_is_reconciled_where_its_plan_is_not(backend: str, tmp_path: Path) -> None:
    """The agent has the plan too: a machine that only reaches the net need not know it."""
    first = python_nodes("contract-z", {"same": SLEEP, "gone": SLEEP})
    second = python_nodes("contract-z", {"same": SLEEP, "new": SLEEP})
    plan, after = (plan_text(tmp_path, text, backend) for text in (first, second))

    async def story() -> tuple[Changes, str]:
        async with live(plan) as net:
            (net_directory(plan.net) / "plan.json").unlink()
            changes = await reconcile(after, net, Quiet())
            return changes, " ".join(f"{n.node}:{n.state}" for n in (await look(after, net)).nodes)

    changes, states = asyncio.run(story())
    assert (changes.missing, changes.gone, changes.changed) == (("new",), ("gone",), ())
    assert states == "same:ready new:ready"


def test_a_node_that_keeps_its_data_is_asked_to_stop(backend: str, tmp_path: Path) -> None:
    """`down` gives it its stop signal and its time; the next net finds what it wrote then."""
    polite = """
import signal, time
from pathlib import Path
def end(*_):
    time.sleep(0.5); Path('bye').write_text('x'); raise SystemExit(0)
signal.signal(signal.SIGTERM, end)
print(Path('bye').exists())
time.sleep(600)
"""
    text = python_nodes("contract-v", {"n": polite}) + "    data: kept\n    ready: {log: 'e$'}\n"
    plan = plan_text(tmp_path, text, backend)

    async def once(data: bool) -> list[str]:
        net = backend_for(plan.backend, plan.net)
        await up(plan, net, Quiet())
        try:
            return await log(net, "n")
        finally:
            await down(nets_called(plan.net)[0], data=data)

    assert asyncio.run(once(data=False)) == ["False"]
    assert asyncio.run(once(data=True)) == ["True"]


def test_an_ended_node_stays_ended_when_the_agent_dies(backend: str, tmp_path: Path) -> None:
    """A new agent neither starts it again nor forgets how it ended, also if it ended while no agent was there."""
    before = "import time\nprint('ran')\ntime.sleep(1)\nraise SystemExit(3)"
    during = "import time\nprint('ran')\ntime.sleep(6)\nraise SystemExit(4)"
    plan = plan_text(tmp_path, python_nodes("contract-w", {"before": before, "during": during}), backend)

    async def story() -> tuple[list[tuple[str, int | None]], list[str]]:
        async with live(plan) as net:
            await asyncio.sleep(2)
            kill_agent(plan)
            await asyncio.sleep(1)
            await until(lambda: _both_ended(plan, net))
            kill_agent(plan)
            await asyncio.sleep(1)
            seen = await until(lambda: _both_ended(plan, net))
            return [(node.state, node.exit_code) for node in seen], await log(net, "before")

    states, said = asyncio.run(story())
    assert states == [("exited", 3), ("exited", 4)]
    assert said == ["ran"]


async def _both_ended(plan, net):  # type: ignore[no-untyped-def]
    nodes = (await status(plan, net)).nodes
    return nodes if all(node.state == "exited" and node.exit_code is not None for node in nodes) else None


def test_an_ended_node_is_started_again_with_its_data(backend: str, tmp_path: Path) -> None:
    """`--reconcile` over a net in which a node has ended brings it back, with what it had written."""
    once = """
import time
from pathlib import Path
if Path('seen').exists(): print('again'); time.sleep(600)
Path('seen').touch(); time.sleep(0.5)
"""
    plan = plan_text(tmp_path, python_nodes("contract-x", {"n": once, "other": SLEEP}), backend)

    async def story() -> tuple[Changes, bool]:
        async with live(plan) as net:
            await until(lambda: _first_ended(plan, net))
            changes = await reconcile(plan, net, Quiet())
            return changes, await until(lambda: _contains(net, "n", "again"))

    changes, again = asyncio.run(story())
    assert (changes.missing, changes.gone, changes.changed) == (("n",), (), ())
    assert again


async def _first_ended(plan, net) -> bool:  # type: ignore[no-untyped-def]
    return (await status(plan, net)).nodes[0].state == "exited"


def test_a_node_may_answer_anything(backend: str, tmp_path: Path) -> None:
    """Answers of the wrong shape are said, and the node is watched on: the next good answer counts."""
    fickle = """
import itertools, json
from http.server import BaseHTTPRequestHandler, HTTPServer
answers = itertools.cycle([{'h': 5}, {'h': None}, {'h': {'a': 1}}, [], 'x'])
count = itertools.count()
class H(BaseHTTPRequestHandler):
    def do_GET(self):
        n = next(count)
        body = b'[' * 100000 if n == 2 else json.dumps({'h': [0] * n} if n > 6 else next(answers)).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
HTTPServer(('', 8000), H).serve_forever()
"""
    folder = tmp_path / "kinds" / "fickle"
    folder.mkdir(parents=True)
    (folder / "kind.yaml").write_text(
        "name: fickle\ndescription: d\nports: {web: 8000}\n"
        "height: {http: {port: web, path: /, json: 'length(h)'}}\n"
    )
    text = python_nodes("contract-y", {"n": fickle}).replace("kind: generic", "kind: fickle")
    plan = plan_text(tmp_path, text, backend, kinds=(tmp_path / "kinds",))

    async def story() -> None:
        async with live(plan) as net:
            await until(lambda: _height_above(plan, net, 7), 30)

    asyncio.run(story())


async def _height_above(plan, net, height: int) -> bool:  # type: ignore[no-untyped-def]
    return ((await status(plan, net)).nodes[0].height or 0) > height


def test_a_log_keeps_its_end_and_no_more(backend: str, tmp_path: Path) -> None:
    """A node that talks for days does not fill the disk; what is left begins with a whole line and has no gap."""
    chatter = """
import sys, time
time.sleep(1)
for part in range(4):
    for number in range(5000): print(part * 5000 + number, 'x' * 8000, flush=False)
    sys.stdout.flush(); time.sleep(1.5)
print('done'); time.sleep(600)
"""
    plan = plan_text(tmp_path, python_nodes("contract-ab", {"n": chatter}), backend)

    async def story() -> tuple[list[bytes], list[bytes]]:
        async with live(plan) as net:
            await until(lambda: _last_line(net, b"done"), 60)
            return await _tail(net, 3), await _tail(net, None)

    last, everything = asyncio.run(story())
    assert last == everything[-3:]
    numbers = [int(line.split()[0]) for line in everything[:-1]]
    assert numbers == list(range(20000 - len(numbers), 20000))
    assert 45_000_000 < sum(map(len, everything)) < 100_000_000


async def _tail(net, count: int | None) -> list[bytes]:  # type: ignore[no-untyped-def]
    return [line async for line in net.logs("n", follow=False, tail=count)]


async def _last_line(net, text: bytes) -> bool:  # type: ignore[no-untyped-def]
    return await _tail(net, 1) == [text]


def test_a_pattern_without_end_stops_nobody(backend: str, tmp_path: Path) -> None:
    """The agent goes on, the other node becomes ready, and status says which node's pattern it was."""
    for kind, pattern in (("fine", "a!"), ("endless", "(a+)+$")):
        folder = tmp_path / "kinds" / kind
        folder.mkdir(parents=True)
        (folder / "kind.yaml").write_text(f"name: {kind}\nready: {{log: '{pattern}'}}\nready_timeout: 5m\n")
    say = "print('a' * 60 + '!')\n" + SLEEP
    text = python_nodes("contract-ac", {"good": say, "bad": say})
    text = text.replace("generic", "fine", 1).replace("generic", "endless")
    plan = plan_text(tmp_path, text, backend, kinds=(tmp_path / "kinds",))

    async def story() -> None:
        net = backend_for(backend, plan.net)
        rising = asyncio.create_task(up(plan, net, Quiet()))

        async def given_up() -> bool:
            now = await _answer(net)
            words = "the search of its log for '(a+)+$' took more than 2 s of CPU time"
            nodes = now["nodes"] if now else {}
            return bool(nodes) and words in nodes["bad"]["reason"] and nodes["good"]["state"] == "ready"

        try:
            await until(given_up, 60)
        finally:
            rising.cancel()
            await asyncio.gather(rising, return_exceptions=True)

    asyncio.run(story())
