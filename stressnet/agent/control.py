"""Control of links and nodes in one net: what joins the supervisor's news with rules, relays and faults."""

from __future__ import annotations

import asyncio
from pathlib import Path

from stressnet.agent.diagnosis import listening_ports, open_diagnosis
from stressnet.agent.hooks import Hooks
from stressnet.agent.interposition import Interposition
from stressnet.agent.journal import Journal
from stressnet.agent.keeper import Keeper
from stressnet.agent.measure import Meter
from stressnet.agent.nodefaults import NodeFaults
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
        self.links = Interposition(plan, directory, self._listening, self.journal.note)
        self._nodes = NodeFaults(
            runtime, directory, lambda name: supervisor.observed[name].pid, supervisor.release
        )
        self._hooks = Hooks(
            plan,
            lambda name: lambda: supervisor.open_socket(name),
            lambda name: supervisor.observed[name].state == "ready",
            self.journal.note,
        )
        self.keeper = Keeper(plan, directory, self.links, self._nodes, self._hooks, self.journal.note)
        self.sampler = Sampler(supervisor, runtime, self.links, directory, self.journal.note)
        self._meter = Meter(self.keeper, self.links, supervisor, self.journal.note)
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

    async def under_control(self) -> None:
        """Wait until links are under control, or it is known why they are not."""
        await self._supervisor.gate.wait()

    async def replan(self, plan: Plan) -> None:
        """Go on with a changed plan."""
        await self.under_control()
        if not self.links.problem:
            await self.links.replan(plan)
        self._hooks.replan(plan)
        self.keeper.replan(plan)
        await self.keeper.settle()

    def held(self, name: str) -> None:
        """Note that a node has come to its gate."""
        self.links.rewired(name)

    def started(self, name: str) -> None:
        """Note that a node runs."""
        self.links.started(name)
        self._nodes.started(name)

    def ready(self, name: str) -> None:
        """Note that a node is ready."""
        self._hooks.ready(name)

    def ended(self, name: str) -> None:
        """Note that a node has ended."""
        self.links.ended(name)
        self._hooks.ended(name)

    def _listening(self, name: str) -> set[int]:
        with self._supervisor.inside(name, open_diagnosis) as diagnosis:
            return listening_ports(diagnosis)

    def close(self) -> None:
        """Let go of everything; it stays as it is."""
        self.links.close()
