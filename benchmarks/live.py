"""A small net for measurements: brought up, spoken to from outside, and taken down whatever happens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from stressnet.backends.base import Backend
from stressnet.engine.choose import backend_for
from stressnet.engine.faults import Wish, add, heal
from stressnet.engine.forward import listen
from stressnet.engine.status import look
from stressnet.engine.up import up
from stressnet.plan import Plan
from stressnet.spec.targets import Targets


class _Quiet:
    def step(self, name: str, done: int, total: int) -> None:
        pass


@dataclass(slots=True)
class Live:
    """A net that is up, as a story sees it."""

    plan: Plan
    net: Backend

    async def fault(
        self, kind: str, *parameters: str, on: str = "", between: tuple[str, str] | None = None
    ) -> str:
        """Put a fault on; return its id."""
        targets = Targets(on=on) if on else Targets(between=between)
        return (await add(self.net, self.plan, Wish(kind, parameters, targets), self.plan.seed))[0].id

    async def heal(self, name: str) -> None:
        await heal(self.net, [name], everything=False)

    async def height(self, node: str) -> int:
        """Return a node's height; -1 where it does not say."""
        rows = (await look(self.plan, self.net)).nodes
        return next((row.height for row in rows if row.node == node and row.height is not None), -1)

    async def _http(self, node: str, port: str, head: str, body: str = "") -> str:
        number = self.plan.node(node).port(port).number
        server = await listen(self.net, 0, print, "dial", node=node, port=number)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            fields = f"Host: node\r\nConnection: close\r\nContent-Length: {len(body)}"
            writer.write(f"{head} HTTP/1.1\r\n{fields}\r\n\r\n{body}".encode())
            answer = await asyncio.wait_for(reader.read(), 10)
            writer.close()
        return answer.decode().partition("\r\n\r\n")[2]

    async def metrics(self, node: str) -> dict[str, float]:
        """Return a node's figures, by name and labels as they are written."""
        text = await self._http(node, "metrics", "GET /metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def block(self, node: str, number: int) -> str:
        """Return the hash of a node's block, empty where it has none of that number."""
        answer = await self.ask(node, "hmyv2_getBlockByNumber", number)
        return str(answer["blockHash"]) if answer else ""

    async def ask(self, node: str, method: str, *params: Any) -> Any:
        """Return what a node answers by JSON-RPC."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return json.loads(await self._http(node, "rpc", "POST /", json.dumps(call)))["result"]

    async def total(self, node: str, name: str) -> float:
        """Return the sum of all series of a name."""
        found = await self.metrics(node)
        return sum(value for series, value in found.items() if series.partition("{")[0] == name)

    async def cpu(self, node: str, seconds: float) -> float:
        """Return how many CPUs a node uses."""
        before, begun = await self.total(node, "process_cpu_seconds_total"), time.monotonic()
        await asyncio.sleep(seconds)
        return (await self.total(node, "process_cpu_seconds_total") - before) / (time.monotonic() - begun)

    async def until(self, true: Callable[[], Awaitable[Any]], seconds: float) -> bool:
        """Wait for something; return whether it came."""
        end = time.monotonic() + seconds
        while not await true():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.2)
        return True

    async def follows(self, node: str, ahead: str = "validator", seconds: float = 12.0) -> bool:
        """Return whether a node comes to the height that another has now."""
        wanted = await self.height(ahead)

        async def there() -> bool:
            return await self.height(node) >= wanted

        return await self.until(there, seconds)

    async def begun(self, node: str = "follower") -> None:
        """Wait until a node has some blocks."""

        async def has() -> bool:
            return await self.height(node) >= 3

        if not await self.until(has, 20):
            raise AssertionError(f"{node} got no blocks at all")


@asynccontextmanager
async def net_of(plan: Plan) -> AsyncIterator[Backend]:
    """Bring a net up for a block of code, then remove it whatever happened."""
    backend = backend_for(plan.backend, plan.net)
    await up(plan, backend, _Quiet())
    try:
        yield backend
    finally:
        await backend.destroy(data=True)


@asynccontextmanager
async def brought_up(plan: Plan) -> AsyncIterator[Live]:
    """The same, with the net as stories see it."""
    async with net_of(plan) as net:
        yield Live(plan, net)
