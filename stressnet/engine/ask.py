"""Ask nodes of a live net what checks want to know: a block's hash, whether they are in sync, stacks, connections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stressnet.backends.base import Backend

What = Literal["block", "in_sync", "stacks"]


class NoAnswer(Exception):
    """Why a node has told nothing, in words; stands in the place of its answer."""


@dataclass(frozen=True, slots=True)
class Socket:
    """One TCP connection, as the kernel of its node has it."""

    state: str
    """`ESTABLISHED`, `CLOSE_WAIT`, ...: the kernel's own words."""
    local: str
    """`ADDRESS:PORT`."""
    remote: str
    peer: str | None
    """The node at the other end; None where that is none of the net."""
    inbound: bool
    """Whether the other end has called: the own port is one that the kind names."""
    rqueue: int
    """Bytes that have arrived and were not read."""
    wqueue: int
    """Bytes that were written and are not acknowledged."""


@dataclass(frozen=True, slots=True)
class SocketTable:
    """The connections of a node."""

    count: int
    """All of them; `sockets` ends after 500."""
    sockets: tuple[Socket, ...]


async def ask(
    backend: Backend, nodes: Sequence[str], what: What, **parameters: int
) -> dict[str, Any | NoAnswer]:
    """Ask these nodes side by side, which takes some 3 s where one does not answer; return what each has told.

    `block` takes `height=N` and gives a hash, `in_sync` a bool, `stacks` a text of at most 1 MiB. AgentError where
    the net has no node of a name.
    """
    async with await backend.connect() as agent:
        told = await agent.call("ask", nodes=list(nodes), what=what, parameters=parameters)
    return {node: _read(answer, lambda found: found["value"]) for node, answer in told.items()}


async def sockets(backend: Backend, nodes: Sequence[str]) -> dict[str, SocketTable | NoAnswer]:
    """Return the TCP connections of these nodes, as their kernel has them now; the nodes are not asked."""
    async with await backend.connect() as agent:
        told = await agent.call("sockets", nodes=list(nodes))
    return {node: _read(answer, _table) for node, answer in told.items()}


def _table(told: Mapping[str, Any]) -> SocketTable:
    return SocketTable(told["count"], tuple(Socket(**one) for one in told["sockets"]))


def _read(told: Mapping[str, Any], reader: Any) -> Any:
    return NoAnswer(told["error"]) if "error" in told else reader(told)
