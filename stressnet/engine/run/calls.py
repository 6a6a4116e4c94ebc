"""Load: requests to nodes at a rate, through the agent, over one connection a node."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import h11

from stressnet.agent.protocol import Connection
from stressnet.backends.base import Backend
from stressnet.errors import StressnetError
from stressnet.faultplan.filling import filled
from stressnet.faultplan.timeline import Calls, TimelineStep
from stressnet.plan import Plan

_TIMEOUT_S = 5.0
_MOST = 1 << 22
"""Bytes of an answer."""


class Caller:
    """Calls nodes of one net."""

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self._plan = plan
        self._backend = backend

    async def __call__(self, step: TimelineStep, nodes: Sequence[str], seconds: float) -> Mapping[str, Any]:
        """Call all these nodes for so many seconds; return by node how many were sent, and what became of them."""
        assert step.calls is not None
        loops = [self._call(node, step.calls, seconds) for node in nodes]
        return {"calls": dict(zip(nodes, await asyncio.gather(*loops), strict=True))}

    async def _call(self, node: str, calls: Calls, seconds: float) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        begun, sent, answered = loop.time(), 0, 0
        end = begun + seconds
        failed: Counter[str] = Counter()
        took: list[float] = []
        line: Connection | None = None
        state = h11.Connection(h11.CLIENT)
        try:
            # A node that does not answer holds calls up: those that were not sent by the end are not sent.
            while max(begun + sent / calls.rate, loop.time()) < end:
                await asyncio.sleep(max(0.0, begun + sent / calls.rate - loop.time()))
                sent += 1
                asked = loop.time()
                try:
                    async with asyncio.timeout(min(_TIMEOUT_S, end - asked)):
                        if line is None:
                            line, state = await self._dial(node, calls), h11.Connection(h11.CLIENT)
                        await _exchange(line, state, calls, sent)
                    answered += 1
                    took.append(loop.time() - asked)
                except (StressnetError, OSError, ValueError, TimeoutError, h11.ProtocolError) as error:
                    failed[str(error) or type(error).__name__] += 1
                    if line is not None:
                        line.writer.close()
                    line = None
        finally:
            if line is not None:
                line.writer.close()
        took.sort()
        median = took[len(took) // 2] if took else None
        return {"sent": sent, "answered": answered, "failed": dict(failed.most_common(5)), "median_s": median}

    async def _dial(self, node: str, calls: Calls) -> Connection:
        port = calls.port if isinstance(calls.port, int) else self._plan.node(node).port(calls.port).number
        line = await self._backend.connect()
        try:
            await line.call("dial", node=node, port=port)
        except BaseException:
            line.writer.close()
            raise
        return line


async def _exchange(line: Connection, state: h11.Connection, calls: Calls, number: int) -> None:
    """Send one request and read its answer; ValueError where it is an error."""
    body = b""
    if calls.via == "rpc":
        call = {"jsonrpc": "2.0", "id": 1, "method": calls.method, "params": list(calls.params)}
        body = json.dumps(call).encode()
    headers = [("Host", "node"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    target = calls.path if calls.via == "rpc" else filled(calls.path, number)
    request = h11.Request(method="POST" if body else "GET", target=target, headers=headers)
    for event in (request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()):
        line.writer.write(state.send(event) or b"")
    await line.writer.drain()
    status, content = await _answer(line.reader, state)
    state.start_next_cycle()
    if status != 200:
        raise ValueError(f"HTTP status {status}")
    if calls.via == "rpc" and "error" in json.loads(content):
        raise ValueError("a JSON-RPC error")


async def _answer(reader: asyncio.StreamReader, state: h11.Connection) -> tuple[int, bytes]:
    status, content = 0, b""
    while True:
        event = state.next_event()
        if event is h11.NEED_DATA:
            state.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            content += bytes(event.data)
            if len(content) > _MOST:
                raise ValueError("an answer of more than 4 MiB")
        elif isinstance(event, h11.EndOfMessage):
            return status, content
        elif isinstance(event, h11.ConnectionClosed):
            raise ValueError("the node closed the connection")
