"""One net in containers: the verbs that the engine of stressnet asks a backend for."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import docker
import docker.errors

from stressnet import state
from stressnet.agent.protocol import LINE_LIMIT, Connection
from stressnet.backends.base import Fate, Progress
from stressnet.backends.docker import bodies, logs, prepare, terminal
from stressnet.backends.docker.calls import Calls
from stressnet.backends.docker.found import things_of
from stressnet.backends.docker.lines import Lines
from stressnet.backends.docker.nodes import Containers
from stressnet.backends.docker.ownership import owner
from stressnet.backends.docker.place import Place, find_place, finish_place, open_place, start_agent
from stressnet.backends.docker.removal import remove_container, remove_kept, remove_net
from stressnet.backends.docker.stream import ExecStream, as_socket
from stressnet.errors import AgentError, StageError, StressnetError
from stressnet.images import engine as engines
from stressnet.plan import Node, Plan, Preparation

_GATE_S = 60.0
"""How long the last container may take to its gate: a loaded machine was seen to take 8 s."""
_POLL_S = 0.02
_STDIO = ("python3", "-m", "stressnet.agent.stdio", bodies.AGENT_SOCKET)


class DockerBackend:
    """One net in containers of the engine that DOCKER_HOST names."""

    name = "docker"

    def __init__(self, net: str) -> None:
        self._net = net
        self._agent = bodies.agent_name(net)
        """The name of the agent's container, another one while this very object makes the net."""
        self._place: Place | None = None
        self._starting: asyncio.Future[None] | None = None
        """The start of the agent's container, while nodes are being made already."""
        self._lines = Lines()

    @property
    def _engine(self) -> docker.APIClient:
        return engines.connect()

    async def reach(self) -> None:
        """Return if the engine answers."""
        await asyncio.to_thread(engines.connect)

    async def open(self, plan: Plan) -> None:
        """Make the agent's container, and have it started."""
        now = time.time()
        expires_at = now + plan.ttl_s if plan.ttl_s else 0.0
        origin = bodies.Origin(plan.net, owner(), uuid.uuid4().hex[:12], now, expires_at)
        self._agent = bodies.unfinished_agent_name(self._net)
        self._place = await open_place(self._engine, plan, origin)
        self._starting = asyncio.ensure_future(asyncio.to_thread(start_agent, self._engine, plan))

    async def replan(self, plan: Plan) -> None:
        """Tell the agent of a changed plan; names are the engine's own and follow by themselves."""
        async with await self.connect() as connection:
            await connection.call("replan", plan=plan.to_json())

    async def create(self, plan: Plan, nodes: Sequence[Node], progress: Progress) -> None:
        """Make and start the containers of these nodes, and wait until each stands at its gate.

        A node that has a container already goes on in it, with its data.
        """
        connecting = asyncio.ensure_future(self.connect())
        try:
            place, ended = await asyncio.gather(
                asyncio.to_thread(self._find_place), asyncio.to_thread(self._ended, nodes)
            )
            containers = Containers(self._engine, plan, place, self._agent)
            fresh = [node for node in nodes if node.name not in ended]
            await asyncio.to_thread(containers.look, fresh)
            # Read before they start: their knocks are news to that.
            before = await self._moments(connecting) if ended else {}
            await self._start(plan, containers, nodes, ended, progress)
        except BaseException:
            await _close(connecting)
            raise
        async with await connecting as connection:
            await self._until_held(connection, nodes, before, progress)

    def _ended(self, nodes: Sequence[Node]) -> dict[str, str]:
        """Return the containers that these nodes have already, by node."""
        there = things_of(self._engine, self._net).nodes()
        return {node.name: there[node.name]["Id"] for node in nodes if node.name in there}

    async def _moments(self, connecting: asyncio.Future[Connection]) -> dict[str, float]:
        seen = (await (await connecting).call("status"))["nodes"]
        return {name: now["since"] for name, now in seen.items()}

    def _find_place(self) -> Place:
        if self._place is None:
            self._place = find_place(self._engine, self._agent)
        return self._place

    async def _start(
        self,
        plan: Plan,
        containers: Containers,
        nodes: Sequence[Node],
        ended: Mapping[str, str],
        progress: Progress,
    ) -> None:
        """Make and start these nodes' containers; the agent's own starts before any of them.

        Starts are what takes an engine long: beside eight others the agent's would be the last to finish, and
        all would wait at their gates for it.
        """
        started = 0

        async def one(node: Node) -> None:
            if node.name in ended:
                await calls.run(containers.restart, node, ended[node.name])
            else:
                directory = state.node_directory(plan.net, node)
                made = await calls.run(containers.create, node, directory)
                await self._agent_started()
                await calls.run(containers.start, node, made)

        async with Calls() as calls:
            work = [asyncio.ensure_future(one(node)) for node in nodes]
            try:
                for done in asyncio.as_completed(work):
                    await done
                    started += 1
                    progress("containers", started)
            finally:
                for task in work:  # of those that go on after an error nobody would hear
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)

    async def _until_held(
        self,
        connection: Connection,
        nodes: Sequence[Node],
        before: Mapping[str, float],
        progress: Progress,
    ) -> None:
        """Wait until each is known; those with a moment in `before`, until there is newer news of them."""
        deadline = time.monotonic() + _GATE_S
        while True:
            seen = (await connection.call("status"))["nodes"]
            absent = [
                node.name
                for node in nodes
                if seen[node.name]["state"] == "absent"
                or seen[node.name]["since"] <= before.get(node.name, 0.0)
            ]
            progress("gates", len(nodes) - len(absent))
            if not absent:
                return
            if time.monotonic() > deadline:
                raise StageError(f"{_some(absent)} did not come to the gate within {_GATE_S:g} s")
            await asyncio.sleep(_POLL_S)

    async def keep(self) -> None:
        """Mark the net as whole; containers outlive this program anyhow, but without the mark as remains."""
        await self._start_settled()
        if self._agent != bodies.agent_name(self._net):
            await asyncio.to_thread(finish_place, self._engine, self._net)
            self._agent = bodies.agent_name(self._net)

    async def _agent_started(self) -> None:
        if self._starting is not None:
            await asyncio.shield(self._starting)

    async def _start_settled(self) -> None:
        """Wait for what comes of the agent's start, good or bad."""
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
            self._starting = None

    def keeping(self) -> AbstractAsyncContextManager[None]:
        """Start no further program for a connection where one can serve again."""
        return self._lines.keep()

    async def connect(self) -> Connection:
        """Return a connection to the agent, through an exec in its container."""
        await self._agent_started()
        if kept := await self._lines.take():
            return kept
        opening = asyncio.ensure_future(asyncio.to_thread(ExecStream, self._engine, self._agent, _STDIO))
        try:
            stream = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_stream)  # the thread goes on
            raise
        except StressnetError as error:
            raise AgentError(f"the agent of net {self._net!r} does not answer: {error.message}") from error
        ours = as_socket(stream, self._net)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LINE_LIMIT)
        return Connection(reader, writer, self._lines.leave)

    async def fates(self) -> Mapping[str, Fate]:
        """Return what the engine says of each node's container; it is asked twice of those that ended."""
        async with Calls() as calls:
            nodes = (await calls.run(things_of, self._engine, self._net)).nodes()
            found = await asyncio.gather(*(calls.run(self._fate, item) for item in nodes.values()))
        return dict(zip(nodes, found, strict=True))

    def _fate(self, listed: Mapping[str, Any]) -> Fate:
        if listed["State"] != "exited":
            return Fate(running=listed["State"] in ("running", "paused", "restarting"))
        with engines.explained("looking at a container that ended"):
            ended = self._engine.inspect_container(listed["Id"])["State"]
        return Fate(running=False, exit_code=ended["ExitCode"], oom_killed=ended["OOMKilled"])

    async def remove(self, names: Sequence[str]) -> None:
        """Remove the containers of these nodes; the agent forgets them."""
        async with await self.connect() as connection:
            await connection.call("remove", names=list(names))
            async with Calls() as calls:
                nodes = (await calls.run(things_of, self._engine, self._net)).nodes()
                wanted = [nodes[name]["Id"] for name in names if name in nodes]
                await asyncio.gather(*(calls.run(remove_container, self._engine, item) for item in wanted))
            # A gate that stood there has knocked again meanwhile, and its node got another disk.
            await connection.call("remove", names=list(names))

    async def destroy(self, *, data: bool = False) -> None:
        """Remove everything that carries the net's label; the volumes with kept data only if `data`."""
        await self._start_settled()  # what it starts must be there to be removed
        await remove_net(self._engine, self._net)
        state.forget(self._net)
        if data:
            await asyncio.to_thread(remove_kept, self._engine, self._net)
            state.forget_kept(self._net)

    async def prepare(self, preparation: Preparation, directory: Path) -> None:
        """Run a kind's net-wide command in a container without a network."""
        place = await asyncio.to_thread(self._find_place)
        await asyncio.to_thread(prepare.run, self._engine, preparation, place.origin, directory)

    async def logs(
        self, name: str, *, follow: bool, tail: int | None, since: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a node's log."""
        container = bodies.container_name(self._net, name)
        async for line in logs.lines(
            self._engine, container, follow=follow, tail=tail, since=float(since or 0)
        ):
            yield line

    def log_end(self, name: str) -> str:
        """Return the time of now: engines find lines by the time when they were written."""
        return f"{time.time():.6f}"

    async def execute(self, name: str, command: Sequence[str]) -> int:
        """Run a command in the node's container on this terminal, in the node's directory once it has started."""
        async with await self.connect() as agent:
            now = (await agent.call("status"))["nodes"].get(name, {})
            node = Plan.from_json(await agent.call("plan")).node(name)
        directory = node.directory if node.command and now.get("pid") else ""
        container = bodies.container_name(self._net, name)
        return await terminal.run(self._engine, container, list(command), directory)


async def _close(connecting: asyncio.Future[Connection]) -> None:
    if not connecting.done():
        connecting.cancel()
    elif not connecting.cancelled() and connecting.exception() is None:
        await connecting.result().close()


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


def _close_stream(opened: asyncio.Future[ExecStream]) -> None:
    if not opened.cancelled() and not opened.exception():
        opened.result().close()
