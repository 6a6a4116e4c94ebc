"""The relays of a net: which links each carries, through which listeners, and that they go on when one dies.

A relay carries the links of some neighbouring source nodes. Its listeners are found again by a restarted agent; a relay
that dies is started again with the same listeners and toxics.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from stressnet.agent.complaints import complain
from stressnet.agent.journal import Note
from stressnet.agent.listeners import (
    Listener,
    latest,
    listener_name,
    parsed,
    renamed,
    without_connections,
)
from stressnet.agent.relay import Relay, RelayError, RelayStuck
from stressnet.agent.router import LAST_CODE, Endpoint, Router
from stressnet.agent.streams import Streams
from stressnet.faults.compose import Link, Toxic
from stressnet.faults.row import Row, Step
from stressnet.plan import Node, Plan

_NODES_PER_RELAY = 16
_TIDY_SOON_S, _TIDY_LATER_S = 1.0, 30.0
"""Between two looks for listeners whose last connection has gone."""

_FEW = 8
"""Listeners that are asked for one by one; of more a relay tells at once what is on all that it has."""

Way = tuple[str, Endpoint]
"""Source address, and the p2p port at the target's."""


class Relays:
    """The relays of one net. Listeners change one call after the other."""

    def __init__(self, plan: Plan, directory: Path, router: Router, note: Note) -> None:
        self._directory = directory
        self._router = router
        self._note = note
        self._relays: list[Relay] = []
        self._mending: set[asyncio.Task[None]] = set()
        self._tidying: asyncio.Task[None] | None = None
        self._streams = Streams(self._revive, self._give_up)
        self._carried: dict[Relay, dict[Way, list[Listener]]] = {}
        """The last one of each list takes what is opened now."""
        self._probes: set[int] = set()
        """Numbers of the endpoints that probes have at the moment, from the last one down."""
        self._changing = asyncio.Lock()
        """Held while listeners change: a relay that is being restarted is not given faults meanwhile."""
        self._ending = False
        self._take(plan)

    def _take(self, plan: Plan) -> None:
        self._plan = plan
        self._nodes = {node.name: node for node in plan.nodes}
        self._endpoints = [(node, port) for node in plan.nodes for port in node.p2p_ports()]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._relays)

    async def start(self) -> None:
        """Start as many as the plan needs, or take up those that an earlier agent had; OSError where one fails.

        `lead` has connections go through them.
        """
        self._add()
        try:
            await asyncio.gather(*(relay.start(self._died) for relay in self._relays))
        except OSError:
            self._relays = []
            raise

    def _add(self) -> list[Relay]:
        fresh = [
            Relay(number, self._plan.relay, self._router.relay_address(number), self._directory)
            for number in range(len(self._relays), relays_needed(self._plan))
        ]
        self._relays += fresh
        return fresh

    async def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; links that stay keep their connections."""
        self._take(plan)
        if plan.relay:
            for relay in self._add():
                await relay.start(self._died)
        if self._relays:
            async with self._changing:
                await self.lead()

    async def lead(self) -> None:
        """Lead every link of the plan through its listener, made where it is not there yet."""
        await asyncio.gather(*map(self._carry, self._relays))
        self._control()

    def _control(self) -> None:
        self._router.control(
            [(node.address, port.number) for node, port in self._endpoints],
            {
                way: listeners[-1].endpoint
                for carried in self._carried.values()
                for way, listeners in carried.items()
            },
        )

    async def _carry(self, relay: Relay) -> None:
        """Have a relay carry its links; one that does not say what it carries is started anew."""
        wanted = {
            listener_name(source, node, port): (source, number, node, port)
            for source in self._plan.nodes
            if _relay_of(source) == relay.number
            for number, (node, port) in enumerate(self._endpoints)
            if node is not source
        }
        try:
            there = await relay.listeners()
        except RelayStuck:
            await relay.end()
            await relay.start(self._died)
            there = {}
        found: dict[str, dict[int, int]] = {}
        for name, (port, _) in there.items():
            first, since = parsed(name)
            found.setdefault(first, {})[since] = port
        await relay.drop(name for name in there if parsed(name)[0] not in wanted)
        codes = {name: self._router.code(source, number) for name, (source, number, _, _) in wanted.items()}
        missing = {
            name: self._streams.since((wanted[name][0].name, wanted[name][2].name))
            for name in wanted
            if name not in found
        }
        made = await relay.carry({renamed(name, since): codes[name] for name, since in missing.items()})
        for name, since in missing.items():
            found[name] = {since: made[renamed(name, since)]}
        self._carried[relay] = {
            (source.address, (node.address, port.number)): [
                Listener(renamed(name, since), (source.name, node.name), relay, at, codes[name], since)
                for since, at in sorted(found[name].items())
            ]
            for name, (source, _, node, port) in wanted.items()
        }
        self._streams.carried(self._all())
        if not there:
            self._streams.emptied(relay)

    def _all(self) -> Iterator[Listener]:
        for carried in self._carried.values():
            for listeners in carried.values():
                yield from listeners

    # What becomes of one that does not answer.

    def _died(self, relay: Relay) -> None:
        if not self._ending:
            self._note("relay ended", relay=relay.number)
            self._later(self._mend(relay, time.monotonic()))

    async def _mend(self, relay: Relay, since: float, why: str = "") -> None:
        async with self._changing:
            if why:
                await self._revive(relay, why)
            elif not relay.pid:  # whoever had to do with it may have come first
                await self._begin_again(relay, since)

    def _give_up(self, relay: Relay, why: str) -> None:
        self._later(self._mend(relay, time.monotonic(), why))

    async def _revive(self, relay: Relay, why: str) -> None:
        since = time.monotonic()
        if relay.pid:
            self._note("relay ended", relay=relay.number, why=why)
        await relay.end()
        await self._begin_again(relay, since)

    async def _begin_again(self, relay: Relay, since: float) -> None:
        await relay.start(self._died)
        await self._carry(relay)
        await self._streams.fill(relay)
        # Only now: no connection finds a listener whose faults are not on it yet.
        self._control()
        self._note("relay restarted", relay=relay.number, gap_s=round(time.monotonic() - since, 3))

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._mending.add(task)
        task.add_done_callback(self._mended)
        return task

    def _mended(self, task: asyncio.Task[None]) -> None:
        self._mending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            complain(f"relays are not as they should be: {error!r}")

    # What holds on links.

    async def hold(self, wanted: Mapping[Link, Sequence[Toxic]]) -> None:
        """Put toxics on the listeners of these links and on no others; OSError where a relay refuses, and then
        everything is as it was before."""
        async with self._changing:
            fresh = [way for relay in self._relays for way in await self._part(relay, wanted)]
            try:
                await self._streams.hold(wanted)
            except BaseException:
                await self._forget([self._newest(way) for way in fresh])
                raise
            if fresh:
                self._router.redirect({way: self._newest(way).endpoint for way in fresh})
                if self._tidying is None or self._tidying.done():
                    self._tidying = self._later(self._tidy())

    def _newest(self, way: Way) -> Listener:
        return next(carried[way][-1] for carried in self._carried.values() if way in carried)

    async def _part(self, relay: Relay, wanted: Mapping[Link, Sequence[Toxic]]) -> list[Way]:
        """Make a listener for what is opened from now on where a fault is for that alone; return on which ways."""
        carried = self._carried[relay]
        fresh = {
            way: replace(listeners[-1], name=renamed(parsed(listeners[-1].name)[0], since), since=since)
            for way, listeners in carried.items()
            if (since := latest(wanted.get(listeners[-1].link, ()))) > listeners[-1].since
        }
        if fresh:
            ports = await relay.carry({listener.name: listener.code for listener in fresh.values()})
            for way, listener in fresh.items():
                carried[way].append(replace(listener, port=ports[listener.name]))
            self._streams.carried(self._all())
        return list(fresh)

    async def _forget(self, listeners: Iterable[Listener]) -> None:
        """Remove listeners that have others beside them."""
        gone: dict[Relay, set[Listener]] = {}
        for listener in listeners:
            gone.setdefault(listener.relay, set()).add(listener)
        for relay, some in gone.items():
            for there in self._carried[relay].values():
                there[:] = [one for one in there if one not in some] or there
            self._streams.carried(self._all())
            await relay.drop(one.name for one in some)

    async def _tidy(self) -> None:
        """Remove listeners that take nothing new as their last connections go."""
        pause_s = _TIDY_SOON_S
        while self._earlier():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _TIDY_LATER_S)
            async with self._changing:
                idle = await asyncio.to_thread(without_connections, list(self._all()))
                await self._forget(idle & self._earlier())

    def _earlier(self) -> set[Listener]:
        return {one for carried in self._carried.values() for some in carried.values() for one in some[:-1]}

    async def adopt(self) -> int:
        """Learn which toxics an earlier agent has left; return since which fault the latest listener is there."""
        async with self._changing:
            await self._streams.learn(self._relays)
        self._tidying = self._later(self._tidy())
        return max((listener.since for listener in self._all()), default=0)

    @asynccontextmanager
    async def probe(self, link: Link, port: int, toxics: Iterable[Toxic]) -> AsyncIterator[None]:
        """For the block, lead the first node's connections to a port of the second, which is no p2p port, as if it
        were one: through a listener of the same relay with these toxics."""
        source, target = self._nodes[link[0]], self._nodes[link[1]]
        relay, endpoint = self._relays[_relay_of(source)], (target.address, port)
        listener = f"{source.name}.{target.name}.probe-{port}"  # no p2p port is called so
        code = next(code for code in range(LAST_CODE, 0, -1) if code not in self._probes)
        self._probes.add(code)
        try:
            ports = await relay.carry({listener: self._router.code(source, code)})
            failures = await relay.change({listener: [Step("add", toxic) for toxic in toxics]})
            for why in failures.values():
                raise RelayError(why)
            self._router.lead(source, endpoint, code, (relay.address, ports[listener]))
            yield
        finally:
            self._router.unlead(source, endpoint, code)
            self._probes.discard(code)
            try:
                await relay.drop([listener])
            except RelayStuck as error:  # then it can have no new listeners either
                self._give_up(relay, str(error))

    # What is known.

    def pids(self) -> list[int]:
        """Return the process ids of the relays that run."""
        return [relay.pid for relay in self._relays if relay.pid]

    def port(self, name: str) -> int:
        """Return the port of the API of a node's relay, on the router's loopback; LookupError where it has none."""
        if not self._relays:
            raise LookupError(name)
        return self._relays[_relay_of(self._nodes[name])].port

    async def rows(self, link: Link) -> list[tuple[Listener, tuple[Toxic, ...]]]:
        """Return what the relay has on each listener of a link's opener, for each port first that which takes what is
        opened now; none where nobody can be dialled."""
        source, target = self._nodes[link[0]], self._nodes[link[1]]
        carried = self._carried[self._relays[_relay_of(source)]]
        ways = [(source.address, (target.address, port.number)) for port in target.p2p_ports()]
        return [(one, await one.relay.toxics(one.name)) for way in ways for one in reversed(carried[way])]

    async def toxics(self, links: Collection[Link]) -> dict[Listener, Row]:
        """Return what relays have on the listeners of these openers and acceptors, but for nodes that take no data:
        nothing gets through there, whatever is on them."""
        wanted: dict[Relay, list[Listener]] = {}
        async with self._changing:
            for one in self._all():
                if one.link in links and one.name not in self._streams.stragglers:
                    wanted.setdefault(one.relay, []).append(one)
            parts = await asyncio.gather(*(self._rows_of(relay, some) for relay, some in wanted.items()))
        return {listener: row for part in parts for listener, row in part.items()}

    async def _rows_of(self, relay: Relay, listeners: Sequence[Listener]) -> dict[Listener, Row]:
        busy = any(one.relay is relay and one.name in self._streams.stragglers for one in self._all())
        if busy or len(listeners) <= _FEW:
            return {one: await relay.toxics(one.name) for one in listeners}
        rows = await relay.listeners()
        return {one: rows[one.name][1] for one in listeners if one.name in rows}

    def close(self) -> None:
        """Let go; they stay as they are."""
        self._ending = True
        for task in self._mending:
            task.cancel()
        self._streams.close()
        for relay in self._relays:
            relay.close()


def relays_needed(plan: Plan) -> int:
    """Return how many relays the links of a plan take: none where no node has a p2p port."""
    if not any(node.p2p_ports() for node in plan.nodes):
        return 0
    return max(map(_relay_of, plan.nodes)) + 1


def _relay_of(node: Node) -> int:
    return node.index // _NODES_PER_RELAY
