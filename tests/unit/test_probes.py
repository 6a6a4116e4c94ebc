"""Heights and peers, as a node's own answers say them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from some_plan import some_plan

from stressnet.agent.matching import Matcher
from stressnet.agent.probes import ProbeFailed, Prober
from stressnet.plan import Probe

ANSWERS = {
    "status": {"height": "0x1f", "peers": [1, 2, 3]},
    "word": {"height": "tall"},
}


class Server:
    """A node's RPC, that counts what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(call["method"])
                content = json.dumps({"result": ANSWERS.get(call["method"])}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.thread.join()
    made.http.server_close()


def ask(server: Server, tmp_path: Path, **probes: Probe) -> dict[str, int | Exception]:
    def opened() -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        return made

    async def scene() -> dict[str, int | Exception]:
        prober = Prober(some_plan().nodes[0], opened, tmp_path / "log", 0, Matcher())
        try:
            return await prober.numbers(probes)
        finally:
            prober.close()

    return asyncio.run(scene())


def rpc(server: Server, method: str, path: str) -> Probe:
    return Probe("rpc", server.http.server_port, method=method, json=path)


def test_the_same_request_is_made_once(server: Server, tmp_path: Path) -> None:
    """A node that tells both in one answer is asked half as often."""
    height = rpc(server, "status", "result.height")
    found = ask(server, tmp_path, height=height, peers=replace(height, json="result.peers"))
    assert found == {"height": 31, "peers": 3}
    assert server.asked == ["status"]


def test_requests_that_differ_are_all_made(server: Server, tmp_path: Path) -> None:
    height = rpc(server, "status", "result.height")
    found = ask(
        server, tmp_path, height=height, peers=replace(height, params=({"all": True},), json="result.peers")
    )
    assert found == {"height": 31, "peers": 3}
    assert server.asked == ["status", "status"]


def test_one_fact_may_be_there_without_the_other(server: Server, tmp_path: Path) -> None:
    word = rpc(server, "word", "result.height")
    found = ask(server, tmp_path, height=word, peers=rpc(server, "status", "result.peers"))
    assert found["peers"] == 3
    assert isinstance(found["height"], ProbeFailed)
    assert "'tall', not a number" in str(found["height"])
