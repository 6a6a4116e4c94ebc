"""Loads: requests at a rate, for their time and no longer, whatever nodes make of them."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.protocol import Connection
from stressnet.engine.run.calls import Caller
from stressnet.faultplan.timeline import Calls, TimelineStep, When

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Far:
    """A backend whose agent joins callers to a port: it refuses, is silent, or answers."""

    def __init__(self, dialled: bytes, answer: bytes) -> None:
        self._dialled = dialled
        self._answer = answer
        self.lines: list[Connection] = []
        self._serving: list[asyncio.Task[None]] = []

    async def connect(self) -> Connection:
        near, far = socket.socketpair()
        self._serving.append(asyncio.create_task(self._serve(*await asyncio.open_connection(sock=far))))
        self.lines.append(Connection(*await asyncio.open_connection(sock=near)))
        return self.lines[-1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(self._dialled)
        while await reader.read(65536):
            writer.write(self._answer)
        writer.close()

    async def ended(self) -> None:
        """Wait until nothing is open any more, which only those who called can bring about."""
        async with asyncio.timeout(5):
            await asyncio.gather(*self._serving)


def load(far: Far, seconds: float, give_up_s: float | None = None) -> tuple[float, dict[str, Any]]:
    """Call one node 20 times a second; return how long it took, and what was told."""
    calls = Calls("http", 80, "/", "GET", (), 20.0)
    step = TimelineStep("ask", When(time_s=0.0), "load", "load", calls=calls)

    async def main() -> tuple[float, dict[str, Any]]:
        begun = asyncio.get_running_loop().time()
        found: dict[str, Any] = {}
        try:
            async with asyncio.timeout(give_up_s):
                told = await Caller(some_plan(), far)(step, ["us-1"], seconds)  # type: ignore[arg-type]
                found = told["calls"]["us-1"]
        except TimeoutError:
            pass
        took = asyncio.get_running_loop().time() - begun
        await far.ended()
        return took, found

    return asyncio.run(main())


def test_calls_come_at_their_rate_over_one_connection() -> None:
    """A busy machine makes them fewer or later, and never more or sooner."""
    far = Far(b'{"result": null}\n', OK)
    took, told = load(far, 0.6)
    assert 2 <= told["sent"] == told["answered"] <= 12
    assert took > (told["sent"] - 1) / 20 - 0.01
    assert len(far.lines) == 1


def test_a_node_that_does_not_answer_does_not_hold_a_load_up() -> None:
    """It is over when its time is; what it could not send, it did not."""
    took, told = load(Far(b'{"result": null}\n', b""), 0.5)
    assert took < 3
    assert (told["sent"], told["answered"]) == (1, 0)
    assert sum(told["failed"].values()) == 1


@pytest.mark.parametrize("dialled", [b'{"error": "no"}\n', b'{"result": null}\n'])
def test_no_connection_is_left(dialled: bytes) -> None:
    """Where the agent refuses to dial, and where the run ends in the middle of a call."""
    far = Far(dialled, b"")
    load(far, 30.0, give_up_s=0.3)
    assert far.lines
