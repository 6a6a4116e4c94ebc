"""A world in one process for whole nodes: a clock that jumps to whatever is due next, and a network in memory.

Days pass in seconds, and the same seed gives the same run: nothing waits, and nothing else runs meanwhile. A node finds
it in the place of asyncio's own loop; what it does there is what it does everywhere.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import selectors
import sys
import time
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from syncnode.config import parse
from syncnode.node import Node

HERE: contextvars.ContextVar[str] = contextvars.ContextVar("host", default="")
EPOCH = 1_700_000_000.0
Link = frozenset[str]
_TURN_S = 1e-4
"""What a turn of the loop costs: so that whoever spins uses up his time, as he would a core."""


class _Selector(selectors.SelectSelector):
    """Waits by moving the clock."""

    loop: Loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        self.loop.turns += 1
        self.loop.now += _TURN_S
        if not ready:
            assert timeout is not None, "nothing will ever happen in this world again"
            self.loop.now += max(timeout, 0)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop with a clock and a network of its own."""

    def __init__(self, latency_s: float = 0.0) -> None:
        self.now = 0.0
        self.turns = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9
        self.latency_s = latency_s
        self.servers: dict[tuple[str, int], Callable[[], asyncio.BaseProtocol]] = {}
        self.cut: set[Link] = set()
        self._under_way: dict[Link, deque[Callable[[], Any]]] = {}
        self.pipes: list[Pipe] = []

    def time(self) -> float:
        return self.now

    async def create_server(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        self.servers[str(host), int(port)] = factory
        return SimpleNamespace(close=lambda: self.servers.pop((str(host), int(port)), None))

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        near, link = HERE.get(), frozenset((HERE.get(), str(host)))
        arrived = self.create_future()
        self.send(link, lambda: arrived.done() or arrived.set_result(None))  # SYN
        await arrived
        await asyncio.sleep(self.latency_s)
        accept = self.servers.get((str(host), int(port)))
        if accept is None:
            raise ConnectionRefusedError(111, f"nobody listens at {host}:{port}")
        ours, theirs = factory(), accept()
        one, two = Pipe(self, link, ours, str(host)), Pipe(self, link, theirs, near)
        one.other, two.other = two, one
        self.pipes += [one, two]
        theirs.connection_made(two)
        ours.connection_made(one)
        return one, ours

    def send(self, link: Link, arrive: Callable[[], Any]) -> None:
        """Have something happen when it has gone over a link, in order; on a link that is cut it waits."""
        self._under_way.setdefault(link, deque()).append(arrive)
        self.call_later(self.latency_s, self._next, link)

    def _next(self, link: Link) -> None:
        if link not in self.cut and self._under_way[link]:
            self._under_way[link].popleft()()

    def heal(self) -> None:
        """Let everything through that links have held."""
        self.cut.clear()
        for link, waiting in self._under_way.items():
            for _ in range(len(waiting)):
                self.call_later(self.latency_s, self._next, link)


class Pipe(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, loop: Loop, link: Link, protocol: Any, host: str) -> None:
        super().__init__({"peername": (host, 0)})
        self._loop, self.link, self._protocol = loop, link, protocol
        self.other: Pipe
        self._closing = False

    def write(self, data: Any) -> None:
        if not self._closing:
            self._loop.send(self.link, lambda block=bytes(data): self.other.arrived(block))  # type: ignore[misc]

    def arrived(self, data: bytes) -> None:
        if not self._closing:
            self._protocol.data_received(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._lose(None)
            self._loop.send(self.link, lambda: self.other._lose(None))

    abort = close

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)
            if self in self._loop.pipes:
                self._loop.pipes.remove(self)


class World:
    """Nodes in one simulation; `run` drives a story, at whose end all of it is gone."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, latency_s: float = 0.0) -> None:
        self.loop = Loop(latency_s)
        self.nodes: dict[str, Node] = {}
        self._folder = folder
        self._stops: list[tuple[asyncio.Event, asyncio.Future[None]]] = []
        clock = SimpleNamespace(**vars(time))
        clock.monotonic, clock.time = self.loop.time, lambda: EPOCH + self.loop.now
        for name, module in list(sys.modules.items()):
            if name.startswith("syncnode.") and hasattr(module, "time"):
                patch.setattr(module, "time", clock)

    async def start(self, name: str, validators: list[str], knows: list[str], **keys: Any) -> Node:
        """Start a node; keys are those of its configuration, `section__key=value`."""
        host = f"10.0.0.{len(self.nodes) + 1}"
        raw: dict[str, Any] = {
            "node": {"name": name, "role": "validator" if name in validators else "full", "seed": 7},
            "p2p": {"listen": f"{host}:9000", "peers": [f"{self.host(one)}:9000" for one in knows]},
            "rpc": {"listen": f"{host}:9500"},
            "metrics": {"listen": f"{host}:9900"},
            "log": {"level": "error"},
            "chain": {"validators": validators, "payload": 32},
        }
        for key, value in keys.items():
            section, _, rest = key.rpartition("__")
            (raw.setdefault(section, {}) if section else raw)[rest] = value
        home = self._folder / name
        home.mkdir(exist_ok=True)
        HERE.set(host)
        node = Node(parse(raw), home)
        stop = asyncio.Event()
        self._stops.append((stop, asyncio.ensure_future(node.run(stop))))
        self.nodes[name] = node
        await asyncio.sleep(0)
        return node

    def host(self, name: str) -> str:
        return str(self.nodes[name].config.p2p.listen.rpartition(":")[0])

    def cut(self, one: str, *others: str) -> None:
        """Hold everything between nodes; `self.loop.heal` ends it."""
        self.loop.cut |= {frozenset((self.host(one), self.host(other))) for other in others}

    def reset(self, one: str, other: str) -> None:
        """End all connections between two nodes."""
        link = frozenset((self.host(one), self.host(other)))
        for pipe in [pipe for pipe in self.loop.pipes if pipe.link == link]:
            pipe.close()

    async def until(self, true: Callable[[], object], seconds: float = 600.0) -> float:
        """Wait for something; return how long it took."""
        begun = self.loop.now
        while not true():
            assert self.loop.now < begun + seconds, f"not within {seconds:g} s"
            await asyncio.sleep(0.05)
        return self.loop.now - begun

    async def call(self, node: Node, method: str, *params: Any) -> Any:
        answer = json.loads(
            node._rpc._route("POST", "/", json.dumps({"method": method, "params": params}).encode())[2]
        )
        return answer["result"]

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            try:
                await story()
            finally:
                for stop, running in self._stops:
                    stop.set()
                    await running

        try:
            self.loop.run_until_complete(whole())
        finally:
            self.loop.close()
