"""The last packets of nodes: whole, in order, no more than asked for, and over the end of a node."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.nets import live, plan_text, python_nodes, status, until

from stressnet.backends.base import Backend
from stressnet.engine.capture import keep_packets, save_packets
from stressnet.engine.faults import Wish, add
from stressnet.errors import AgentError
from stressnet.plan import Plan
from stressnet.spec.targets import Targets

pytestmark = pytest.mark.usefixtures("state_home")

COUNT = """
import os, signal, socket, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # process 1 must say so itself
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
n = 0
# In its second life it sends less than is kept: whoever looks late still finds where that began.
most = 300 if os.path.exists('lived') else 1e9
open('lived', 'w').close()
while n < most:
    s.sendto(b'packet %08d ' % n + bytes(int(os.environ['SIZE'])), (os.environ['TO'], 7000))
    n += 1
    time.sleep(0.002)
time.sleep(600)
"""
SLEEP = "import time\ntime.sleep(600)"


def packets(path: Path) -> Iterator[tuple[float, bytes]]:
    """Each packet of a file with its time: Unix seconds, and the Ethernet frame."""
    raw = path.read_bytes()
    magic, major, minor, _, _, _, link = struct.unpack_from("=IHHiIII", raw)
    assert (magic, major, minor, link) == (0xA1B23C4D, 2, 4, 1)
    place = 24
    while place < len(raw):
        seconds, nanoseconds, kept, length = struct.unpack_from("=4I", raw, place)
        assert kept == length
        yield seconds + nanoseconds / 1e9, raw[place + 16 : place + 16 + kept]
        place += 16 + kept


def numbers(path: Path, plan: Plan) -> list[int]:
    """The numbers of the packets that went from a to b, in the order of the file."""
    ends = b"".join(socket.inet_aton(plan.node(name).address) for name in "ab")
    return [
        int(frame[49:57]) for _, frame in packets(path) if frame[26:34] == ends and frame[42:49] == b"packet "
    ]


async def saved(net: Backend, plan: Plan, node: str, path: Path) -> list[int]:
    found = await save_packets(net, node, path)
    assert found.lost == 0
    assert found.count == len(list(packets(path)))
    return numbers(path, plan)


def test_the_last_packets_are_kept(backend: str, tmp_path: Path) -> None:
    """At both ends, without gaps, by the machine's time; what was the last before a node ended is there after it."""
    text = python_nodes("contract-keep", {"b": SLEEP, "a": COUNT}, extra="env: {TO: b, SIZE: '1400'}")
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:
            began = time.time()
            await keep_packets(net, ["a", "b"], 1)
            await asyncio.sleep(2.5)
            await both_ends(net, plan, tmp_path, began)
            await over_an_end(net, plan, tmp_path)
            await refusals(net)

    asyncio.run(story())


async def both_ends(net: Backend, plan: Plan, folder: Path, began: float) -> None:
    for name in "ab":
        file = folder / f"{name}.pcap"
        found = await saved(net, plan, name, file)
        assert found == list(range(found[0], found[-1] + 1)), "there is a gap"
        times = [at for at, _ in packets(file)]
        assert times == sorted(times)
        assert began <= times[0] <= times[-1] <= time.time()
        assert 2**19 < file.stat().st_size < 2**20 + 2**17
        assert found[0] > 10, "the oldest are not forgotten"


async def over_an_end(net: Backend, plan: Plan, folder: Path) -> None:
    async def starts() -> int:
        return next(node.starts for node in (await status(plan, net)).nodes if node.node == "a")

    async def again() -> bool:
        return await starts() == 2 and 0 in await saved(net, plan, "a", folder / "again.pcap")

    await add(net, plan, Wish("restart", (), Targets(on="a"), 0), 1)
    await until(again)
    found = await saved(net, plan, "a", folder / "again.pcap")
    new = found.index(0)
    assert new > 0, "nothing is left of the life before"
    assert found[:new] == list(range(found[0], found[new - 1] + 1))


async def refusals(net: Backend) -> None:
    for mib, words in ((65, "0 to 64 of one node"), (-1, "0 to 64"), (0.5, "0 to 64")):
        with pytest.raises(AgentError, match=words):
            await keep_packets(net, ["a"], mib)  # type: ignore[arg-type]
    await keep_packets(net, ["a", "b"], 0)
    with pytest.raises(AgentError, match="no packets of a are kept"):
        await save_packets(net, "a", Path("never.pcap"))
