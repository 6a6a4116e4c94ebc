"""Nodes are asked side by side, and each answer is read as what it should be or told as why it is none."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.asking import WrongQuestion, ask
from stressnet.agent.matching import Matcher
from stressnet.agent.probes import Prober
from stressnet.agent.supervisor import Observed
from stressnet.plan import Node, Probe


class Net:
    """Nodes that all answer by one server: it echoes what it is asked, or what stands under its path."""

    def __init__(self, folder: Path, answers: Mapping[str, bytes], **probes: Probe | None) -> None:
        self._answers = answers
        self._probes = probes
        self._folder = folder
        self.observed = {node.name: Observed("ready", pid=1) for node in some_plan().nodes}
        self.asked: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length or 0))
        path = head.split()[1].decode()
        self.asked.append(path)
        content = self._answers.get(path, body)
        if content != b"silence":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))
        await reader.read()
        writer.close()

    def prober(self, name: str) -> Prober:
        def opened() -> socket.socket:
            made = socket.socket()
            made.setblocking(False)
            return made

        return Prober(self._node(name), opened, self._folder / "log", 0, Matcher())

    def _node(self, name: str) -> Node:
        return next(node for node in self.plan.nodes if node.name == name)

    def ask(self, names: list[str], what: str, **parameters: Any) -> dict[str, dict[str, Any]]:
        async def scene() -> dict[str, dict[str, Any]]:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            probes = {name: probe and replace(probe, port=port) for name, probe in self._probes.items()}
            self.plan = SimpleNamespace(nodes=[replace(node, **probes) for node in some_plan().nodes])  # type: ignore[arg-type]
            async with server:
                return await ask(self, names, what, parameters)  # type: ignore[arg-type]

        return asyncio.run(scene())


def test_the_height_goes_into_path_and_params(tmp_path: Path) -> None:
    """As a number where nothing else stands beside it."""
    probe = Probe("rpc", path="/x", method="m", params=("{height}", "at {height}"), json="to_string(params)")
    told = Net(tmp_path, {}, block=probe).ask(["boot"], "block", height=12)
    assert told == {"boot": {"value": '[12,"at 12"]'}}
    net = Net(
        tmp_path, {"/block/12": b'{"hash": "ab"}'}, block=Probe("http", path="/block/{height}", json="hash")
    )
    assert net.ask(["boot"], "block", height=12) == {"boot": {"value": "ab"}}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"in": true}', {"value": True}),
        (b'{"in": false}', {"value": False}),
        (b'{"in": 1}', {"error": "the answer is 1, not true or false"}),
        (b'{"in": "true"}', {"error": "the answer is 'true', not true or false"}),
        (b'{"out": true}', {"error": "no 'in' in the answer: {\"out\": true}"}),
    ],
)
def test_in_sync_is_true_or_false(tmp_path: Path, content: bytes, told: dict[str, Any]) -> None:
    """Nothing else is taken for one of them."""
    net = Net(tmp_path, {"/": content}, in_sync=Probe("http", json="in"))
    assert net.ask(["boot"], "in_sync") == {"boot": told}


@pytest.mark.parametrize(
    ("probe", "content"),
    [(Probe("http"), "a\n\tb é".encode()), (Probe("http", json="r"), json.dumps({"r": "a\n\tb é"}).encode())],
)
def test_stacks_are_kept_as_they_are(tmp_path: Path, probe: Probe, content: bytes) -> None:
    assert Net(tmp_path, {"/": content}, stacks=probe).ask(["boot"], "stacks") == {
        "boot": {"value": "a\n\tb é"}
    }


def test_long_stacks_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 1 MiB, and earlier where there are so many that the answer would be longer than the agent's lines."""
    monkeypatch.setattr("stressnet.agent.probes._TIMEOUT_S", 120)
    net = Net(tmp_path, {"/": b"x" * 1_500_000}, stacks=Probe("http"))
    (one,) = net.ask(["boot"], "stacks").values()
    assert one["value"] == "x" * 2**20 + "\n... cut after 1048576 of 1500000 characters"
    many = net.ask(["boot"] * 100, "stacks")["boot"]["value"]
    assert 100_000 < len(many) < 110_000


def test_what_is_no_hash_is_told(tmp_path: Path) -> None:
    for content, words in ((b"x" * 300, "a hash of 300 characters"), (b" ", "a hash of 0 characters")):
        net = Net(tmp_path, {"/": content}, block=Probe("http"))
        assert net.ask(["boot"], "block", height=1) == {"boot": {"error": words}}


def test_a_silent_node_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own time; one that does not run is not asked, nor one whose kind does not say how."""
    monkeypatch.setattr("stressnet.agent.probes._TIMEOUT_S", 0.2)
    net = Net(tmp_path, {"/": b"silence"}, stacks=Probe("http"), block=None)
    net.observed["late"] = Observed("exited", reason="killed")
    names = ["boot", "us-1", "us-2", "late"]

    async def timed() -> float:
        return asyncio.get_running_loop().time()

    before = asyncio.run(timed())
    told = net.ask(names, "stacks")
    assert asyncio.run(timed()) - before < 0.5
    assert told.pop("late") == {"error": "it does not run: it is exited, killed"}
    assert len(told) == 3
    assert all("within 0.2 s" in answer["error"] for answer in told.values())
    assert net.ask(["boot"], "block", height=1) == {"boot": {"error": "its kind does not say how"}}


@pytest.mark.parametrize(
    ("what", "parameters"),
    [
        ("height", {}),
        ("block", {}),
        ("block", {"height": "1"}),
        ("block", {"height": True}),
        ("block", {"height": 1, "x": 1}),
        ("stacks", {"height": 1}),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    tmp_path: Path, what: str, parameters: dict[str, Any]
) -> None:
    """And nobody is asked."""
    net = Net(tmp_path, {}, block=Probe("http"), stacks=Probe("http"))
    with pytest.raises(WrongQuestion):
        net.ask(["boot"], what, **parameters)
    assert net.asked == []
