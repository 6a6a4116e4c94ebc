"""Control of links and nodes in one net: what joins the supervisor's news with rules, relays and faults."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from pathlib import Path

from stressnet.agent.capture import Captures
from stressnet.agent.diagnosis import accepts, connected, open_diagnosis
from stressnet.agent.hooks import Hooks
from stressnet.agent.interposition import Interposition
from stressnet.agent.journal import Journal
from stressnet.agent.keeper import Keeper
from stressnet.agent.measure import Meter
from stressnet.agent.nodefaults import NodeFaults
from stressnet.agent.nodemeter import NodeMeter
from stressnet.agent.runtime import Runtime
from stressnet.agent.sampler import Sampler
from stressnet.agent.supervisor import Supervisor
from stressnet.plan import Plan


class Control:
    """Everything that the agent can do to links and nodes."""

    def __init__(self, supervisor: Supervisor, runtime: Runtime, directory: Path) -> None:
        self.journal = Journal(directory)
        self._supervisor = supervisor
        plan = supervisor.plan
        self._by_name = {node.name: node for node in plan.nodes}
        self._lines: dict[str, socket.socket] = {}
        """By node, through which the kernel is asked about its namespace."""
        self.links = Interposition(plan, directory, self._listening, self.journal.note)
        self._nodes = NodeFaults(
            runtime,
            directory,
            lambda name: supervisor.observed[name].pid,
            supervisor.release,
            self.journal.note,
        )
        self._disks = runtime.disks
        self._hooks = Hooks(
            plan,
            lambda name: lambda: supervisor.open_socket(name),
            lambda name: supervisor.observed[name].state == "ready",
            self.journal.note,
        )
        self.keeper = Keeper(plan, directory, self.links, self._nodes, self._hooks, self.journal.note)
        self.sampler = Sampler(supervisor, runtime, self.links, directory, self.journal.note)
        self.captures = Captures(supervisor)
        self._meter = Meter(
            self.keeper,
            self.links,
            supervisor,
            runtime.disks,
            NodeMeter(supervisor, runtime, self.keeper.on),
            self.journal.note,
        )
        supervisor.watcher = self

    async def run(self) -> None:
        """Put links under control and take up the faults that were on, let nodes start, and end faults in time."""
        running = [name for name, now in self._supervisor.observed.items() if now.pid]
        await self.links.start(running)
        self.journal.note("agent started", adopted=self.links.adopted or bool(running), running=len(running))
        if self.links.streams_problem:
            self.journal.note("no control of streams", why=self.links.streams_problem)
        await self.keeper.start()
        for name in running:
            self.started(name)
        self._supervisor.gate.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.keeper.run())
            group.create_task(self._meter.run())
            group.create_task(self._hooks.run())
            group.create_task(self.sampler.run())
            group.create_task(self._disks.run())
            group.create_task(self._nodes.clocks.run())

    async def under_control(self) -> None:
        """Wait until links are under control, or it is known why they are not."""
        await self._supervisor.gate.wait()

    async def replan(self, plan: Plan) -> None:
        """Go on with a changed plan."""
        await self.under_control()
        self._by_name = {node.name: node for node in plan.nodes}
        if not self.links.problem:
            await self.links.replan(plan)
        self._hooks.replan(plan)
        self.keeper.replan(plan)
        await self.keeper.settle()

    def held(self, name: str) -> None:
        """Note that a node has come to its gate."""
        self._hang_up(name)
        self.captures.wired(name)
        self.links.rewired(name)

    def started(self, name: str) -> None:
        """Note that a node runs."""
        self.links.started(name)
        self._nodes.started(name)
        self.captures.started(name)

    def ready(self, name: str) -> None:
        """Note that a node is ready."""
        self._hooks.ready(name)

    def ended(self, name: str) -> None:
        """Note that a node has ended."""
        self.links.ended(name)
        self._hang_up(name)
        self.captures.ended(name)
        self._hooks.ended(name)

    def connected(self) -> list[tuple[str, str]]:
        """Return the pairs of nodes of which the first has a connection open to the second, at a p2p port of either."""
        plan = self._supervisor.plan
        at = {node.address: node.name for node in plan.nodes}
        p2p = {port.number for node in plan.nodes for port in node.p2p_ports()}
        pairs: list[tuple[str, str]] = []
        for node in plan.nodes:
            if self._supervisor.observed[node.name].pid:
                with suppress(LookupError, OSError):  # it ends right now
                    with self._supervisor.inside(node.name, open_diagnosis) as diagnosis:
                        addresses = connected(diagnosis, p2p)
                    pairs += ((node.name, at[one]) for one in sorted(addresses & at.keys() - {node.address}))
        return pairs

    def _listening(self, name: str) -> set[int]:
        node = self._by_name[name]
        if name not in self._lines:
            self._lines[name] = self._supervisor.inside(name, open_diagnosis)
        line = self._lines[name]
        return {port.number for port in node.p2p_ports() if accepts(line, node.address, port.number)}

    def _hang_up(self, name: str) -> None:
        line = self._lines.pop(name, None)
        if line is not None:
            line.close()

    def close(self) -> None:
        """Let go of everything; it stays as it is."""
        self.links.close()
        self.captures.close()
        for name in list(self._lines):
            self._hang_up(name)
