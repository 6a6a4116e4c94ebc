"""The life of every node of one net: held, waiting, starting, ready, exited; and what is known of it.

The same on every backend: the runtime below knows how a node is held and let go, this knows when.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from stressnet.agent import kernel
from stressnet.agent.complaints import complain
from stressnet.agent.lives import Lives
from stressnet.agent.matching import Matcher
from stressnet.agent.probes import ProbeFailed, Prober
from stressnet.agent.runtime import Runtime
from stressnet.plan import Node, Plan

Made = TypeVar("Made")
Witness = Callable[[int], int | None]
State = Literal["absent", "refused", "held", "waiting", "starting", "ready", "exited"]

_RELEASED = "released.json"
"""Which nodes may start, and since when."""
READY_PAUSE_S = 0.1
"""Between two questions whether a node is ready."""
POLL_S = 1.0
"""Between two questions for height and peers, up to `_NODES_PER_SECOND` nodes; longer for more."""
_NODES_PER_SECOND = 100
_HOLDS = 3
"""Pauses between questions for which an answer holds: the next may be lost, on a machine that is busy."""
_RELEASE_PAUSE_S = 0.1
_AT_ONCE = 8
"""Nodes that are started side by side; more only makes each of them slower."""


class Watcher(Protocol):
    """Whoever has to know when nodes start and end."""

    def held(self, name: str) -> None:
        """The node stands at its gate, in a namespace that may be a new one."""

    def started(self, name: str) -> None:
        """The node runs now."""

    def ready(self, name: str) -> None:
        """The node says that it is ready."""

    def ended(self, name: str) -> None:
        """The node has ended."""


@dataclass(slots=True)
class Observed:
    """What is known of one node; times are Unix seconds, 0 for never. Sent as it is to whoever asks."""

    state: State = "absent"
    since: float = 0.0
    pid: int = 0
    started_at: float = 0.0
    starts: int = 0
    height: int | None = None
    """This and the next: the last that it said, however long ago; see `Supervisor.told`."""
    peers: int | None = None
    reached: int = 0
    """The greatest height that it has said, also before it ended: what late nodes wait for."""
    streams: int | None = None
    """Open sync streams, where its kind names a series of them; the scraper's."""
    cpu: float | None = None
    """CPUs in use since the look before. This and the next are the sampler's."""
    rss_bytes: int | None = None
    exit_code: int | None = None
    reason: str = ""
    """Why it is not ready, was refused, or ended, in words."""


