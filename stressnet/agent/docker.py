"""The runtime whose nodes are containers: it answers their gates, and knows them by what the kernel shows.

A node is whoever executes this net's gate under the node's host name, which no container can change. No map of
container ids is needed, and nothing is remembered that a restart of the agent could lose.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stressnet.agent import cgroups, containerdisk, inspection
from stressnet.agent.cgroups import Groups
from stressnet.agent.complaints import complain
from stressnet.agent.containerwiring import ContainerWiring, hosts_text, write_hosts
from stressnet.agent.disks import Disks
from stressnet.agent.door import VOLUME, Door, Visit
from stressnet.agent.enginesocket import EngineError, EngineSocket
from stressnet.agent.ledger import Ledger
from stressnet.agent.logcopy import copy_until
from stressnet.agent.matching import Matcher
from stressnet.agent.runtime import Events, NoSuchNode
from stressnet.faults.squeeze import Limits
from stressnet.plan import Node, Plan

_STRANGER_PAUSE_S = 0.5
"""How long a gate that the plan does not know (yet) waits before it knocks again."""
_VERDICT_S = 5.0
"""How long the engine may take to notice that a container has ended."""
_PASSAGE_S = 0.01
_CONTROLLERS = {"CPU": "CpuCfsQuota", "memory": "MemoryLimit"}
"""What the engine says of itself, where it can limit containers."""
_ALL_MEMORY = 2**63 - os.sysconf("SC_PAGE_SIZE")
"""The kernel's own figure of a group without a limit."""


