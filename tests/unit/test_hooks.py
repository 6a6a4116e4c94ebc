"""What nodes are asked for follows what is wanted and what they have, whatever became of whoever asked before."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stressnet.agent.hooks import Hooks
from stressnet.compile import compile_plan
from stressnet.faults.fault import Fault
from stressnet.faults.presence import Presence
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

KIND = """\
name: moody
command: [sleep, "9"]
faults:
  sulk:
    summary: it sulks
    parameters: {delay: {unit: duration, example: 2s}}
    on: {rpc: {port: PORT, method: on, params: ["{delay}"]}}
    off: {rpc: {port: PORT, method: off}}
"""
SULK = Fault("f1", "sulk", {"delay": 2.0}, nodes=("a",))
OK = b'{"jsonrpc": "2.0", "id": 1, "result": null}'


class Moody:
    """A node's port, that keeps what it was asked and answers as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status, self.answer = 200, OK
        moody = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                moody.asked.append("on" if '"on"' in body else "off")
                self.send_response(moody.status)
                self.send_header("Content-Length", str(len(moody.answer)))
                self.end_headers()
                self.wfile.write(moody.answer)

            def log_message(self, *words: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


@pytest.fixture
def node() -> Iterator[Moody]:
    made = Moody()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Net:
    """One node `a`, that is ready or not."""

    def __init__(self, folder: Path, node: Moody) -> None:
        (folder / "moody").mkdir()
        text = KIND.replace("PORT", str(node.server.server_address[1]))
        (folder / "moody" / "kind.yaml").write_text(text)
        (folder / "net.yaml").write_text("name: net\nnodes: {a: {kind: moody}}\n")
        plan = compile_plan(load(folder / "net.yaml"), Kinds([folder]), find=lambda name: f"/bin/{name}")
        self.ready, self.notes = True, list[dict[str, Any]]()
        self.hooks = Hooks(plan, lambda _: _open, lambda _: self.ready, self._note)

    def _note(self, what: str, **more: Any) -> None:
        self.notes.append(more)


def _open() -> socket.socket:
    made = socket.socket()
    made.setblocking(False)
    return made


@pytest.fixture
def net(tmp_path: Path, node: Moody) -> Net:
    return Net(tmp_path, node)


async def asked(node: Moody, wanted: list[str]) -> None:
    async with asyncio.timeout(5):
        while node.asked != wanted:  # noqa: ASYNC110 (another thread knows)
            await asyncio.sleep(0.01)


def test_what_an_earlier_agent_may_have_put_on_is_taken_off(net: Net, node: Moody) -> None:
    """It ran out before the node was ready: nobody has seen it there, and it is asked to end all the same."""

    async def story() -> None:
        net.ready = False
        net.hooks.adopt([SULK])
        await net.hooks.hold([SULK])
        await net.hooks.hold([])
        assert node.asked == []
        net.ready = True
        net.hooks.ready("a")
        await asked(node, ["off"])

    asyncio.run(story())


def test_a_node_that_has_ended_is_not_asked_to_end_a_fault(net: Net, node: Moody) -> None:
    async def story() -> None:
        await net.hooks.hold([SULK])
        assert net.hooks.holders(SULK) == 1
        net.hooks.ended("a")
        assert net.hooks.holders(SULK) == 0
        await net.hooks.hold([])
        assert node.asked == ["on"]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"busy", "HTTP status 500 from port PORT/: busy"),
        (404, b"", "HTTP status 404 from port PORT/"),
        (200, b'{"error": {"code": 1, "message": "not today"}}', "on: not today"),
        (200, b'{"error": "not today"}', "on: not today"),
        (200, b"<html>", "port PORT answered on with no JSON-RPC: <html>"),
        (200, b"[]", "port PORT answered on with no JSON-RPC: []"),
    ],
)
def test_a_refusal_is_told_in_the_words_of_the_node(
    net: Net, node: Moody, status: int, answer: bytes, said: str
) -> None:
    """It has not the fault then, so it is not asked to end it."""

    async def story() -> None:
        node.status, node.answer = status, answer
        await net.hooks.hold([SULK])
        port = str(node.server.server_address[1])
        assert net.hooks.failures(SULK) == {"a": said.replace("PORT", port)}
        assert net.notes[0]["id"] == "f1"
        await net.hooks.hold([])
        assert node.asked == ["on"]
        assert net.hooks.failures(SULK) == {}

    asyncio.run(story())


def test_a_node_that_has_not_taken_a_fault_on_lacks_it(net: Net, node: Moody) -> None:
    """One that refuses has it not, in its own words; of one that cannot be asked nothing is known."""

    async def story() -> None:
        assert net.hooks.look(SULK) == Presence(["a: it has not taken it on"], [])
        await net.hooks.hold([SULK])
        assert net.hooks.look(SULK) == Presence([], [])
        net.hooks.ended("a")
        net.ready = False
        assert net.hooks.look(SULK) == Presence([], ["a cannot be asked"])
        net.ready, node.status = True, 409
        net.hooks.ready("a")
        await asked(node, ["on", "on"])
        async with asyncio.timeout(5):
            while not net.hooks.failures(SULK):  # noqa: ASYNC110 (its answer is under way)
                await asyncio.sleep(0.01)
        (words,) = net.hooks.look(SULK).missing
        assert words.startswith("a: HTTP status 409")

    asyncio.run(story())