class Supervisor:
    """Holds what is known, and releases nodes when their time has come."""

    def __init__(
        self, plan: Plan, runtime: Runtime, directory: Path, witness: Witness, matcher: Matcher
    ) -> None:
        """`witness` says how a process ended while no agent was there to see it."""
        self.plan = plan
        self._witness = witness
        self._matcher = matcher
        self._lives = Lives(directory / "lives.jsonl")
        self._adopting = True
        self._log_starts: dict[str, int] = {}
        self._told_at: dict[tuple[str, str], float] = {}
        """By node and fact, by the loop's clock."""
        self._runtime = runtime
        self._directory = directory
        self._nodes = {node.name: node for node in plan.nodes}
        self.observed = {node.name: Observed() for node in plan.nodes}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._released = self._read_released()
        self.watcher: Watcher | None = None
        """Is told of every start and end of a node."""
        self.gate = asyncio.Event()
        """Until it is set no node starts: their links are not under control yet."""
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def held(self, name: str) -> None:
        """Note that a node stands at its gate."""
        if self._adopting and self._lives.get(name) is not None:
            return  # it has run; the runtime tells in a moment if it still does, else `settle` does
        if self.watcher:
            self.watcher.held(name)
        self._change(name, "waiting" if name in self._released else "held")

    def running(self, name: str, pid: int, began: float) -> None:
        """Note that a node runs, and begin to watch it."""
        self._lives.started(name, pid)
        now, life = self.observed[name], self._lives.get(name)
        now.pid, now.started_at, now.starts = pid, began, life.starts if life else 1
        now.exit_code, now.reason, now.height, now.streams = None, "", None, None
        self._change(name, "starting")
        self._stop_watching(name)
        self._watchers[name] = asyncio.create_task(self._watch(name))
        if self.watcher:
            self.watcher.started(name)

    def exited(self, name: str, code: int | None, reason: str) -> None:
        """Note how a node ended."""
        self._lives.ended(name, code, reason)
        self._end(name, code, reason)

    def settle(self) -> None:
        """Once the runtime has adopted what runs: whoever had started and was not found has ended meanwhile."""
        self._adopting = False
        for name, now in self.observed.items():
            life = self._lives.get(name)
            if life is None or now.pid:
                continue
            if not life.ended:
                self._lives.ended(name, self._witness(life.pid), "")
            now.starts = life.starts
            self._end(name, life.code, life.reason)

    def _end(self, name: str, code: int | None, reason: str) -> None:
        self._stop_watching(name)
        now = self.observed[name]
        now.pid, now.started_at, now.exit_code, now.reason = 0, 0.0, code, reason
        now.cpu = now.rss_bytes = now.height = now.peers = now.streams = None
        self._change(name, "exited")
        if self.watcher:
            self.watcher.ended(name)

    def refused(self, name: str, why: str) -> None:
        """Note that a node's gate stays shut."""
        self.observed[name].reason = why
        self._change(name, "refused")

    def _change(self, name: str, state: State) -> None:
        self.observed[name].state, self.observed[name].since = state, time.time()

    async def release(self, names: Sequence[str]) -> None:
        """Let these nodes start, each when its `start` condition holds."""
        now = time.time()
        self._released |= dict.fromkeys(names, now)
        self._write_released()
        for name in names:
            if self.observed[name].state in ("held", "exited"):
                self._change(name, "waiting")
        await self._release_due()

    async def forget(self, names: Sequence[str]) -> None:
        """Take nodes out of the net's life; the runtime removes them."""
        for name in names:
            self._released.pop(name, None)
            self._lives.forget(name)
            self._stop_watching(name)
        self._write_released()
        await self._runtime.remove(names)
        for name in names:
            self.observed[name] = Observed()

    def status(self) -> dict[str, Any]:
        """Return all that is known, as plain data."""
        return {
            "net": self.plan.net,
            "now": time.time(),
            "nodes": {name: asdict(now) for name, now in self.observed.items()},
        }

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan: nodes may have come, gone or changed."""
        self._write("plan.json", plan.to_json())  # what the next agent will read
        self.plan = plan
        self._nodes = {node.name: node for node in plan.nodes}
        self.observed = {node.name: self.observed.get(node.name, Observed()) for node in plan.nodes}

    async def run(self) -> None:
        """Release late nodes when their time has come, until cancelled."""
        while True:
            await self._release_due()
            await asyncio.sleep(_RELEASE_PAUSE_S)

    async def _release_due(self) -> None:
        await self.gate.wait()
        due = [
            name
            for name, now in self.observed.items()
            if now.state == "waiting" and self._due(self._nodes[name])
        ]
        for name in due:
            self._change(name, "starting")
        limit = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._let_go(name, limit) for name in due))

    async def _let_go(self, name: str, limit: asyncio.Semaphore) -> None:
        async with limit:
            try:
                self._log_starts[name] = os.stat(self._log(name)).st_size
            except FileNotFoundError:
                self._log_starts[name] = 0
            try:
                await self._runtime.release(name)
            except OSError as error:
                self.refused(name, f"cannot be started: {error}")

    def _due(self, node: Node) -> bool:
        if time.time() < self._released.get(node.name, float("inf")) + node.start.after_s:
            return False
        others = (self.observed[name] for name in node.start.of if name in self.observed)
        return all(other.reached >= node.start.height for other in others)

    def told(self, name: str, fact: Literal["height", "peers"]) -> int | None:
        """Return what a node says of itself; None where it has not said so for a while."""
        held_s = asyncio.get_running_loop().time() - self._told_at.get((name, fact), 0.0)
        number: int | None = getattr(self.observed[name], fact)
        return number if held_s <= _HOLDS * self._pause_s else None

    @property
    def _pause_s(self) -> float:
        return max(POLL_S, len(self._nodes) / _NODES_PER_SECOND)

    def prober(self, name: str) -> Prober:
        """Return what asks a node, with connections of its own; whoever has it closes it."""
        return Prober(
            self._nodes[name],
            lambda: self.open_socket(name),
            self._log(name),
            self._log_starts.get(name, 0),
            self._matcher,
        )

    async def _watch(self, name: str) -> None:
        node, prober = self._nodes[name], self.prober(name)
        try:
            await self._until_ready(name, prober)
            while True:
                await self._ask(name, prober, node)
                await asyncio.sleep(self._pause_s)
        finally:
            prober.close()

    def _log(self, name: str) -> Path:
        return self._directory / "logs" / f"{name}.log"

    async def _until_ready(self, name: str, prober: Prober) -> None:
        while True:
            try:
                await prober.ready()
            except Exception as error:  # a node may answer anything; watching it must go on
                self.observed[name].reason = _words(error)
                await asyncio.sleep(READY_PAUSE_S)
            else:
                break
        self.observed[name].reason = ""
        self._change(name, "ready")
        if self.watcher:
            self.watcher.ready(name)

    async def _ask(self, name: str, prober: Prober, node: Node) -> None:
        probes = {fact: probe for fact, probe in (("height", node.height), ("peers", node.peers)) if probe}
        if not probes:
            return
        reasons = []
        answers, now = await prober.numbers(probes), self.observed[name]
        for fact, answer in answers.items():
            if isinstance(answer, int):
                setattr(now, fact, answer)
                self._told_at[name, fact] = asyncio.get_running_loop().time()
            else:
                reasons.append(f"{fact}: {_words(answer)}")
        now.reached = max(now.reached, now.height or 0)
        now.reason = "; ".join(reasons)

    def _stop_watching(self, name: str) -> None:
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            watcher.cancel()

    def open_socket(self, name: str) -> socket.socket:
        """Return a TCP socket that belongs to the node's namespace; LookupError where it has none."""
        made = self.inside(
            name, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        )
        made.setblocking(False)
        return made

    def inside(self, name: str, work: Callable[[], Made]) -> Made:
        """Return what `work` makes in the node's network namespace; LookupError where it has none."""
        network = self._runtime.namespace(name)
        try:
            with kernel.inside_network(network, self._home):
                return work()
        finally:
            os.close(network)

    # Which nodes may start, and since when: an intention, so the one thing that neither engine nor kernel knows.

    def _read_released(self) -> dict[str, float]:
        try:
            return dict(json.loads((self._directory / _RELEASED).read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def _write_released(self) -> None:
        try:
            self._write(_RELEASED, json.dumps(self._released))
        except OSError as error:  # a full disk keeps no node from starting again
            complain(f"which nodes may start is not written down: {error}")

    def _write(self, name: str, text: str) -> None:
        """Write a file of the agent's, whole or not at all."""
        partial = self._directory / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self._directory / name)

    async def close(self) -> None:
        """Stop watching; nodes go on."""
        for name in list(self._watchers):
            self._stop_watching(name)
        with contextlib.suppress(OSError):
            os.close(self._home)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ProbeFailed | LookupError) else repr(error)
