"""Who is connected to whom *now*: what `peers of X` means."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from contract.nets import live, plan_text, python_nodes, until

SERVE = """
import socket, threading
s = socket.create_server(("", 7000))
while True:
    c, _ = s.accept()
    threading.Thread(target=c.recv, args=(1,), daemon=True).start()
"""
CALL = """
import os, signal, socket, time
def again(*_):
    global c
    c.close()
signal.signal(signal.SIGUSR1, again)
while True:
    try:
        c = socket.create_connection((os.environ["TARGET"], 7000))
        break
    except OSError:
        time.sleep(0.1)
while True: time.sleep(600)
"""
CLOSE = "import os, signal; os.kill(1, signal.SIGUSR1)"


def test_connections_count_while_they_are_open(backend: str, tmp_path: Path) -> None:
    """From both ends; a node that nobody is connected to has none, and one that was is forgotten."""
    extra = "ports: {p2p: 7000/tcp}\nenv: {TARGET: b}"
    text = python_nodes("contract-now", {"b": SERVE, "a": CALL, "c": SERVE}, extra=extra)
    plan = plan_text(tmp_path, text, backend)

    async def story() -> None:
        async with live(plan) as net:

            async def pairs() -> Any:
                async with await net.connect() as agent:
                    return sorted(map(tuple, await agent.call("connected")))

            async def open_now() -> bool:
                return bool(await pairs() == [("a", "b"), ("b", "a")])

            async def over() -> bool:
                return await pairs() == []

            await until(open_now)
            assert await net.execute("a", ["python3", "-c", CLOSE]) == 0
            await until(over)

    asyncio.run(story())
