"""What our control of relays says is what Toxiproxy has: asked by a client that nobody here wrote."""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import pytest
from contract.nets import live
from contract.test_links import CALL, call, newest, put, talking

from stressnet.engine.forward import listen

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its age
    from toxiproxy import Toxiproxy
    from toxiproxy.api import APIConsumer

pytestmark = pytest.mark.usefixtures("state_home")


def test_an_independent_client_sees_what_we_set(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through `fault endpoint`: a listener for each link, the toxics of each fault, and none once it is healed."""
    plan = talking("contract-tp", {"a": CALL}, backend, tmp_path)

    def seen() -> dict[str, dict[str, object]]:
        return {
            name: {
                toxic.name: (toxic.type, toxic.stream, toxic.toxicity, toxic.attributes) for toxic in listed
            }
            for name, proxy in Toxiproxy().proxies().items()
            if name.endswith(".p2p")  # and not the listener of a probe that measures just now
            for listed in [proxy.toxics().values()]
        }

    async def story() -> None:
        async with live(plan) as net:
            server = await listen(net, 0, print, "relay", node="a")
            monkeypatch.setattr(APIConsumer, "port", server.sockets[0].getsockname()[1])
            async with server:
                assert await asyncio.to_thread(seen) == {"a.b.p2p": {}, "b.a.p2p": {}}
                slow = await put(net, "latency", ("a", "b"), latency=0.12, jitter=0.01)
                narrow = await put(net, "bandwidth", ("b", "a"), rate=8e6, toxicity=0.5)
                latency = ("latency", {"latency": 120, "jitter": 10})
                bandwidth = ("bandwidth", {"rate": 1000})
                assert await asyncio.to_thread(seen) == {
                    "a.b.p2p": {
                        f"{slow}.upstream": (latency[0], "upstream", 1, latency[1]),
                        f"{narrow}.downstream": (bandwidth[0], "downstream", 0.5, bandwidth[1]),
                    },
                    "b.a.p2p": {
                        f"{slow}.downstream": (latency[0], "downstream", 1, latency[1]),
                        f"{narrow}.upstream": (bandwidth[0], "upstream", 0.5, bandwidth[1]),
                    },
                }
                await call(net, "fault_heal", ids=[slow])
                left = await asyncio.to_thread(seen)
                assert [list(toxics) for toxics in left.values()] == [
                    [f"{narrow}.downstream"],
                    [f"{narrow}.upstream"],
                ]
                await newest(net, "a", r"ok .*")

    asyncio.run(story())
