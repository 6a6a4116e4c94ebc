"""Nets in network namespaces: a world of its own for each, and an agent inside that makes the nodes."""

from __future__ import annotations

import asyncio
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from stressnet import state
from stressnet.agent import cgroups, egress, logfile
from stressnet.agent.protocol import LINE_LIMIT, Connection
from stressnet.backends import terminal
from stressnet.backends.base import Fate, FoundNet, Progress
from stressnet.backends.worlds import MODULE, world_of, worlds
from stressnet.errors import AgentError, EnvironmentProblem, StageError, UsageError
from stressnet.plan import Node, Plan, Preparation

_AGENT_S = 10.0
"""How long a new agent may take to answer."""
_RETRY_S = 0.005
_LOOK_S = 0.5
"""Between two looks whether the world is still there, while its agent does not answer: a look takes 3 ms."""
_ATTEMPTS = 400
_LONGEST_REQUEST = 128 * 1024
_END_S = 15.0
"""How long a world may take to end before it is killed."""
_BATCH = 50


class NetnsBackend:
    """One net in network namespaces."""

    name = "netns"

    def __init__(self, net: str) -> None:
        self._net = net
        self._directory = state.net_directory(net)
        self._owner = -1

    async def reach(self) -> None:
        """The kernel always answers."""

    async def open(self, plan: Plan) -> None:
        """Make the world, with the agent in it."""
        if state.root().resolve().is_relative_to("/run"):
            raise EnvironmentProblem(
                f"the state folder {state.root()} is below /run, which a net hides with its own",
                hints=("set XDG_STATE_HOME to a folder elsewhere",),
            )
        self._write_hosts(plan)
        await self._start_world(plan)
        await (await self.connect()).close()

    async def replan(self, plan: Plan) -> None:
        """Give the agent a changed plan."""
        self._write_hosts(plan)
        async with await self.connect() as connection:
            await connection.call("replan", plan=plan.to_json())

    async def create(self, plan: Plan, nodes: Sequence[Node], progress: Progress) -> None:
        """Make the namespaces of these nodes."""
        async with await self.connect() as connection:
            for start in range(0, len(nodes), _BATCH):
                await connection.call("hold", names=[node.name for node in nodes[start : start + _BATCH]])
                progress("namespaces", min(start + _BATCH, len(nodes)))

    def _write_hosts(self, plan: Plan) -> None:
        lines = ["127.0.0.1 localhost", *(f"{node.address} {node.name}" for node in plan.nodes)]
        # Rewritten in place: the file is mounted over /etc/hosts of the world.
        (self._directory / "hosts").write_text("\n".join(lines) + "\n")

    async def _start_world(self, plan: Plan) -> None:
        if plan.egress and egress.missing():
            raise EnvironmentProblem(
                f"egress on netns needs {egress.missing()}",
                hints=("apt install slirp4netns nftables", "or use --backend docker"),
            )
        ours, self._owner = os.pipe2(os.O_CLOEXEC)
        watched, way = os.pipe2(os.O_CLOEXEC)
        expires_at = time.time() + plan.ttl_s if plan.ttl_s else 0.0
        command = [
            *(sys.executable, "-m", MODULE, "--net", self._net, "--directory", str(self._directory)),
            *("--state", str(state.root()), "--kept", str(state.kept_directory(self._net))),
            *("--expires-at", str(expires_at), "--owner", str(ours)),
            *(("--way", str(way)) if plan.egress else ()),
        ]
        try:
            launcher = await asyncio.create_subprocess_exec(
                *command,
                pass_fds=[ours, way] if plan.egress else [ours],
                stdin=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            os.close(ours)
            os.close(way)
        try:
            _, said = await launcher.communicate()
        except BaseException:  # interrupted: what has not begun must not begin after we have cleaned up
            launcher.kill()
            await launcher.wait()
            raise
        if plan.egress and not launcher.returncode:
            await asyncio.to_thread(self._open_way, watched)
        os.close(watched)
        if launcher.returncode:
            raise EnvironmentProblem(
                said.decode().strip(), hints=("`stressnet doctor` shows what this machine allows",)
            )

    def _open_way(self, watched: int) -> None:
        world = world_of(self._net, self._directory)
        try:
            egress.open_way(world.pid if world else 0, watched)
        except OSError as error:
            raise EnvironmentProblem(error.strerror or str(error)) from error

    def _silent_agent(self) -> AgentError:
        log = self._directory / "agent.log"
        said = log.read_text().strip().splitlines()[-5:] if log.exists() else []
        return AgentError(f"the agent of net {self._net!r} did not answer within {_AGENT_S:g} s", hints=said)

    async def keep(self) -> None:
        """Let the net outlive this program; until now its end would have been the net's end."""
        if self._owner >= 0:
            os.write(self._owner, b"+")
        self._disown()

    def _disown(self) -> None:
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1

    def keeping(self) -> AbstractAsyncContextManager[None]:
        """Nothing: a connection is a matter of a millisecond."""
        return nullcontext()

    async def connect(self) -> Connection:
        """Return a new connection to the agent; one that is just being started (again) is waited for."""
        deadline, look = time.monotonic() + _AGENT_S, 0.0
        while True:
            try:
                return await self._connect()
            except (FileNotFoundError, ConnectionRefusedError) as error:
                now = time.monotonic()
                if now > look:
                    if world_of(self._net, self._directory) is None:
                        raise AgentError(f"there is no net {self._net!r} on this machine") from error
                    look = now + _LOOK_S
                if now > deadline:
                    raise self._silent_agent() from error
                await asyncio.sleep(_RETRY_S)

    async def _connect(self) -> Connection:
        # Through a descriptor of the folder: the whole path may be longer than a socket's may be.
        folder = os.open(self._directory, os.O_PATH | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{folder}/agent.sock"
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
        finally:
            os.close(folder)
        return Connection(reader, writer)

    async def fates(self) -> Mapping[str, Fate]:
        """Return nothing: the agent is the parent of every node and knows all by itself."""
        return {}

    async def remove(self, names: Sequence[str]) -> None:
        """Remove these nodes."""
        async with await self.connect() as connection:
            await connection.call("remove", names=list(names))

    async def destroy(self, *, data: bool = False) -> None:
        """End the world; the kernel removes what was in it."""
        await asyncio.to_thread(self._end_world)
        cgroups.remove_net(self._net)
        state.forget(self._net)
        if data:
            state.forget_kept(self._net)

    def _end_world(self) -> None:
        self._disown()  # ends also a world that is just being made, and hears no signal yet
        world = world_of(self._net, self._directory)
        if world is None:
            return
        try:
            watch = os.pidfd_open(world.pid)
        except ProcessLookupError:
            return
        try:
            for number, patience in ((signal.SIGTERM, _END_S), (signal.SIGKILL, _END_S)):
                signal.pidfd_send_signal(watch, number)
                if _wait_for_end(watch, patience):
                    return
        except ProcessLookupError:
            return
        finally:
            os.close(watch)

    async def prepare(self, preparation: Preparation, directory: Path) -> None:
        """Run a kind's net-wide command in the world, without a network."""
        output = self._directory / "prepare" / preparation.kind
        output.mkdir(parents=True, exist_ok=True)
        log = self._directory / "prepare" / f"{preparation.kind}.log"
        with log.open("wb") as file:
            code = await self._request({"prepare": asdict(preparation)}, [file.fileno()])
        if code:
            said = log.read_text(errors="replace").strip().splitlines()[-10:]
            raise StageError(f"the preparation of kind {preparation.kind!r} ended with {code}", hints=said)

    async def execute(self, name: str, command: Sequence[str]) -> int:
        """Run a command in the node's place on this terminal."""
        request: dict[str, object] = {"node": name, "command": list(command)}
        if not terminal.is_interactive():
            return await self._request(request, [0, 1, 2])
        async with terminal.pseudo_terminal() as far:
            sort = os.environ.get("TERM", "xterm")
            return await self._request({**request, "terminal": sort}, [far, far, far])

    async def _request(self, request: Mapping[str, object], descriptors: Sequence[int]) -> int:
        await (await self.connect()).close()  # waits for an agent that is being started again
        message = json.dumps(request).encode()
        if len(message) > _LONGEST_REQUEST:
            raise UsageError(f"a command of {len(message)} bytes; allowed: {_LONGEST_REQUEST}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            await self._reach(connection)
            socket.send_fds(connection, [message], list(descriptors))
            connection.setblocking(False)
            answer = json.loads(await asyncio.get_running_loop().sock_recv(connection, 65536) or b"{}")
        if "code" not in answer:
            raise AgentError(answer.get("error", f"the agent of net {self._net!r} went away"))
        return int(answer["code"])

    async def _reach(self, connection: socket.socket) -> None:
        folder = os.open(self._directory, os.O_PATH | os.O_CLOEXEC)
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    return connection.connect(f"/proc/self/fd/{folder}/execute.sock")
                except (FileNotFoundError, ConnectionRefusedError) as error:
                    if attempt + 1 == _ATTEMPTS:
                        raise AgentError(f"the agent of net {self._net!r} does not answer") from error
                    await asyncio.sleep(_RETRY_S)
        finally:
            os.close(folder)

    async def logs(
        self, name: str, *, follow: bool, tail: int | None, since: str = ""
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a node's log file."""
        path = self._directory / "logs" / f"{name}.log"
        async for line in logfile.lines(path, follow=follow, tail=tail, since=int(since or 0)):
            yield line

    def log_end(self, name: str) -> str:
        """Return the size of a node's log file, to which it is only ever added."""
        path = self._directory / "logs" / f"{name}.log"
        return str(path.stat().st_size) if path.exists() else ""


def _wait_for_end(watch: int, patience: float) -> bool:
    return bool(select.select([watch], [], [], patience)[0])


def found_nets() -> list[FoundNet]:
    """Return the nets that the kernel or our folders show, whole or in parts."""
    own = state.root() / "nets"
    alive = {world.net: world for world in worlds() if world.directory.parent == own}
    remains = {net for net in state.nets() if _is_ours(net)} | _groups_without_world(alive)
    found = []
    for net in sorted(alive.keys() | remains):
        world, plan = alive.get(net), state.read_plan(net)
        found.append(
            FoundNet(
                name=net,
                backend="netns",
                nodes=len(plan.nodes) if plan else 0,
                complete=world is not None and plan is not None,
                created_at=world.created_at if world else 0.0,
                expires_at=world.expires_at if world else 0.0,
                busy=state.is_locked(net),
            )
        )
    return found


def _is_ours(net: str) -> bool:
    plan = state.read_plan(net)
    return plan is None or plan.backend == "netns"


def _groups_without_world(alive: Mapping[str, object]) -> set[str]:
    everyone = {world.net for world in worlds()}
    return cgroups.nets() - everyone - alive.keys()
