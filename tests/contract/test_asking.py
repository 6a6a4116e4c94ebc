"""What nodes are asked for now and then, and their connections: of nodes that live, stand still and have ended."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from contract.nets import IMAGE, kill_agent, live, plan_text, until

from stressnet.backends.base import Backend
from stressnet.engine.ask import NoAnswer, Socket, SocketTable, ask, sockets
from stressnet.engine.faults import Wish, add
from stressnet.errors import AgentError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

pytestmark = pytest.mark.usefixtures("state_home")

NODE = """\
import json, os, socket, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class H(BaseHTTPRequestHandler):
    def do_GET(self):
        synced = json.dumps({'synced': sys.argv[1] == 'a'})
        self.answer(synced if self.path == '/sync' else 'one\\n  two\\n' * 200000)
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        (height, whole), name = call['params'], sys.argv[1]
        self.answer(json.dumps({'result': {'hash': f'{name}-{height + 0}'} if height < 9 else None}))
    def answer(self, text):
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words): pass

if sys.argv[1] == 'b':
    server = socket.create_server(('', 7000))
else:
    line = socket.create_connection((sys.argv[2], 7000))
    line.sendall(b'unread')
HTTPServer(('127.0.0.1', 8000), H).serve_forever()
"""

KIND = f"""\
name: telling
image: {IMAGE}
command: [python3, -u, node.py, "{{name}}", "{{first_address}}"]
ports: {{p2p: 7000/tcp, rpc: 8000/tcp}}
roles: [server, caller]
files: {{node.py: {{copy: node.py, raw: true}}}}
ready: {{http: {{port: rpc, path: /sync}}}}
block: {{rpc: {{port: rpc, method: block, params: ["{{height}}", false], json: result.hash}}}}
in_sync: {{http: {{port: rpc, path: /sync, json: synced}}}}
stacks: {{http: {{port: rpc, path: /stacks}}}}
"""

NET = """\
name: contract-asking
nodes:
  b: {kind: telling, role: server}
  a: {kind: telling, role: caller, start: {after: 1s}}
  mute: {kind: generic, image: IMAGE, command: [sleep, "600"]}
""".replace("IMAGE", IMAGE)
NAMES = ["a", "b", "mute"]


def telling(folder: Path, backend: str) -> Plan:
    kind = folder / "kinds" / "telling"
    kind.mkdir(parents=True)
    (kind / "kind.yaml").write_text(KIND)
    (kind / "node.py").write_text(NODE)
    return plan_text(folder, NET, backend, kinds=[folder / "kinds"])


def words(told: dict[str, object]) -> dict[str, object]:
    """Put its words in the place of what says why there is no answer."""
    return {name: str(one) if isinstance(one, NoAnswer) else one for name, one in told.items()}


async def put(net: Backend, plan: Plan, kind: str) -> None:
    await add(net, plan, Wish(kind, (), Targets(on="b"), 0), 1)


async def table(net: Backend, name: str) -> SocketTable:
    found = (await sockets(net, [name]))[name]
    assert isinstance(found, SocketTable)
    return found


async def between(net: Backend, name: str, other: str) -> list[Socket]:
    return [one for one in (await table(net, name)).sockets if one.peer == other]


def test_nodes_tell_what_they_are_asked(backend: str, tmp_path: Path) -> None:
    """Each for itself: one that stands still, has ended or is of a kind that says nothing keeps no other from it."""
    plan = telling(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await until(lambda: between(net, "b", "a"))
            await all_live(net, plan)
            await put(net, plan, "pause")
            await one_stands_still(net)
            await put(net, plan, "kill")
            await one_has_ended(net)
            kill_agent(plan)
            assert await until(lambda: after_an_agent(net)) == {"a": "a-2"}

    asyncio.run(story())


async def all_live(net: Backend, plan: Plan) -> None:
    silent = "its kind does not say how"
    assert words(await ask(net, NAMES, "block", height=7)) == {"a": "a-7", "b": "b-7", "mute": silent}
    assert words(await ask(net, ["b"], "block", height=9)) == {
        "b": "no 'result.hash' in the answer: {\"result\": null}"
    }
    assert words(await ask(net, NAMES, "in_sync")) == {"a": True, "b": False, "mute": silent}
    told = (await ask(net, NAMES, "stacks"))["a"]
    assert told[:10] == "one\n  two\n"
    assert told[2**20 :] == "\n... cut after 1048576 of 2000000 characters"
    with pytest.raises(AgentError, match="no node 'c' in this net"):
        await ask(net, ["c"], "in_sync")
    with pytest.raises(AgentError, match="a height is a whole number"):
        await ask(net, ["a"], "block", height=0.5)  # type: ignore[arg-type]
    (near,), (far,) = await between(net, "a", "b"), await between(net, "b", "a")
    assert (near.state, near.inbound, near.remote) == ("ESTABLISHED", False, f"{plan.node('b').address}:7000")
    assert (far.state, far.inbound, far.local, far.rqueue) == ("ESTABLISHED", True, near.remote, 6)
    assert far.remote.startswith(f"{plan.node('a').address}:")


async def one_stands_still(net: Backend) -> None:
    began = time.monotonic()
    told = words(await ask(net, NAMES, "block", height=1))
    assert time.monotonic() - began < 6
    assert (told["a"], told["b"]) == ("a-1", "no answer from port 8000 within 3 s")
    assert [one.rqueue for one in await between(net, "b", "a")] == [6]


async def one_has_ended(net: Backend) -> None:
    async def over() -> bool:
        return "it does not run: it is exited" in str((await ask(net, ["b"], "stacks"))["b"])

    await until(over)
    assert words(await ask(net, ["a"], "in_sync")) == {"a": True}
    told = (await sockets(net, ["b"]))["b"]
    assert isinstance(told, NoAnswer) or not any(one.state == "ESTABLISHED" for one in told.sockets)


async def after_an_agent(net: Backend) -> dict[str, object]:
    """The next agent is asked as the first was."""
    try:
        return words(await ask(net, ["a"], "block", height=2))
    except (AgentError, OSError):
        return {}