@dataclass(slots=True)
class _Container:
    """One run of a node's container, from its knock to its end."""

    name: str
    visit: Visit
    running: bool = False
    refused: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class DockerRuntime:
    """Holds containers at their gates."""

    def __init__(
        self, directory: Path, matcher: Matcher, *, volume: Path = VOLUME, engine: EngineSocket | None = None
    ) -> None:
        self._logs = directory / "logs"
        self._matcher = matcher
        self._engine = engine or EngineSocket()
        self._door = Door(volume, self._knock)
        self._ledger = Ledger(directory / "passed")
        self._squeezes: dict[str, Limits] = {}
        self.disks = Disks(containerdisk.FOLDER, containerdisk.STAGING)
        self._wanderer = ThreadPoolExecutor(1)
        """The thread that enters mount namespaces of containers."""
        self._containers: dict[str, _Container] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, plan: Plan, events: Events) -> None:
        """Adopt the containers that an earlier agent let go, and open the door."""
        self._events = events
        self.replan(plan)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._wiring = ContainerWiring(plan)
        if not plan.egress:
            self._wiring.prepare_world()
        self._adopt()
        self._door.open()

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; gates that were strangers until now knock again by themselves."""
        self._plan = plan
        self.disks.replan(plan)
        self._nodes = {node.name: node for node in plan.nodes}
        self._squeezes = {name: on for name, on in self._squeezes.items() if name in self._nodes}
        self._hosts = hosts_text(plan.nodes)
        for container in self._containers.values():
            if not plan.egress and container.visit.alive():
                self._renew_hosts(container)

    def _renew_hosts(self, container: _Container) -> None:
        try:
            write_hosts(container.visit.pid, self._hosts)
        except OSError as error:  # what one node did to its own file is no reason to leave the others without
            complain(f"the hosts file of {container.name}: {error}")

    def _adopt(self) -> None:
        for pid in self._ledger.living():
            if not self._knows(pid) and self._door.is_ours(pid):
                if self._door.is_gate(pid):
                    self._start_task(self._take_later(pid))
                else:
                    self._take(pid)

    def _knows(self, pid: int) -> bool:
        return any(container.visit.pid == pid for container in self._containers.values())

    async def _take_later(self, pid: int) -> None:
        """Take a process that an earlier agent let go in its last moment: it passes the gate, or knocks again."""
        while self._door.is_gate(pid) and not self._knows(pid):  # noqa: ASYNC110 - nothing announces an exec
            await asyncio.sleep(_PASSAGE_S)
        if not self._knows(pid) and self._door.is_ours(pid):
            self._take(pid)

    def _take(self, pid: int) -> None:
        try:
            visit = Visit(pid)
            name = inspection.owner(pid, self._plan)
        except OSError:
            return  # it ended while we looked
        if name is None or not visit.alive():
            visit.close()
            return
        container = self._enter(name, visit)
        self._events.held(name)
        self._run(container, self._ledger.living()[visit.pid])

    def _knock(self, visit: Visit) -> None:
        try:
            name = inspection.owner(visit.pid, self._plan)
        except OSError:
            visit.close()
            return
        if name is None:
            asyncio.get_running_loop().call_later(_STRANGER_PAUSE_S, visit.close)
            return
        self._start_task(self._receive(name, visit))

    async def _receive(self, name: str, visit: Visit) -> None:
        """Take a gate in. One that knocks after its predecessor ended comes after the news of that end."""
        before = self._containers.get(name)
        if before is not None and not before.ended.is_set():
            await asyncio.wait({asyncio.ensure_future(before.ended.wait())}, timeout=_VERDICT_S)
        # Before anybody hears of this run: what an earlier run wrote must not make it ready.
        self._log(name).unlink(missing_ok=True)
        container = self._enter(name, visit)
        why = await self._set_up(self._nodes[name], visit)
        if not visit.alive():
            return
        if why:
            container.refused = True
            self._events.refused(name, why)
        else:
            self._events.held(name)

    async def _set_up(self, node: Node, visit: Visit) -> str:
        """Make the namespaces what the plan says; return why they cannot be, empty where they are."""
        try:
            if node.disk:
                await self._aside(containerdisk.attach, self.disks, node, visit)
        except OSError as error:
            return f"its disk cannot be set up: {error}"
        try:
            if not self._plan.egress:
                self._wire(node, visit)
            return inspection.faults(visit.pid, node, egress=self._plan.egress)
        except OSError as error:
            return f"its namespace cannot be set up: {error}"

    async def _aside(self, work: Callable[..., None], *args: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._wanderer, work, *args)

    def _wire(self, node: Node, visit: Visit) -> None:
        namespace = os.open(f"/proc/{visit.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if visit.alive():
                self._wiring.wire(node, namespace)
                write_hosts(visit.pid, self._hosts)
        finally:
            os.close(namespace)

    def _enter(self, name: str, visit: Visit) -> _Container:
        container = _Container(name, visit)
        self._containers[name] = container
        loop = asyncio.get_running_loop()
        loop.add_reader(visit.watch, self._ended, container)
        if visit.line is not None:
            loop.add_reader(visit.line, self._line_closed, container)
        return container

    def _line_closed(self, container: _Container) -> None:
        """The gate's end of the line closed: it has become the node's program, or it is ending."""
        container.visit.hang_up()
        if container.visit.alive() and not self._door.is_gate(container.visit.pid):
            self._run(container, time.time())

    def _run(self, container: _Container, began: float) -> None:
        container.running = True
        self._events.running(container.name, container.visit.pid, began)
        if self._nodes[container.name].ready.via == "log":
            self._start_task(self._copy_log(container.name, container.visit.since or began))

    def _ended(self, container: _Container) -> None:
        asyncio.get_running_loop().remove_reader(container.visit.watch)
        container.visit.hang_up()
        self._start_task(self._report(container))

    async def _report(self, container: _Container) -> None:
        try:
            code, reason = await self._verdict(container)
            if self._containers.get(container.name) is container:
                self._events.exited(container.name, code, reason)
        finally:
            container.visit.close()
            container.ended.set()

    async def _verdict(self, container: _Container) -> tuple[int | None, str]:
        """Return how a container ended, and a reason: as the kernel tells it, else as the engine does.

        An engine writes 137 for SIGKILL, and for a program that ended with 137 itself.
        """
        told, reason = await self._engines_verdict(container)
        code = container.visit.exit_code()
        return told if code is None else code, reason

    async def _engines_verdict(self, container: _Container) -> tuple[int | None, str]:
        try:
            async with asyncio.timeout(_VERDICT_S):
                return await self._ask_engine(container)
        except (OSError, LookupError, TypeError) as error:  # also where an answer is not what was asked for
            gone = isinstance(error, EngineError) and error.status == 404
            return None, "its container was removed" if gone else "the engine does not say how it ended"

    async def _ask_engine(self, container: _Container) -> tuple[int | None, str]:
        pause = 0.01
        while True:
            state = (
                await self._engine.call("GET", f"/containers/{self._container_name(container.name)}/json")
            )["State"]
            if state["Running"] and state["Pid"] != container.visit.pid:
                return None, "the engine started it again"
            if not state["Running"]:
                return int(state["ExitCode"]), "out of memory" if state["OOMKilled"] else ""
            await asyncio.sleep(pause)
            pause = min(2 * pause, 0.2)

    async def hold(self, names: Sequence[str]) -> None:
        """Nothing: containers come to their gates by themselves."""

    async def release(self, name: str) -> None:
        """Let a held node's program run; one that has ended is started, and comes to its gate again."""
        container = self._containers.get(name)
        if container is None or container.ended.is_set():
            await self._engine.call("POST", f"/containers/{self._container_name(name)}/start")
        elif not container.running and not container.refused:
            if self._squeezes.get(name, Limits()) != Limits():
                await self._limit(name)  # this may be another container than the one that was squeezed
            self._ledger.note(container.visit.pid)
            container.visit.let_go()

    async def limits_problem(self) -> str:
        """Return why the engine cannot limit containers, empty where it can."""
        found = await self._engine.call("GET", "/info")
        lacking = [word for word, key in _CONTROLLERS.items() if not found.get(key)]
        return f"the engine has no control of {' and '.join(lacking)}" if lacking else ""

    async def squeeze(self, name: str, limits: Limits) -> None:
        """Have the engine change the limits of the node's container; it keeps them over its ends."""
        self._squeezes[name] = limits
        try:
            if name in self._nodes:
                await self._limit(name)
        except EngineError as error:
            if error.status != 404:  # a container that is yet to come gets them at its gate
                raise

    async def _limit(self, name: str) -> None:
        node = self._nodes[name]
        body = limits_body(
            node, Limits(node.cpu, node.memory).within(self._squeezes[name]), cgroups.version()
        )
        try:
            await self._engine.call("POST", f"/containers/{self._container_name(name)}/update", body)
        except EngineError as error:
            raise EngineError(error.status, f"the engine does not limit {name}: {error}") from error

    async def stop(self, name: str) -> None:
        """Send the node's stop signal, then SIGKILL after its time-out."""
        container = self._containers.get(name)
        if container is None or container.ended.is_set():
            return
        node = self._nodes[name]
        _send(container.visit, signal.Signals[node.stop_signal])
        try:
            await asyncio.wait_for(container.ended.wait(), node.stop_timeout_s)
        except TimeoutError:
            _send(container.visit, signal.SIGKILL)
            await container.ended.wait()

    async def remove(self, names: Sequence[str]) -> None:
        """Forget these nodes, and remove their disks; the controller removes their containers."""
        for name in names:
            container = self._containers.pop(name, None)
            if container is not None:
                container.visit.close()
                container.ended.set()
            await self._aside(self.disks.remove, name)  # after what is still being made for an earlier knock

    def namespace(self, name: str) -> int:
        """Return a new descriptor of the network namespace of a node's container."""
        container = self._containers.get(name)
        if container is None or container.ended.is_set() or container.visit.watch < 0:
            raise NoSuchNode(name)
        try:
            descriptor = os.open(f"/proc/{container.visit.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NoSuchNode(name) from error
        if not container.visit.alive():
            os.close(descriptor)
            raise NoSuchNode(name)
        return descriptor

    def groups(self, name: str) -> Groups | None:
        """Return the control groups of the node's container."""
        container = self._containers.get(name)
        if container is None or not container.running or not container.visit.alive():
            return None
        return cgroups.groups_inside(container.visit.pid)

    async def close(self) -> None:
        """Stop listening; what runs goes on running, what waits knocks again at the next agent."""
        self._door.close()
        for task in self._tasks:
            task.cancel()
        for container in self._containers.values():
            container.visit.close()
        self._wanderer.shutdown(wait=False)

    async def _copy_log(self, name: str, since: float) -> None:
        """Keep the output of a node whose readiness is read from its log where the prober looks for it."""
        logs = self._engine.logs(self._container_name(name), since)
        with self._log(name).open("wb", buffering=0) as file:
            try:
                async with aclosing(logs):
                    await copy_until(
                        logs, partial(self._matcher.finds, self._nodes[name].ready.pattern), file
                    )
            except OSError as error:
                file.write(f"stressnet: no log from the engine: {error}\n".encode())

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _container_name(self, name: str) -> str:
        return f"stressnet-{self._plan.net}.{name}"

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            complain(f"{error!r}")


def limits_body(node: Node, limits: Limits, version: int) -> dict[str, int]:
    """Return what the engine is to change of a node's container, so that it has these limits (0: none).

    In the terms in which it was made: an engine knows CPUs or quotas, and refuses to go from one to the other.
    To it 0 means unchanged, and memory has no other word for unlimited than the most that the kernel counts. On
    version 1 of control groups also that of memory with swap: -1 is written after the other, which may not exceed it.
    """
    if node.cpu:
        cpu = {"NanoCpus": round(limits.cpu * 1e9)}
    else:
        cpu = {"CpuPeriod": cgroups.PERIOD_US, "CpuQuota": round(limits.cpu * cgroups.PERIOD_US) or -1}
    unlimited = -1 if version == 2 else _ALL_MEMORY
    return {**cpu, "Memory": limits.memory or _ALL_MEMORY, "MemorySwap": limits.memory or unlimited}


def _send(visit: Visit, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(visit.watch, number)
    except OSError:
        return  # it ended meanwhile
