"""The evidence of a breach, of which only that is written for which there is room."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stressnet.backends.base import Backend
from stressnet.engine.capture import Saved
from stressnet.engine.run import evidence
from stressnet.errors import AgentError

NODES = ("a", "b", "c")
PACKETS = {"a": 900, "c": 5000}
"""Bytes that are kept of nodes."""


class Logs:
    """A backend of which only the logs are asked."""

    async def logs(self, node: str, *, follow: bool, tail: int) -> Any:
        yield b"x" * 99


@pytest.fixture(autouse=True)
def agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that tells stacks and packets."""

    async def ask(backend: Backend, nodes: list[str], what: str) -> dict[str, Any]:
        return dict.fromkeys(nodes, "\N{EURO SIGN}" * 100)

    async def sockets(backend: Backend, nodes: list[str]) -> dict[str, Any]:
        raise AgentError("it cannot tell")

    async def save_packets(backend: Backend, node: str, path: Path) -> Saved:
        if node not in PACKETS:
            raise AgentError("none are kept")
        path.write_bytes(b"p" * PACKETS[node])
        return Saved(1, 0)

    for double in (ask, sockets, save_packets):
        monkeypatch.setattr(evidence, double.__name__, double)


def gathered(folder: Path, **more: Any) -> list[str]:
    return asyncio.run(evidence.gather(Logs(), NODES, folder, "height", **more))  # type: ignore[arg-type]


def sizes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def test_without_a_limit_all_is_written_that_can_be_had(tmp_path: Path) -> None:
    """One that has no packets keeps none from the others."""
    told = gathered(tmp_path)
    logs = {f"height-{node}-log.txt": 100 for node in NODES}
    stacks = {f"height-{node}-stacks.txt": 300 for node in NODES}
    assert sizes(tmp_path) == {**logs, **stacks, "height-a.pcap": 900, "height-c.pcap": 5000}
    assert told == sorted(sizes(tmp_path))


@pytest.mark.parametrize("limit", [0, 100, 950, 2200, 100_000])
def test_no_more_is_written_than_there_is_room_for(tmp_path: Path, limit: int) -> None:
    """It is asked before each file, and what is told is what is there."""
    most = 0

    def room(need: int) -> bool:
        nonlocal most
        fits = sum(sizes(tmp_path).values()) + need <= limit
        most = max(most, need)
        return fits

    told = gathered(tmp_path, room=room)
    assert sum(sizes(tmp_path).values()) <= limit
    assert told == sorted(sizes(tmp_path))
    assert bool(told) == (limit > 0)
    assert most == PACKETS["c"]


def test_who_makes_room_may_take_long(tmp_path: Path) -> None:
    """The event loop goes on, which renews the leases of faults."""
    loops: list[bool] = []

    def room(_: int) -> bool:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            loops.append(False)
        else:
            loops.append(True)
        return True

    gathered(tmp_path, room=room)
    assert loops
    assert not any(loops)


def test_of_many_nodes_a_few_are_enough(tmp_path: Path) -> None:
    """Those that are named first."""
    nodes = ["c", "b", "a", "d", "e", "f", "g"]
    told = asyncio.run(evidence.gather(Logs(), nodes, tmp_path, "height"))  # type: ignore[arg-type]
    assert {name.split("-")[1].partition(".")[0] for name in told} == set("abcde")
    assert told == sorted(sizes(tmp_path))


def test_a_node_that_says_nothing_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there by then is written: a watch has more to do."""

    class Hanging(Logs):
        async def logs(self, node: str, *, follow: bool, tail: int) -> Any:
            if node == "b":
                await asyncio.Event().wait()
            async for line in super().logs(node, follow=follow, tail=tail):
                yield line

    async def main() -> list[str]:
        async with asyncio.timeout(10):
            return await evidence.gather(Hanging(), NODES, tmp_path, "height")  # type: ignore[arg-type]

    monkeypatch.setattr(evidence, "_PATIENCE_S", 0.5)
    told = asyncio.run(main())
    assert [name for name in told if name.endswith("-log.txt")] == ["height-a-log.txt", "height-c-log.txt"]
    assert "height-b-stacks.txt" in told


def test_a_file_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    """A watch that gathers evidence goes on."""
    (tmp_path / "height-a-log.txt").mkdir()
    assert "height-a-log.txt" not in gathered(tmp_path)
    assert "height-b-log.txt" in gathered(tmp_path)
