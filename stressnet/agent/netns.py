"""The runtime that makes nodes itself: a namespace and a process each, in the world of the net.

Nothing is remembered that the kernel does not show: after a restart the namespaces are found by their mounts,
the processes by the namespace they are in.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stressnet.agent import cgroups, kernel, processes
from stressnet.agent.cgroups import Groups
from stressnet.agent.disks import Disks, copy
from stressnet.agent.launch import Launch
from stressnet.agent.ledger import Ledger
from stressnet.agent.programs import Programs, readable
from stressnet.agent.runtime import Events, NoSuchNode
from stressnet.agent.wiring import Wiring
from stressnet.agent.world import NAMESPACES, NODES, RUN, TEMPORARY, UNFINISHED
from stressnet.faults.squeeze import Limits
from stressnet.plan import Node, Plan, Preparation

_WITNESS_S = 2.0
"""How long to wait for process 1 to write down how an adopted node ended."""


@dataclass(slots=True)
class _Process:
    pid: int
    watch: int
    """A pidfd: readable when the process has ended, and safe against reused ids."""
    child: bool
    """Whether it is a child of this agent's launcher; else process 1 buries it."""
    ended: asyncio.Event
    killed_before: int
    """How often the kernel had killed in the node's group for want of memory before this process."""


class NetnsRuntime:
    """Holds nodes in network namespaces of the world."""

    def __init__(self, directory: Path, view: int, programs: Programs) -> None:
        """`view` is a descriptor of the nodes' mount namespace."""
        self._programs = programs
        self._logs = directory / "logs"
        self._running: dict[str, _Process] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._ledger = Ledger(directory / "started")
        self._groups = cgroups.find()
        self._squeezes: dict[str, Limits] = {}
        self._view = view
        self.disks = Disks(NODES, UNFINISHED)

    async def start(self, plan: Plan, events: Events) -> None:
        """Begin, and adopt what an earlier agent left running."""
        self.replan(plan)
        self._events = events
        self._wiring = Wiring(plan, NAMESPACES)
        self._logs.mkdir(exist_ok=True)
        await asyncio.to_thread(self._wiring.prepare_world)
        self._adopt()

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan."""
        self._plan = plan
        self.disks.replan(plan)
        self._nodes = {node.name: node for node in plan.nodes}
        self._squeezes = {name: on for name, on in self._squeezes.items() if name in self._nodes}

    def _adopt(self) -> None:
        places = {
            processes.namespace_inode(self._wiring.path(name)): name for name in self._wiring.existing()
        }
        running = {places.get(processes.network_of(pid)): pid for pid in self._ledger.living()}
        for name in sorted(self._nodes.keys() & places.values()):
            self._events.held(name)
            if name in running:
                self._watch(name, running[name], child=False)

    async def hold(self, names: Sequence[str]) -> None:
        """Make the namespaces of these nodes, anew where a node has ended."""
        for start in range(0, len(names), 25):
            batch = [self._nodes[name] for name in names[start : start + 25]]
            await asyncio.to_thread(self._make, batch)
            for node in batch:
                self._events.held(node.name)

    def _make(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self._wiring.make(node)
            if node.disk:
                self.disks.make(node.name, partial(copy, self.disks.path(node.name)))

    async def release(self, name: str) -> None:
        """Start the node's program in its namespace."""
        node = self._nodes[name]
        log = os.open(
            self._logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            pid = await self._launch(node, node.command, null, log, log)
        finally:
            os.close(log)
            os.close(null)
        self._ledger.note(pid)
        self._watch(name, pid, child=True)

    async def _launch(self, node: Node, command: Sequence[str], stdin: int, stdout: int, stderr: int) -> int:
        network = self.namespace(node.name)
        try:
            return await self._programs.launch(
                Launch(
                    command=command,
                    env=environment(node.env, node.directory, node.binary),
                    directory=node.directory,
                    hostname=node.name,
                    network=network,
                    view=self._view,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    groups=self._group(node),
                )
            )
        finally:
            os.close(network)

    def _group(self, node: Node) -> Sequence[str]:
        limits = self._limits(node)
        if self._groups is None or limits == Limits():
            return ()
        return cgroups.make(self._groups, self._plan.net, node.name, cpu=limits.cpu, memory=limits.memory)

    def _limits(self, node: Node) -> Limits:
        return Limits(node.cpu, node.memory).within(self._squeezes.get(node.name, Limits()))

    async def limits_problem(self) -> str:
        """Return why limits cannot be put on nodes here, empty where they can."""
        return "" if self._groups else "this user may not make control groups (`stressnet doctor` says more)"

    async def squeeze(self, name: str, limits: Limits) -> None:
        """Limit the node's group; where it has none one is made, and its processes are moved in."""
        self._squeezes[name] = limits
        if self._groups is None or name not in self._nodes:
            return
        what = self._limits(self._nodes[name])
        joined = cgroups.make(self._groups, self._plan.net, name, cpu=what.cpu, memory=what.memory)
        process = self._running.get(name)
        if process is not None:
            cgroups.join(joined, lambda: processes.family(process.pid))

    def _watch(self, name: str, pid: int, *, child: bool) -> None:
        process = _Process(
            pid, os.pidfd_open(pid), child, asyncio.Event(), self._memory_kills(name) if child else 0
        )
        self._running[name] = process
        asyncio.get_running_loop().add_reader(process.watch, self._ended, name, process)
        self._events.running(name, pid, processes.started_at(pid))

    def _ended(self, name: str, process: _Process) -> None:
        asyncio.get_running_loop().remove_reader(process.watch)
        asking = asyncio.ensure_future(self._bury(name, process))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _bury(self, name: str, process: _Process) -> None:
        bury = self._programs.bury if process.child else _ask_process_one
        self._report(name, process, await bury(process.pid))

    def _report(self, name: str, process: _Process, code: int | None) -> None:
        if self._running.get(name) is process:
            del self._running[name]
        os.close(process.watch)
        starved = code == -signal.SIGKILL and self._memory_kills(name) > process.killed_before
        self._events.exited(name, code, "out of memory" if starved else "")
        process.ended.set()

    def _memory_kills(self, name: str) -> int:
        if self._groups is None:
            return 0
        return cgroups.out_of_memory_kills(self._groups, self._plan.net, name)

    async def stop(self, name: str) -> None:
        """Send the node's stop signal, then SIGKILL; the kernel ends what it has started."""
        process = self._running.get(name)
        if process is not None:
            node = self._nodes[name]
            signal.pidfd_send_signal(process.watch, signal.Signals[node.stop_signal])
            try:
                await asyncio.wait_for(process.ended.wait(), node.stop_timeout_s)
            except TimeoutError:
                _kill(process)
                await process.ended.wait()

    async def kill(self, names: Sequence[str]) -> None:
        """End nodes at once, with everything they have started."""
        ending = [process for name in names if (process := self._running.get(name))]
        for process in ending:
            _kill(process)
        for process in ending:
            await process.ended.wait()

    def _has(self, name: str) -> bool:
        return os.path.ismount(self._wiring.path(name))

    async def remove(self, names: Sequence[str]) -> None:
        """End these nodes and remove their namespaces, disks, groups and logs."""
        await self.kill(names)
        await asyncio.to_thread(self._remove, [self._nodes[name] for name in names])

    def _remove(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self._wiring.remove(node)
            self.disks.remove(node.name)
            if self._groups:
                cgroups.remove(self._groups, self._plan.net, node.name)
            (self._logs / f"{node.name}.log").unlink(missing_ok=True)

    def namespace(self, name: str) -> int:
        """Return a new descriptor of the node's network namespace."""
        if not self._has(name):
            raise NoSuchNode(name)
        return os.open(self._wiring.path(name), os.O_RDONLY | os.O_CLOEXEC)

    def groups(self, name: str) -> Groups | None:
        """Return the node's own control groups."""
        return cgroups.own_groups(self._groups, self._plan.net, name) if self._groups else None

    async def execute(
        self, name: str, command: Sequence[str], stdio: tuple[int, int, int], terminal: str
    ) -> int:
        """Run a command in the node's place with the given descriptors; return its exit code.

        `terminal` is the sort of terminal that they are, for TERM, empty where they are none.
        """
        if name not in self._nodes:
            raise NoSuchNode(name)
        node, process = self._nodes[name], self._running.get(name)
        network = self.namespace(name)
        try:
            env = {**node.env, "TERM": terminal} if terminal else node.env
            known = environment(env, node.directory, node.binary)
            join = process.watch if process else -1
            pid = await self._programs.launch(
                Launch(
                    command,
                    known,
                    node.directory,
                    name,
                    network,
                    self._view,
                    *stdio,
                    join=join,
                    terminal=bool(terminal),
                )
            )
        finally:
            os.close(network)
        return await self._outcome(pid)

    async def prepare(self, preparation: Preparation, env: Mapping[str, str], log: int) -> int:
        """Run a kind's net-wide command where there is no network at all; return its exit code."""
        network = await asyncio.to_thread(_empty_network)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            pid = await self._programs.launch(
                Launch(
                    preparation.command,
                    environment(env, preparation.output),
                    preparation.output,
                    "prepare",
                    network,
                    self._view,
                    null,
                    log,
                    log,
                )
            )
        finally:
            os.close(network)
            os.close(null)
        return await self._outcome(pid)

    async def _outcome(self, pid: int) -> int:
        """Wait for a child; where nobody waits any more, end it and all of its session."""
        watch = os.pidfd_open(pid)
        try:
            await readable(watch)
        except asyncio.CancelledError:
            os.killpg(pid, signal.SIGHUP)
            os.killpg(pid, signal.SIGKILL)
            raise
        finally:
            os.close(watch)
            code = await self._programs.bury(pid)  # it has ended, or was just killed
        return code

    async def close(self) -> None:
        """Forget everything; what runs goes on running."""
        os.close(self._view)


def environment(extra: Mapping[str, str], home: str, program: str = "") -> dict[str, str]:
    """The environment of a node: little, and the same on every machine but for PATH.

    PATH begins with the folder of the Python that runs this program, so that nodes in Python get an
    interpreter with the libraries that they share with it; at the end it has the folder of the node's program.
    """
    python = os.path.dirname(sys.executable)
    own = f":{os.path.dirname(program)}" if program else ""
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"PATH": f"{python}:{usual}{own}", "HOME": home, "TMPDIR": TEMPORARY, "LANG": "C.UTF-8", **extra}


def _empty_network() -> int:
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        kernel.setns(home, kernel.CLONE_NEWNET)
        os.close(home)


async def _ask_process_one(pid: int) -> int | None:
    for _ in range(int(_WITNESS_S / 0.05)):
        code = witnessed(pid)
        if code is not None:
            return code
        await asyncio.sleep(0.05)
    return None


def witnessed(pid: int) -> int | None:
    """Return how a process ended that process 1 has buried, None where it has not."""
    try:
        lines = Path(f"{RUN}/exits").read_text().splitlines()
    except FileNotFoundError:
        return None
    codes = [record["code"] for record in map(json.loads, lines) if record["pid"] == pid]
    return codes[-1] if codes else None


def _kill(process: _Process) -> None:
    try:
        signal.pidfd_send_signal(process.watch, signal.SIGKILL)
    except (ProcessLookupError, OSError):
        return
