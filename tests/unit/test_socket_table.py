"""Tables of connections name who is at the other end, and have an end themselves."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.runtime import NoSuchNode
from stressnet.agent.sockettable import socket_tables
from stressnet.agent.supervisor import Observed
from stressnet.plan import Port


def tables(port: int, address: str) -> dict[str, dict[str, Any]]:
    """Those of a node in this very namespace that listens at a port, beside one at an address, and of one without."""
    boot, other, gone = some_plan().nodes[:3]
    boot = replace(boot, ports=(Port("p2p", port),))
    nodes = (boot, replace(other, address=address), gone)

    def inside(name: str, work: Any) -> Any:
        if name == gone.name:
            raise NoSuchNode(name)
        return work()

    supervisor = SimpleNamespace(
        plan=SimpleNamespace(nodes=nodes), inside=inside, observed={gone.name: Observed("exited")}
    )
    return asyncio.run(socket_tables(supervisor, [boot.name, gone.name]))  # type: ignore[arg-type]


def test_the_other_end_has_its_name() -> None:
    """And who has called whom is told by the ports of the kind."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as near:
        near.bind(("127.9.8.7", 0))
        near.connect(listener.getsockname())
        ends = f"127.0.0.1:{listener.getsockname()[1]}", f"127.9.8.7:{near.getsockname()[1]}"
        told = tables(listener.getsockname()[1], "127.9.8.7")
    assert told.pop("us-2") == {"error": "it has no network: it is exited"}
    by_ends = {(one.pop("local"), one.pop("remote")): one for one in told["boot"]["sockets"]}
    empty = {"state": "ESTABLISHED", "rqueue": 0, "wqueue": 0}
    assert by_ends[ends] == {**empty, "peer": "us-1", "inbound": True}
    assert by_ends[ends[::-1]] == {**empty, "peer": None, "inbound": False}


def test_the_list_ends_and_the_count_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What only the kernel still has, comes last."""
    monkeypatch.setattr("stressnet.agent.sockettable._MOST", 5)
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:
        for place in range(8):
            near = opened.enter_context(socket.create_connection(listener.getsockname()))
            far = opened.enter_context(listener.accept()[0])
            if place < 3:
                near.close()
                far.close()
        (told, _) = tables(listener.getsockname()[1], "127.9.8.7").values()
    assert told["count"] >= 13
    assert len(told["sockets"]) == 5
    assert "TIME_WAIT" not in {one["state"] for one in told["sockets"]}
