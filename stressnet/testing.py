"""Doubles for tests, also for those of people who build on stressnet: a clock that jumps, and a net in memory.

run_virtual(coroutine)   runs it in a loop whose time jumps to whatever is due next: a month takes seconds
MemoryNet                takes faults and shows them, as a live net does to a timeline
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from stressnet.engine.faults import LEASE_S, Standing, Wish, compose
from stressnet.engine.run.net import Put, Seen
from stressnet.errors import AgentError
from stressnet.faults.declared import with_declared
from stressnet.faults.presence import Presence
from stressnet.plan import Plan

T = TypeVar("T")
_REMEMBERED_S = 60.0
"""How long a fault that is over is still listed."""


class _Selector(selectors.SelectSelector):
    """Waits by moving the clock."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("nothing will ever happen: everybody waits for somebody else")
            self.loop.now += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only when there is nothing to do. Threads are not waited for."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        """Return the time of now, seconds since the loop was made."""
        return self.now


def run_virtual(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function to its end in a loop with a virtual clock; return what it returns."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()


class MemoryNet:
    """A net in memory: faults that are put on are on, until their time, their lease or somebody ends them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen = Seen({node.name: {"state": "ready", "height": 0, "peers": 1} for node in plan.nodes})
        """What `look` returns; a test changes it."""
        self.metrics: dict[str, dict[str, float]] = {}
        self.figures: Sequence[Mapping[str, Any]] = ()
        """What is measured of each fault as soon as it is on."""
        self.at_heal: Mapping[str, Any] = Presence().to_raw()
        """What is there of each fault when it ends."""
        self.refuses = ""
        """Why the next fault is refused; empty: it is not."""
        self.silent = False
        """Whether no agent answers just now."""
        self._kinds = with_declared(plan.faults)
        self._faults: dict[str, Standing] = {}
        self._lease: dict[str, float] = {}
        self._next = 1
        self.log: list[tuple[float, str, str]] = []
        """When which fault was put on and ended: (time, "on" or how it ended, its words)."""

    def layer(self, kind: str) -> str:
        """Return the layer of a kind of fault."""
        return self._kinds[kind].layer

    def _check(self) -> float:
        if self.silent:
            raise AgentError("no agent answers")
        now = asyncio.get_running_loop().time()
        for name, one in list(self._faults.items()):
            if one.over and now > one.until + _REMEMBERED_S:
                del self._faults[name]
                continue
            end = min([at for at in (one.fault.ends_at, self._lease.get(name, 0.0)) if at], default=0.0)
            if not one.over and end and end <= now:
                self._end(name, "ended", end)
        return now

    def _end(self, name: str, how: str, at: float) -> None:
        self._faults[name] = replace(self._faults[name], state=how, until=at, at_heal=self.at_heal)
        self.log.append((at, how, self._faults[name].fault.asked))

    async def put_on(self, wish: Wish, seed: int) -> Put:
        """Put a fault on, as an agent does; AgentError where `refuses` says so."""
        now = self._check()
        if self.refuses:
            raise AgentError(self.refuses)
        fault = replace(compose(wish, self.plan, self.seen.observation, now, seed), id=f"f{self._next}")
        self._next += 1
        momentary = self._kinds[fault.kind].momentary
        self._faults[fault.id] = Standing(
            fault, "ended" if momentary else "on", now, now if momentary else 0.0, self._achieved(), 0
        )
        if wish.held:
            self._lease[fault.id] = now + LEASE_S
        self.log.append((now, "on", fault.asked))
        return fault, ()

    def _achieved(self) -> dict[str, Any]:
        return {"figures": list(self.figures)} if self.figures else {}

    async def take_off(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Heal those of these faults that are on; return what was there of them."""
        now = self._check()
        for name in ids:
            if name in self._faults and not self._faults[name].over:
                self._end(name, "healed", now)
        return {name: one.at_heal for name, one in self._faults.items() if one.over}

    async def renew(self, ids: Sequence[str]) -> None:
        """Renew leases."""
        now = self._check()
        for name in ids:
            if name in self._faults and not self._faults[name].over:
                self._lease[name] = now + LEASE_S

    async def standing(self) -> Sequence[Standing]:
        """Return all faults."""
        self._check()
        return list(self._faults.values())

    def measure(self, state: str, figures: Sequence[Mapping[str, Any]]) -> None:
        """Let all faults that are on have been measured so."""
        for name, one in self._faults.items():
            if not one.over:
                self._faults[name] = replace(one, state=state, achieved={"figures": list(figures)})

    async def look(self, *, connections: bool = False) -> Seen:
        """Return what the test has set."""
        self._check()
        return self.seen

    async def metric(self, name: str) -> Mapping[str, float]:
        """Return what the test has set."""
        return self.metrics.get(name, {})


__all__ = ["MemoryNet", "VirtualLoop", "run_virtual"]
