"""Faults that a kind declares: all nodes are asked or none, again after a restart, and until it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from contract.nets import IMAGE, kill_agent, live, log, plan_text, status, until

from stressnet.backends.base import Backend
from stressnet.engine.faults import Standing, Wish, add, heal, standing
from stressnet.errors import AgentError, InputError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

pytestmark = pytest.mark.usefixtures("state_home")

NODE = """\
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer

class H(BaseHTTPRequestHandler):
    def do_GET(self): self.answer(200, 'ready')
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        if self.path == '/refuse':
            open('refuses', 'w').close()
            self.answer(204, '')
        elif os.path.exists('refuses'): self.answer(409, 'not today')
        else:
            print(self.path, body)
            self.answer(204, '')
    def answer(self, status, text):
        self.send_response(status)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *words): pass

HTTPServer(('127.0.0.1', 8000), H).serve_forever()
"""

KIND = f"""\
name: moody
image: {IMAGE}
command: [python3, -u, node.py]
ports: {{admin: 8000/tcp}}
files: {{node.py: {{copy: node.py, raw: true}}}}
ready: {{http: {{port: admin}}}}
faults:
  sulk:
    summary: answers are late
    parameters:
      delay: {{unit: duration, summary: by how much, example: 2s}}
      mood: {{unit: word, summary: how, example: sad, default: sad, choices: [sad, angry]}}
    on: {{http: {{port: admin, path: "/on/{{mood}}", body: {{seconds: "{{delay}}"}}}}}}
    off: {{http: {{port: admin, path: /off, body: never mind}}}}
"""

NET = """\
name: contract-declared
nodes:
  a: {kind: moody}
  b: {kind: moody}
  other: {kind: generic, image: IMAGE, command: [sleep, "600"]}
""".replace("IMAGE", IMAGE)


def moody(folder: Path, backend: str) -> Plan:
    kind = folder / "kinds" / "moody"
    kind.mkdir(parents=True)
    (kind / "kind.yaml").write_text(KIND)
    (kind / "node.py").write_text(NODE)
    return plan_text(folder, NET, backend, kinds=[folder / "kinds"])


async def put(
    net: Backend, plan: Plan, on: str, *parameters: str, kind: str = "sulk", for_s: float = 0
) -> str:
    fault, _ = await add(net, plan, Wish(kind, parameters, Targets(on=on), for_s), 1)
    return fault.id


async def found(net: Backend, name: str) -> Standing:
    return next(one for one in await standing(net) if one.fault.id == name)


async def ready(plan: Plan, net: Backend, *names: str) -> None:
    async def all_ready() -> bool:
        nodes = (await status(plan, net)).nodes
        return all(one.state == "ready" for one in nodes if one.node in names)

    await until(all_ready)


async def said(net: Backend, node: str, wanted: Sequence[str]) -> None:
    """Wait until a node has been asked these things and no others."""
    try:
        await until(lambda: _said(net, node, wanted))
    except AssertionError:
        assert await log(net, node) == wanted


async def _said(net: Backend, node: str, wanted: Sequence[str]) -> bool:
    return await log(net, node) == wanted


async def refuse_from_now(net: Backend, node: str) -> None:
    """Have a node refuse whatever it is asked, also after a restart."""
    call = (
        "import urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/refuse', b'', method='POST'))"
    )
    assert await net.execute(node, ["python3", "-c", call]) == 0


ON, OFF = '/on/sad {"seconds": 2}', "/off never mind"


def test_nodes_are_asked_and_asked_again_after_a_restart(backend: str, tmp_path: Path) -> None:
    """On, listed with who has it; a node that starts anew gets it; healed, it is taken off where it is."""
    plan = moody(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await ready(plan, net, "a", "b")
            name = await put(net, plan, "a,b", "delay=2s")
            await said(net, "a", [ON])
            await said(net, "b", [ON])
            one = await found(net, name)
            assert (one.state, one.achieved["figures"][0]["found"]) == ("on", 2)
            with pytest.raises(AgentError, match=f"a: sulk is on already, by {name}"):
                await put(net, plan, "a", "delay=1s")
            await put(net, plan, "a", kind="restart")
            await said(net, "a", [ON, ON])
            await heal(net, [name], everything=False)
            await said(net, "a", [ON, ON, OFF])
            await said(net, "b", [ON, OFF])

    asyncio.run(story())


def test_all_nodes_or_none(backend: str, tmp_path: Path) -> None:
    """Where one refuses, its answer is told, and the others are asked to end at once."""
    plan = moody(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await ready(plan, net, "a", "b")
            await refuse_from_now(net, "b")
            with pytest.raises(AgentError, match="b: HTTP status 409 from port 8000/on/sad: not today"):
                await put(net, plan, "a,b", "delay=2s")
            await said(net, "a", [ON, OFF])
            assert await log(net, "b") == []
            assert await standing(net) == []
            with pytest.raises(InputError, match="other of the kind generic, which declares no fault 'sulk'"):
                await put(net, plan, "all", "delay=2s")

    asyncio.run(story())


def test_a_node_that_refuses_after_its_restart_is_told_of(backend: str, tmp_path: Path) -> None:
    """The fault has failed, with the node's words, and can still be healed."""
    plan = moody(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await ready(plan, net, "a", "b")
            name = await put(net, plan, "a,b", "delay=2s")
            await refuse_from_now(net, "a")
            await put(net, plan, "a", kind="restart")

            async def failed() -> bool:
                return (await found(net, name)).state == "failed"

            await until(failed)
            assert "not today" in (await found(net, name)).achieved["failed"]["a"]
            await heal(net, [name], everything=False)
            assert (await found(net, name)).state == "healed"
            await said(net, "b", [ON, OFF])

    asyncio.run(story())


def test_a_silent_node_is_asked_again_until_it_answers(backend: str, tmp_path: Path) -> None:
    """Healed while it stands still, a fault is off as soon as the node goes on; until then the list says so."""
    plan = moody(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await ready(plan, net, "a", "b")
            name = await put(net, plan, "a", "delay=2s")
            pause = await put(net, plan, "a", kind="pause")
            await heal(net, [name], everything=False)
            assert "no answer" in (await found(net, name)).achieved["failed"]["a"]
            await heal(net, [pause], everything=False)

            async def off() -> bool:
                return not (await found(net, name)).achieved

            await until(off)
            assert OFF in await log(net, "a")

    asyncio.run(story())


def test_a_killed_agent_ends_what_it_had_begun(backend: str, tmp_path: Path) -> None:
    """A timed fault ends on the node although the agent that put it on was killed meanwhile."""
    plan = moody(tmp_path, backend)

    async def story() -> None:
        async with live(plan) as net:
            await ready(plan, net, "a", "b")
            name = await put(net, plan, "a", "delay=2s", for_s=0.5)
            kill_agent(plan)

            async def over() -> bool:
                try:
                    return (await found(net, name)).state == "ended" and (await log(net, "a"))[-1] == OFF
                except AgentError:
                    return False

            await until(over, 30)

    asyncio.run(story())
