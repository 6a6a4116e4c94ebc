"""Every link of the net under control: rules in the router, relays beside it, and who listens at the moment.

A relay carries the links of some neighbouring source nodes. Its listeners are made once, and found again by a
restarted agent; a relay that dies is started again with the same listeners and toxics.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from stressnet.agent.complaints import complain
from stressnet.agent.relay import Relay, RelayError, RelayStuck
from stressnet.agent.router import LAST_CODE, Count, Endpoint, Router
from stressnet.agent.streams import Listener, Streams
from stressnet.agent.traffic import Traffic, abilities
from stressnet.faults.compose import Packet, Toxic
from stressnet.faults.row import Step
from stressnet.plan import Node, Plan, Port

_NODES_PER_RELAY = 16
_SOON_S, _LATER_S = 0.02, 2.0
"""Between two looks at who listens: while a node is not yet up, and afterwards."""
_PATIENT_S = 1.0
"""After this long a node that does not listen is looked at ten times less often."""

Name = tuple[str, str]
"""Source and target node of a directed link."""
Counts = dict[Name, Count]
Listening = Callable[[str], set[int]]
"""Return the TCP ports of a node that accept connections; LookupError or OSError where it has gone."""
Note = Callable[..., None]
"""Write an event, with its particulars, into the journal."""


class Interposition:
    """The control of all links of one net."""

    def __init__(self, plan: Plan, directory: Path, listening: Listening, note: Note) -> None:
        self._directory = directory
        self._ask = listening
        self._note = note
        self._router = Router(plan)
        self._traffic = Traffic(lambda address: self._router.interface_of(address))
        self.lacks: dict[str, str] = {}
        """Of "tc" and "netem", why this kernel cannot do it; empty where it can."""
        self._relays: list[Relay] = []
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._mending: set[asyncio.Task[None]] = set()
        self._streams = Streams(self._revive, self._give_up)
        self._carried: dict[Relay, dict[tuple[str, Endpoint], Listener]] = {}
        """By source address and endpoint."""
        self._probes: set[int] = set()
        """Numbers of the endpoints that probes have at the moment, from the last one down."""
        self._changing = asyncio.Lock()
        """Held while listeners change: a relay that is being restarted is not given faults meanwhile."""
        self._ending = False
        self.problem = ""
        """Why packets are not under control; empty where they are."""
        self.streams_problem = ""
        """Why streams are not."""
        self.adopted = False
        """Whether an earlier agent had left rules here."""
        self._take(plan)

    def _take(self, plan: Plan) -> None:
        self._plan = plan
        self._nodes = {node.name: node for node in plan.nodes}
        self._at = {node.address: node.name for node in plan.nodes}
        self._endpoints = [(node, port) for node in plan.nodes for port in node.p2p_ports()]

    async def start(self, running: Iterable[str]) -> None:
        """Put everything in place, or take up what an earlier agent had put there; `running` are nodes that it left."""
        self.lacks = await asyncio.to_thread(abilities)
        if self._plan.backend == "docker" and self._plan.egress:
            self.problem = self.streams_problem = "with egress, nodes are on a bridge of the engine"
            return
        try:
            self.adopted = self._router.prepare(self._relay_count())
        except OSError as error:
            self.problem = self.streams_problem = f"this kernel does not do it: {error}"
            return
        if not self._endpoints:
            self.streams_problem = "no node has a TCP port called p2p"
            return
        if not self._plan.relay:
            self.streams_problem = "this net was made without relays; `stressnet plan` says why"
            return
        for number in range(self._relay_count()):
            address = self._router.relay_address(number)
            self._relays.append(Relay(number, self._plan.relay, address, self._directory))
        try:
            await asyncio.gather(*(relay.start(self._died) for relay in self._relays))
        except OSError as error:
            self.streams_problem = f"{self._plan.relay} cannot be started: {error}"
            self._relays = []
            return
        self._router.assume_listening(
            (self._nodes[name].address, port) for name in running for port in self._open_ports(name)
        )
        await self._lead()

    def _relay_count(self) -> int:
        if not self._endpoints:
            return 0
        return max(self._relay_of(node) for node in self._plan.nodes) + 1

    def _relay_of(self, node: Node) -> int:
        return node.index // _NODES_PER_RELAY

    async def _lead(self) -> None:
        """Lead every link of the plan through its listener, made where it is not there yet."""
        await asyncio.gather(*map(self._carry, self._relays))
        self._control()

    def _control(self) -> None:
        self._router.control(
            [(node.address, port.number) for node, port in self._endpoints],
            {
                way: (listener.relay.address, listener.port)
                for carried in self._carried.values()
                for way, listener in carried.items()
            },
        )

    async def _carry(self, relay: Relay) -> None:
        """Have a relay carry its links; one that does not say what it carries is started anew."""
        wanted = {
            _listener(source, node, port): (source, number, node, port)
            for source in self._plan.nodes
            if self._relay_of(source) == relay.number
            for number, (node, port) in enumerate(self._endpoints)
            if node is not source
        }
        try:
            there = await relay.listeners()
        except RelayStuck:
            await relay.end()
            await relay.start(self._died)
            there = {}
        ports = {name: port for name, (port, _) in there.items()}
        await relay.drop(there.keys() - wanted.keys())
        codes = {name: self._router.code(source, number) for name, (source, number, _, _) in wanted.items()}
        ports |= await relay.carry({name: code for name, code in codes.items() if name not in there})
        self._carried[relay] = {
            (source.address, (node.address, port.number)): Listener(
                name, (source.name, node.name), relay, ports[name], codes[name]
            )
            for name, (source, _, node, port) in wanted.items()
        }
        self._streams.carried(listener for carried in self._carried.values() for listener in carried.values())
        if not there:
            self._streams.emptied(relay)

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

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._mending.add(task)
        task.add_done_callback(self._mended)

    def _mended(self, task: asyncio.Task[None]) -> None:
        self._mending.discard(task)
        if not task.cancelled() and (error := task.exception()):
            complain(f"relays are not as they should be: {error!r}")

    # Who listens.

    def started(self, name: str) -> None:
        """Begin to watch whether a node that now runs accepts connections."""
        self.ended(name)
        ports = {port.number for port in self._nodes[name].p2p_ports()}
        if ports and self._relays:
            self._watches[name] = asyncio.ensure_future(self._watch(name, ports))

    def ended(self, name: str) -> None:
        """Refuse what connects to a node that does not run, as its kernel would."""
        watch = self._watches.pop(name, None)
        if watch is not None:
            watch.cancel()
            self._listen(name, {port.number for port in self._nodes[name].p2p_ports()}, listening=False)

    async def _watch(self, name: str, wanted: set[int]) -> None:
        begun = time.monotonic()
        while True:
            open_now = self._open_ports(name)
            self._listen(name, open_now, listening=True)
            self._listen(name, wanted - open_now, listening=False)
            if open_now == wanted:
                await asyncio.sleep(_LATER_S)
            else:
                await asyncio.sleep(_SOON_S * (1 if time.monotonic() < begun + _PATIENT_S else 10))

    def _open_ports(self, name: str) -> set[int]:
        try:
            return self._ask(name) & {port.number for port in self._nodes[name].p2p_ports()}
        except (LookupError, OSError):
            return set()

    def _listen(self, name: str, ports: Iterable[int], *, listening: bool) -> None:
        address = self._nodes[name].address
        self._router.listen([(address, port) for port in ports], listening=listening)

    # What holds on links.

    def condition(self, packets: Mapping[Name, Packet]) -> None:
        """Put packet faults on these links and on no others: all at one moment, or OSError and none."""
        wanted = {
            (self._nodes[source].address, self._nodes[target].address): packet
            for (source, target), packet in packets.items()
        }
        self._router.condition(wanted, self._traffic.put(wanted))
        self._traffic.clear(wanted)

    def rewired(self, name: str) -> None:
        """Make the queues of a node's links anew: its interface is a new one."""
        self._traffic.renew(self._nodes[name].address)

    async def poison(self, wanted: Mapping[Name, Sequence[Toxic]]) -> None:
        """Put toxics on the listeners of these links and on no others; OSError where a relay refuses, and then
        everything is as it was before."""
        async with self._changing:
            await self._streams.hold(wanted)

    def _listeners(self, name: Name) -> Iterator[str]:
        source, target = self._nodes[name[0]], self._nodes[name[1]]
        return (_listener(source, target, port) for port in target.p2p_ports())

    async def adopt(self) -> None:
        """Learn which toxics an earlier agent has left, and take away its queues."""
        self._traffic.adopt(self._at)
        async with self._changing:
            await self._streams.learn(self._relays)

    # What is known.

    def relay_count(self) -> int:
        """Return how many relays there are."""
        return len(self._relays)

    def relay_pids(self) -> list[int]:
        """Return the process ids of the relays that run."""
        return [relay.pid for relay in self._relays if relay.pid]

    def relay_port(self, name: str) -> int:
        """Return the port of the API of a node's relay, on the router's loopback; LookupError where it has none."""
        if not self._relays:
            raise LookupError(name)
        return self._relays[self._relay_of(self._nodes[name])].port

    def counted(self) -> Counts:
        """Return what each directed link has carried so far, of those that carried anything."""
        return {
            (self._at.get(source, source), self._at.get(target, target)): count
            for (source, target), count in self._router.counts().items()
        }

    async def toxics(self, name: Name) -> list[tuple[Toxic, ...]]:
        """Return what the relay has on each listener of a link's opener; none where nobody can be dialled."""
        relay = self._relays[self._relay_of(self._nodes[name[0]])]
        return [await relay.toxics(listener) for listener in self._listeners(name)]

    @asynccontextmanager
    async def probe(self, name: Name, port: int, toxics: Iterable[Toxic]) -> AsyncIterator[None]:
        """For the block, lead the first node's connections to a port of the second, which is no p2p port, as if it
        were one: through a listener of the same relay with these toxics."""
        source, target = self._nodes[name[0]], self._nodes[name[1]]
        relay, endpoint = self._relays[self._relay_of(source)], (target.address, port)
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

    async def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; links that stay keep their connections."""
        self._take(plan)
        self._router.replan(plan)
        self._router.prepare(self._relay_count())
        for number in range(len(self._relays), self._relay_count() if plan.relay else 0):
            relay = Relay(number, plan.relay, self._router.relay_address(number), self._directory)
            await relay.start(self._died)
            self._relays.append(relay)
        if self._relays:
            async with self._changing:
                await self._lead()

    def close(self) -> None:
        """Let go; rules and relays stay as they are."""
        self._ending = True
        for watch in (*self._watches.values(), *self._mending):
            watch.cancel()
        self._streams.close()
        for relay in self._relays:
            relay.close()
        self._traffic.close()
        self._router.close()


def _listener(source: Node, target: Node, port: Port) -> str:
    return f"{source.name}.{target.name}.{port.name}"
