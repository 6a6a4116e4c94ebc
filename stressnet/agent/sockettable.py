"""The TCP connections of nodes, with the names of the nodes at their other ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from stressnet.agent.diagnosis import Connection, all_connections, open_diagnosis
from stressnet.agent.supervisor import Supervisor
from stressnet.plan import Node

_MOST = 500
"""Connections of one node that are told."""
_ALTOGETHER = 50_000
"""Of one answer, which is some 10 MB then."""


async def socket_tables(supervisor: Supervisor, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return by node the `count` of its connections and `sockets`, those which still have a program first.

    Where a node has no namespace now it is `{"error": ...}`.
    """
    nodes = {node.name: node for node in supervisor.plan.nodes}
    names_at = {node.address: node.name for node in supervisor.plan.nodes}
    most = min(_MOST, _ALTOGETHER // max(1, len(names)))
    tables = {}
    for name in names:
        tables[name] = _table(supervisor, nodes[name], names_at, most)
        await asyncio.sleep(0)  # others get their turn in the agent
    return tables


def _table(supervisor: Supervisor, node: Node, names_at: Mapping[str, str], most: int) -> dict[str, Any]:
    try:
        with supervisor.inside(node.name, open_diagnosis) as diagnosis:
            found = list(all_connections(diagnosis))
    except LookupError:
        return {"error": f"it has no network: it is {supervisor.observed[node.name].state}"}
    except OSError as error:
        return {"error": str(error)}
    found.sort(key=lambda one: one.state == "TIME_WAIT")
    own = {port.number for port in node.ports if port.protocol == "tcp"}
    return {"count": len(found), "sockets": [_row(one, names_at, own) for one in islice(found, most)]}


def _row(one: Connection, names_at: Mapping[str, str], own: set[int]) -> dict[str, Any]:
    return {
        "state": one.state,
        "local": _shown(one.local),
        "remote": _shown(one.remote),
        "peer": names_at.get(one.remote[0]),
        "inbound": one.local[1] in own,
        "rqueue": one.rqueue,
        "wqueue": one.wqueue,
    }


def _shown(end: tuple[str, int]) -> str:
    address, port = end
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
