"""A real Toxiproxy does what the kinds of faults on streams say, and healing one fault leaves exactly the others."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from queue import Queue
from typing import Any

import pytest
from needs import require_relay

from stressnet.faults.compose import Toxic, toxics
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind, Value
from stressnet.faults.kinds import KINDS
from stressnet.images import relay as toxiproxy

AB = ("a", "b")
_STREAM = [kind for kind in KINDS.values() if kind.layer == "stream"]
_SOME: dict[str, dict[str, Value]] = {
    "latency": {"latency": 0.02, "jitter": 0.001, "toxicity": 0.5},
    "bandwidth": {"rate": 8e6},
    "slow_close": {"delay": 0.01},
    "cut": {"bytes": 10**6},
    "slice": {"average_size": 64, "size_variation": 16, "delay": 1e-5},
}


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets, and says at its end how much that was."""

    def handle(self) -> None:
        received = 0
        with suppress(ConnectionError):
            while data := self.request.recv(65536):
                received += len(data)
                self.request.sendall(data)
        self.server.received.put(received)  # type: ignore[attr-defined]


class Relay:
    """A Toxiproxy with the one proxy a > b, before an echo."""

    def __init__(self, api: int) -> None:
        self._api = api
        self.ask("GET", "/version")
        self.echo = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self.echo.daemon_threads = True
        self.received: Queue[int] = Queue()
        self.echo.received = self.received  # type: ignore[attr-defined]
        threading.Thread(target=self.echo.serve_forever, daemon=True).start()
        upstream = f"127.0.0.1:{self.echo.server_address[1]}"
        made = self.ask("POST", "/proxies", {"name": "p", "listen": "127.0.0.1:0", "upstream": upstream})
        self._port = int(made["listen"].rpartition(":")[2])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        with closing(HTTPConnection("127.0.0.1", self._api, timeout=20)) as connection:
            connection.request(method, path, json.dumps(body) if body else None)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status < 300, content
            return json.loads(content) if content else None

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=20)

    def add(self, fault: Fault) -> None:
        for toxic in toxics([fault])[AB]:
            self.ask("POST", "/proxies/p/toxics", _raw(toxic))

    def heal(self, fault: Fault) -> None:
        for toxic in reversed(toxics([fault])[AB]):
            self.ask("DELETE", f"/proxies/p/toxics/{toxic.name}")

    def toxics(self) -> list[dict[str, Any]]:
        return sorted(self.ask("GET", "/proxies/p")["toxics"], key=lambda one: str(one["name"]))


def _raw(toxic: Toxic) -> dict[str, Any]:
    return {
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
        "attributes": dict(toxic.attributes),
    }


def _wanted(faults: list[Fault]) -> list[dict[str, Any]]:
    return sorted((_raw(one) for one in toxics(faults).get(AB, ())), key=lambda one: str(one["name"]))


@pytest.fixture
def relay() -> Iterator[Relay]:
    require_relay("netns")
    program = str(toxiproxy.find())
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        api = free.getsockname()[1]
    command = [program, "-host", "127.0.0.1", "-port", str(api)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        made = _answering(server, api)
        yield made
        made.echo.shutdown()
        made.echo.server_close()
    finally:
        server.terminate()
        server.wait()


def _answering(server: subprocess.Popen[bytes], api: int) -> Relay:
    while server.poll() is None:
        try:
            return Relay(api)
        except ConnectionRefusedError:
            time.sleep(0.01)
    raise AssertionError("toxiproxy-server ended at once")


def fault(name: str, kind: str, *links: tuple[str, str], **parameters: Value) -> Fault:
    return Fault(name, kind, parameters, links or (AB,))


def echoed(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return _read(connection, len(data))


def _read(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size and (more := connection.recv(size - len(found))):
        found += more
    return found


@pytest.mark.parametrize("kind", _STREAM, ids=lambda kind: kind.name)
def test_toxiproxy_has_what_was_composed_both_ways(relay: Relay, kind: FaultKind) -> None:
    """Whatever else is there, and with links both ways, the toxics read back are the toxics composed."""
    faults = [
        fault("f1", kind.name, AB, AB[::-1], **_SOME.get(kind.name, {})),
        fault("f2", "latency", AB, latency=0.001),
    ]
    for one in faults:
        relay.add(one)
    assert [{key: one[key] for key in _raw(Toxic("", "", "upstream", 1, {}))} for one in relay.toxics()] == [
        {**one, "toxicity": pytest.approx(one["toxicity"])} for one in _wanted(faults)
    ]
    relay.heal(faults[0])
    assert [one["name"] for one in relay.toxics()] == ["f2.upstream"]


@pytest.mark.parametrize("kind", _SOME)
def test_data_arrives_whole_under_a_fault_and_after_it(relay: Relay, kind: str) -> None:
    """What slows a stream loses nothing of it, also where the fault is healed in the middle."""
    one = fault("f1", kind, AB, AB[::-1], **_SOME[kind])
    with relay.connect() as connection:
        assert echoed(connection, b"before") == b"before"
        relay.add(one)
        assert echoed(connection, b"during" * 1000) == b"during" * 1000
        connection.sendall(b"last" * 1000)
        relay.heal(one)
        assert _read(connection, 4000) == b"last" * 1000


def test_a_stall_holds_all_while_others_come_and_go_and_then_lets_all_go(relay: Relay) -> None:
    """A stall that one toxic makes loses its hold when a neighbour is added; ours does not."""
    stall, other = fault("f1", "stall"), fault("f2", "latency", latency=0.001)
    with relay.connect() as connection:
        assert echoed(connection, b"before") == b"before"
        relay.add(stall)
        connection.sendall(b"held")
        relay.add(other)
        relay.heal(other)
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(20)
        relay.heal(stall)
        assert _read(connection, 4) == b"held"


def test_a_reset_ends_new_connections_by_a_reset_and_open_ones_by_a_close(relay: Relay) -> None:
    """Idle connections are left alone: Toxiproxy acts at the next data."""
    with relay.connect() as old, relay.connect() as idle:
        assert echoed(old, b"before") == b"before"
        assert echoed(idle, b"before") == b"before"
        one = fault("f1", "reset")
        relay.add(one)
        assert echoed(old, b"x") == b""
        with relay.connect() as new, pytest.raises(ConnectionResetError):
            echoed(new, b"x")
        relay.heal(one)
        assert echoed(idle, b"after") == b"after"


def test_a_cut_lets_exactly_so_many_bytes_pass(relay: Relay) -> None:
    """The other end gets 1,000 bytes of 5,000, then the end."""
    relay.add(fault("f1", "cut", bytes=1000))
    with relay.connect() as connection:
        connection.sendall(b"x" * 5000)
        assert relay.received.get(timeout=20) == 1000
