"""The HTTP servers of a node are bounded: clients that dawdle, flood or do not read are hung up on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from loopback import address, until
from syncnode.http import HttpServer

PATIENCE = 0.3
LARGE = bytes(2_000_000)


async def answer(method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
    return 200, "text/plain", LARGE if path == "/large" else f"{method} {path} {len(body)}".encode()


def run(test: Callable[[str], Coroutine[Any, Any, None]], patience: float = PATIENCE) -> None:
    """Run a test against a server; see that no client, task or file is left."""

    async def main() -> None:
        server, host = HttpServer(answer, patience), address()
        await server.listen(f"{host}:9500", "rpc.listen")
        before = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())
        async with asyncio.timeout(20):
            await test(host)
            while (len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())) != before:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not server._clients
        server.close()

    asyncio.run(main())


async def client(host: str, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(host, 9500, limit=2**22)
    writer.write(data)
    return reader, writer


async def hangs_up(reader: asyncio.StreamReader) -> bytes:
    """Return what the server sends before it hangs up."""
    got = b""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            got += data
    return got


@pytest.mark.parametrize(
    ("data", "drips"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n", b"X-Header: 1\r\n"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b""),
        (b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b""),
        (os.urandom(5000) + b"\r\n\r\n", b""),
    ],
    ids=["silent", "no end", "long", "slow body", "huge body", "negative", "no number", "noise"],
)
def test_who_does_not_come_to_the_point_is_hung_up_on(data, drips):
    async def test(host: str) -> None:
        reader, writer = await client(host, data)
        start = time.monotonic()

        async def drip() -> None:
            while True:
                writer.write(drips)
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        assert await hangs_up(reader) == b""
        assert time.monotonic() - start < PATIENCE + 1
        dripping.cancel()
        writer.close()

    run(test)


def test_requests_in_a_row_are_answered_in_order():
    async def test(host: str) -> None:
        posts = [b"POST /%d HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}" % n for n in range(500)]
        reader, writer = await client(host, b"".join(posts) + b"GET /end HTTP/1.0\r\n\r\n")
        got = await hangs_up(reader)
        assert [int(part.split()[0]) for part in got.split(b"POST /")[1:]] == list(range(500))
        assert got.endswith(b"GET /end 0")
        writer.close()

    run(test)


def test_who_asks_and_does_not_read_is_hung_up_on_and_little_waits_for_it():
    async def test(host: str) -> None:
        asking = socket.socket()
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().run_in_executor(None, asking.connect, (host, 9500))
        asking.sendall(b"GET /large HTTP/1.1\r\n\r\n" * 50)
        await asyncio.sleep(PATIENCE * 2 + 0.2)
        asking.settimeout(5)
        got = 0
        with contextlib.suppress(ConnectionError):
            while data := asking.recv(1 << 20):
                got += len(data)
        assert got < 4 * len(LARGE)
        asking.close()

    run(test)


def test_an_answer_that_is_read_slowly_comes_whole():
    async def test(host: str) -> None:
        reader, writer = await client(host, b"GET /large HTTP/1.0\r\n\r\n")
        await asyncio.sleep(PATIENCE / 2)
        assert (await hangs_up(reader)).endswith(LARGE)
        writer.close()

    run(test)


def test_a_crowd_of_idle_clients_keeps_nobody_out():
    async def test(host: str) -> None:
        regular = await client(host)
        crowd = []
        for number in range(300):
            crowd.append(await client(host, b"GET"))
            if number % 50 == 0:
                regular[1].write(b"GET /%d HTTP/1.1\r\n\r\n" % number)
                assert (await regular[0].readuntil(b"GET /%d 0" % number)).startswith(b"HTTP/1.1 200")
        for reader, writer in crowd[: 301 - 128]:
            assert await hangs_up(reader) == b""
            writer.close()
        for reader, writer in [*crowd[301 - 128 :], regular]:
            assert not reader.at_eof()
            writer.close()

    run(test, patience=60)


def test_calls_that_cost_more_than_they_may_are_refused(make_net):
    """A body nested without end, and a batch whose answer would be far larger than the question."""
    node = make_net(["f"], ["v0"])["f"]
    node.start()
    until(lambda: node.height() == 0, what="the node runs")

    def post(body: bytes) -> dict[str, Any]:
        with socket.create_connection((node.host, 9500), 5) as sock:
            sock.sendall(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            got = b""
            while data := sock.recv(65536):
                got += data
        found: dict[str, Any] = json.loads(got.partition(b"\r\n\r\n")[2])
        return found

    assert post(b"[" * 1_000_000)["error"]["code"] == -32700
    call = b'{"id": 1, "method": "hmyv2_latestHeader"}'
    assert len(post(b"[" + b",".join([call] * 100) + b"]")) == 100
    assert post(b"[" + b",".join([call] * 101) + b"]")["error"]["code"] == -32600
    for params in ([10**4000], ["0x" + "f" * 100_000], ["9" * 5000], [1e308 * 10], [[]], [None], [True, {}]):
        body = json.dumps({"id": 1, "method": "hmyv2_getBlockByNumber", "params": params}).encode()
        assert post(body).get("result") is None
    assert node.height() == 0
    assert "Traceback" not in node.log()
