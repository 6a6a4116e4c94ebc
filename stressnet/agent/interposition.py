"""Every link of the net under control: rules in the router, relays beside it, and who listens at the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from stressnet.agent.conditions import Lack
from stressnet.agent.journal import Note
from stressnet.agent.relays import Relays, relays_needed
from stressnet.agent.router import Count, Router
from stressnet.agent.traffic import Traffic, abilities
from stressnet.faults.compose import Packet
from stressnet.plan import Plan

_SOON_S, _LATER_S = 0.02, 2.0
"""Between two looks at who listens: while a node is not yet up, and afterwards."""
_PATIENT_S = 1.0
"""After this long a node that does not listen is looked at ten times less often."""

Name = tuple[str, str]
"""Source and target node of a directed link."""
Counts = dict[Name, Count]
Listening = Callable[[str], set[int]]
"""Return the TCP ports of a node that accept connections; LookupError or OSError where it has gone."""


class Interposition:
    """The control of all links of one net."""

    def __init__(self, plan: Plan, directory: Path, listening: Listening, note: Note) -> None:
        self._ask = listening
        self._note = note
        self.of_others = {"rules": 0, "queues": 0}
        """How often anybody else has changed them since this agent took control, at the last look."""
        self._router = Router(plan)
        self._traffic = Traffic(lambda address: self._router.interface_of(address))
        self.lacks: dict[str, str] = {}
        """Of "tc" and "netem", why this kernel cannot do it; empty where it can."""
        self.relays = Relays(plan, directory, self._router, note)
        self._watches: dict[str, asyncio.Task[None]] = {}
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

    async def start(self, running: Iterable[str]) -> None:
        """Put everything in place, or take up what an earlier agent had put there; `running` are nodes that it left."""
        self.lacks = await asyncio.to_thread(abilities)
        if self._plan.backend == "docker" and self._plan.egress:
            self.problem = self.streams_problem = "with egress, nodes are on a bridge of the engine"
            return
        needed = relays_needed(self._plan)
        try:
            self.adopted = self._router.prepare(needed)
        except OSError as error:
            self.problem = self.streams_problem = f"this kernel does not do it: {error}"
            return
        if not needed:
            self.streams_problem = "no node has a TCP port called p2p"
            return
        if not self._plan.relay:
            self.streams_problem = "this net was made without relays; `stressnet plan` says why"
            return
        try:
            await self.relays.start()
        except OSError as error:
            self.streams_problem = f"{self._plan.relay} cannot be started: {error}"
            return
        self._router.assume_listening(
            (self._nodes[name].address, port) for name in running for port in self._open_ports(name)
        )
        await self.relays.lead()

    # Who listens.

    def started(self, name: str) -> None:
        """Begin to watch whether a node that now runs accepts connections."""
        self.ended(name)
        ports = {port.number for port in self._nodes[name].p2p_ports()}
        if ports and self.relays:
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

    def lacking(self, packets: Mapping[Name, Packet]) -> dict[Name, Lack]:
        """Return what the kernel does not have of what should hold for packets of these links."""
        wanted = {
            (self._nodes[source].address, self._nodes[target].address): packet
            for (source, target), packet in packets.items()
        }
        rules = self._router.lacking(wanted, self._traffic.classes(wanted))
        queues = self._traffic.lacking(wanted)
        return {
            name: Lack(rules[pair].rule, queues.get(pair) or rules[pair].queue)
            for name, pair in zip(packets, wanted, strict=True)
        }

    def rewired(self, name: str) -> None:
        """Make the queues of a node's links anew: its interface is a new one."""
        self._traffic.renew(self._nodes[name].address)

    async def adopt(self) -> int:
        """Learn which toxics an earlier agent has left, and take away its queues; return the number of the latest fault
        that relays know of."""
        self._traffic.adopt(self._at)
        return await self.relays.adopt()

    # What is known.

    def counted(self) -> Counts:
        """Return what each directed link has carried so far, of those that carried anything."""
        self.notice_others()
        return {
            (self._at.get(source, source), self._at.get(target, target)): count
            for (source, target), count in self._router.counts().items()
        }

    def notice_others(self) -> None:
        """Look whether anybody else has changed what controls links: it may be as before by now, and was not."""
        for what, times in (("rules", self._router.of_others()), ("queues", self._traffic.of_others())):
            if times > self.of_others[what]:
                self._note("control changed", what=what, times=times - self.of_others[what])
                self.of_others[what] = times

    async def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; links that stay keep their connections."""
        self._take(plan)
        self._router.replan(plan)
        self._router.prepare(relays_needed(plan))
        await self.relays.replan(plan)

    def close(self) -> None:
        """Let go; rules and relays stay as they are."""
        for watch in self._watches.values():
            watch.cancel()
        self.relays.close()
        self._traffic.close()
        self._router.close()
