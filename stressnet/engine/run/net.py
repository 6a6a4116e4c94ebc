"""What the timeline needs of a net, and the live one behind it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from stressnet.backends.base import Backend
from stressnet.engine.faults import LEASE_S, Standing, Wish, add, heal, observation, read_standing
from stressnet.errors import AgentError, InputError
from stressnet.faults.declared import with_declared
from stressnet.faults.fault import Fault
from stressnet.plan import Plan
from stressnet.record.samples import read_metrics
from stressnet.spec.selectors import Observation

_TRIES, _TRY_AGAIN_S = 4, 1.0
Put = tuple[Fault, tuple[str, ...]]


@dataclass(slots=True)
class Seen:
    """A net at one moment."""

    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The agent's word on each node: state, height, peers, cpu, rss_bytes."""
    connected: Sequence[Sequence[str]] = ()

    @property
    def heights(self) -> dict[str, int]:
        """The heights of nodes that run."""
        return dict(self.observation.heights)

    @property
    def observation(self) -> Observation:
        """What selectors ask."""
        return observation({"nodes": self.nodes}, self.connected)


class Net(Protocol):
    """What is done to a net, and seen of it."""

    plan: Plan

    def layer(self, kind: str) -> str:
        """Return the layer of a kind of fault."""

    async def put_on(self, wish: Wish, seed: int) -> Put:
        """Put a fault on, and return it, and what is to be said about how it is done."""

    async def take_off(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Heal those of these faults that are on; return what was there of each that is over, as `Standing` has it."""

    async def renew(self, ids: Sequence[str]) -> None:
        """Keep these faults on for one lease more, those of them that are on."""

    async def standing(self) -> Sequence[Standing]:
        """Return the faults that are on, and what is known of those that were."""

    async def look(self, *, connections: bool = False) -> Seen:
        """Return the net as it is now; who is connected to whom only where asked for."""

    async def metric(self, name: str) -> Mapping[str, float]:
        """Return the latest value of a series by node, summed over its labels."""


class LiveNet:
    """A net that is up."""

    def __init__(self, plan: Plan, backend: Backend, samples: Path) -> None:
        """`samples` is the record's own file, which something else keeps up to date."""
        self.plan = plan
        self.backend = backend
        self._samples = samples
        self._kinds = with_declared(plan.faults)
        self._first = 0
        """Number of the first fault that was put on here: a net that is up for long has had many others."""

    def layer(self, kind: str) -> str:
        """Return the layer of a kind of fault."""
        return self._kinds[kind].layer

    async def put_on(self, wish: Wish, seed: int) -> Put:
        """Put a fault on."""
        put = await add(self.backend, self.plan, wish, seed)
        self._first = min(self._first or put[0].number, put[0].number)  # two may come in any order
        return put

    async def take_off(self, ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Heal those of these faults that are on."""
        for left in reversed(range(_TRIES)):
            try:
                on = {one.fault.id for one in await self.standing() if not one.over}
                wanted = [one for one in ids if one in on]
                if wanted:
                    await heal(self.backend, wanted, everything=False)
                return {one.fault.id: one.at_heal for one in await self.standing() if one.over}
            except InputError:  # one of them has just ended by itself: then none was healed
                if not left:
                    raise
            except AgentError:  # one that has died is started again within a second
                if not left:
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)
        raise AssertionError("the last try returns or raises")

    async def renew(self, ids: Sequence[str]) -> None:
        """Renew the leases of those that are on."""
        async with await self.backend.connect() as agent:
            for one in ids:
                with suppress(AgentError):
                    await agent.call("fault_renew", ids=[one], lease_s=LEASE_S)

    async def standing(self) -> Sequence[Standing]:
        """Return the faults that are on, and those that were, from the first that was put on here."""
        async with await self.backend.connect() as agent:
            return [read_standing(raw) for raw in await agent.call("fault_list", first=self._first)]

    async def look(self, *, connections: bool = False) -> Seen:
        """Ask the agent."""
        async with await self.backend.connect() as agent:
            nodes = (await agent.call("status"))["nodes"]
            return Seen(nodes, await agent.call("connected") if connections else ())

    async def metric(self, name: str) -> Mapping[str, float]:
        """Read the latest values from the record."""
        found: dict[str, dict[str, tuple[float, float]]] = {}
        with suppress(sqlite3.Error):
            since = self._latest() - 60
            for at, node, series, value in read_metrics(self._samples, since=since):
                if series.partition("{")[0] == name:
                    found.setdefault(node, {})[series] = (at, value)
        return {node: sum(value for _, value in series.values()) for node, series in found.items()}

    def _latest(self) -> float:
        with closing(sqlite3.connect(f"{self._samples.resolve().as_uri()}?mode=ro", uri=True)) as file:
            return float(file.execute("SELECT max(at) FROM metric").fetchone()[0] or 0.0)
