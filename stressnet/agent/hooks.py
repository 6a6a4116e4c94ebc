"""Faults that nodes do themselves: asks a node to begin and to end, by the request that its kind declares.

What should be on a node is kept beside what it has acknowledged. A node that has ended has forgotten all; once it
is ready again it is asked again. A node that gives no answer is asked again until it does; one that refuses is not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping

from stressnet.agent.journal import Note
from stressnet.agent.probes import LOOPBACK
from stressnet.agent.sockets import OpenSocket
from stressnet.faults.declared import Declared, Hook
from stressnet.faults.fault import Fault
from stressnet.faults.presence import Presence
from stressnet.plan import Node, Plan

_ANSWER_S = 3.0
_AGAIN_S = 1.0
_SHOWN = 200

OpenIn = Callable[[str], OpenSocket]
Ready = Callable[[str], bool]


class Refused(Exception):
    """The node has answered that it does not do it; carries its words."""


class Hooks:
    """What the nodes of one net have been asked to do wrong."""

    def __init__(self, plan: Plan, open_in: OpenIn, ready: Ready, note: Note) -> None:
        """`open_in` gives what opens sockets in a node's namespace; `ready` tells whether a node can be asked."""
        self._open_in = open_in
        self._ready = ready
        self._note = note
        self._wanted: dict[str, dict[str, Fault]] = {}
        self._has: dict[str, dict[str, Fault | None]] = {}
        """By node and kind of fault; None: it was asked, and what came of it is not known."""
        self._failed: dict[tuple[str, str], tuple[str, str]] = {}
        """By node and kind of fault: whose id, and the words why it is not as wanted."""
        self._silent: set[str] = set()
        """Nodes that gave no answer, and are asked again."""
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.replan(plan)

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan."""
        self._nodes = {node.name: node for node in plan.nodes}
        self._declared = {(one.node_kind, one.fault.name): one for one in plan.faults}

    def lacking(self, fault: Fault) -> list[str]:
        """Return those nodes of a fault whose kind does not declare it."""
        return [name for name in fault.nodes if name in self._nodes and self._of(name, fault.kind) is None]

    def adopt(self, faults: Iterable[Fault]) -> None:
        """Take it that nodes have these: an earlier agent may have put them on."""
        for fault in faults:
            for name in fault.nodes:
                self._has.setdefault(name, {})[fault.kind] = None

    async def hold(self, faults: Iterable[Fault]) -> None:
        """Want these faults on, and no others; `failures` says what did not come of it."""
        wanted: dict[str, dict[str, Fault]] = {}
        for fault in faults:
            for name in fault.nodes:
                if name in self._nodes:
                    wanted.setdefault(name, {})[fault.kind] = fault
        changed = [
            name for name in {*wanted, *self._wanted} if wanted.get(name, {}) != self._wanted.get(name, {})
        ]
        self._wanted = wanted
        await asyncio.gather(*(self._settle(name) for name in changed))

    def failures(self, fault: Fault) -> dict[str, str]:
        """Return why nodes are not as a fault asks, or still are as it asked, by node."""
        return {node: words for (node, _), (owner, words) in self._failed.items() if owner == fault.id}

    def holders(self, fault: Fault) -> int:
        """Return how many nodes have acknowledged a fault."""
        return sum(self._has.get(name, {}).get(fault.kind) == fault for name in fault.nodes)

    def look(self, fault: Fault) -> Presence:
        """Return which of its nodes have not acknowledged a fault; one that cannot be asked just now says nothing."""
        there = [name for name in fault.nodes if name in self._nodes]
        away = [name for name in there if not self._ready(name) or name in self._silent]
        lacking = [
            name for name in there if name not in away and self._has.get(name, {}).get(fault.kind) != fault
        ]
        unknown = ("", "it has not taken it on")
        return Presence(
            [f"{name}: {self._failed.get((name, fault.kind), unknown)[1]}" for name in lacking],
            [f"{name} cannot be asked" for name in away],
        )

    def later(self, fault: Fault) -> list[str]:
        """Return the nodes that will be asked only once they are ready."""
        return [name for name in fault.nodes if not self._ready(name)]

    def ended(self, name: str) -> None:
        """Note that a node has ended: it has forgotten everything."""
        self._has.pop(name, None)
        self._forget(name)

    def ready(self, name: str) -> None:
        """Ask a node that has become ready for what should be on it."""
        if self._wanted.get(name) or self._has.get(name):
            task = asyncio.create_task(self._settle(name))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Ask again those that gave no answer, until cancelled."""
        while True:
            await asyncio.sleep(_AGAIN_S)
            await asyncio.gather(*(self._settle(name) for name in list(self._silent)))

    async def _settle(self, name: str) -> None:
        """Bring one node from what it has to what is wanted."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            if not self._ready(name) or name not in self._nodes:
                return
            self._forget(name)
            wanted, has = self._wanted.get(name, {}), self._has.setdefault(name, {})
            for kind in [kind for kind in has if kind not in wanted]:
                await self._ask(name, kind, has[kind], None)
            for kind, fault in wanted.items():
                if has.get(kind) != fault:
                    await self._ask(name, kind, has.get(kind), fault)

    def _forget(self, name: str) -> None:
        self._silent.discard(name)
        for key in [key for key in self._failed if key[0] == name]:
            del self._failed[key]

    async def _ask(self, name: str, kind: str, before: Fault | None, fault: Fault | None) -> None:
        """Put a fault on a node, or take what is there off (None)."""
        declared, has = self._of(name, kind), self._has.setdefault(name, {})
        if declared is None:  # the node is of another kind now
            has.pop(kind, None)
            return
        hook, values = declared.off, dict(before.parameters) if before else {}
        if fault:
            hook, values = declared.on, dict(fault.parameters)
        has[kind] = None if fault else before
        owner = fault.id if fault else before.id if before else ""
        try:
            await request(self._open_in(name), self._nodes[name], hook, _complete(declared, values))
        except Refused as error:
            if fault:
                has.pop(kind, None)
            self._fail(name, kind, owner, str(error))
        except Exception as error:  # a node may answer anything; faults of others must go on
            if self._ready(name):  # else it has ended meanwhile, and is asked when it is ready again
                self._silent.add(name)
                self._fail(name, kind, owner, str(error) if isinstance(error, OSError) else repr(error))
        else:
            if fault:
                has[kind] = fault
            else:
                has.pop(kind, None)

    def _fail(self, name: str, kind: str, owner: str, words: str) -> None:
        self._failed[name, kind] = owner, words
        self._note("fault failed", id=owner, kind=kind, node=name, why=words)

    def _of(self, name: str, kind: str) -> Declared | None:
        return self._declared.get((self._nodes[name].kind, kind))


def _complete(declared: Declared, values: Mapping[str, float | bool | str]) -> dict[str, float | bool | str]:
    """Fill up with defaults, or nothing: `off` may have to be asked without knowing with what it was put on."""
    usual = {one.name: one.default if one.default is not None else 0.0 for one in declared.fault.parameters}
    return {**usual, **values}


async def request(
    open_socket: OpenSocket, node: Node, hook: Hook, values: Mapping[str, float | bool | str]
) -> None:
    """Ask a node; Refused carries its answer where that is no yes, OSError says why there is none."""
    from stressnet.agent.http import Session  # h11 takes its time, and most nets never need this

    verb, path, body = hook.request(values)
    port = hook.port if isinstance(hook.port, int) else node.port(hook.port).number
    session = Session(open_socket, (LOOPBACK, node.address), port)
    try:
        status, content = await session.ask(verb, path, body, timeout=_ANSWER_S)
    except TimeoutError:
        raise OSError(f"no answer from port {port} within {_ANSWER_S:g} s") from None
    except OSError as error:
        raise OSError(f"port {port}: {error.strerror or error}") from None
    finally:
        session.close()
    said = content[:_SHOWN].decode(errors="replace").strip()
    if not 200 <= status < 300:
        raise Refused(f"HTTP status {status} from port {port}{path}" + (f": {said}" if said else ""))
    if hook.via == "rpc":
        _check_answer(content, said, hook, port)


def _check_answer(content: bytes, said: str, hook: Hook, port: int) -> None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Refused(f"port {port} answered {hook.method} with no JSON-RPC: {said}")
    if (error := answer.get("error")) is not None:
        words = error.get("message") if isinstance(error, dict) else None
        raise Refused(f"{hook.method}: {str(words or error)[:_SHOWN]}")
