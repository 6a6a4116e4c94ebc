"""Clients that close while their connection is stalled do not take the relay, or the next fault, with them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contract.nets import live, plan_text, python_nodes, until
from needs import require_relay

from stressnet.engine.faults import Wish, add, heal, standing
from stressnet.spec.targets import Targets

SERVE = """
import socket, threading
def serve(c):
    try:
        while data := c.recv(65536): c.sendall(data)
    except OSError: pass
s = socket.create_server(("", 7000))
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
IMPATIENT = """
import socket, time
while True:
    try:
        with socket.create_connection(("b", 7000), 0.3) as c:
            for _ in range(20):
                c.sendall(b"x" * 4096)
                c.recv(65536)
                time.sleep(0.02)
    except OSError: pass
"""


def test_faults_end_in_time_and_the_relay_lives(backend: str, tmp_path: Path) -> None:
    """Slices, cuts and stalls with an end, and whatever comes after them; connections go on as before."""
    require_relay(backend)
    text = python_nodes("contract-stalls", {"b": SERVE, "a": IMPATIENT}, extra="ports: {p2p: 7000/tcp}")
    plan = plan_text(tmp_path, text, backend)
    link = Targets(source="b", target="a")

    async def story() -> None:
        async with live(plan) as net:
            await asyncio.sleep(1)
            stall, _ = await add(net, plan, Wish("stall", (), link), plan.seed)
            await asyncio.sleep(2)  # long enough for many that give up
            await heal(net, [stall.id], everything=False)
            for kind, words in (
                ("slice", "average_size=64B"),
                ("cut", "bytes=4KiB"),
                ("stall", "toxicity=100%"),
            ):
                await add(net, plan, Wish(kind, (words,), link, for_s=2.0), plan.seed)

            async def over() -> bool:
                return all(one.over for one in await standing(net))

            await until(over, 8)
            await add(net, plan, Wish("latency", ("latency=5ms",), link), plan.seed)
            async with await net.connect() as agent:
                (row,) = [row for row in await agent.call("links") if row["source"] == "a"]
                before = row["connections"]

                async def again() -> bool:
                    (row,) = [row for row in await agent.call("links") if row["source"] == "a"]
                    return bool(row["connections"] > before + 3)

                await until(again)
                assert row["bypassed"] == 0

    asyncio.run(story())
