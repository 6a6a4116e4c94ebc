"""A full disk below the agent's own files: faults still end on time, nothing dies of it, and nothing comes back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.nets import live, plan_text, python_nodes, replace_agent, until
from needs import require

from stressnet.backends.base import Backend
from stressnet.engine.faults import Wish, add, heal, standing
from stressnet.spec.targets import Targets
from stressnet.state import net_directory

TICK = "import time\nwhile True: time.sleep(0.1)"


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder, on a disk of its own of 6 MB."""
    require("netns")
    if os.geteuid():
        pytest.skip("only root mounts a disk")
    folder = tmp_path / "state"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    file = folder / "filler"
    with file.open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError:
            return file
    raise AssertionError("it did not get full")


async def states(net: Backend) -> dict[str, str]:
    return {one.fault.id: one.state for one in await standing(net)}


async def agent_pid(net: Backend) -> int:
    async with await net.connect() as agent:
        return int((await agent.call("hello"))["pid"])


def test_faults_end_and_are_healed_on_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    text = python_nodes("contract-full", {"a": TICK, "b": TICK}, extra="ports: {p2p: 7000/tcp}")
    plan = plan_text(tmp_path, text, "netns")

    async def story() -> None:
        async with live(plan) as net:
            before = await agent_pid(net)
            await add(net, plan, Wish("pause", (), Targets(on="a"), for_s=2.0), plan.seed)
            await add(net, plan, Wish("kill", (), Targets(on="b"), for_s=2.0), plan.seed)
            await add(net, plan, Wish("partition", (), Targets(source="a", target="b"), for_s=2.0), plan.seed)
            await add(
                net, plan, Wish("drop", ("probability=5%",), Targets(source="b", target="a")), plan.seed
            )
            filler = fill(small_disk)
            begun = time.monotonic()

            async def over() -> bool:
                now = await states(net)
                return {now[one] for one in ("f1", "f2", "f3")} == {"ended"}

            await until(over)
            assert time.monotonic() - begun < 6
            assert await heal(net, ["f4"], everything=False) == ["f4"]
            with pytest.raises(Exception, match="written down"):
                await add(net, plan, Wish("partition", (), Targets(source="a", target="b")), plan.seed)
            assert await agent_pid(net) == before
            filler.unlink()

            async def written() -> bool:
                text = (net_directory(plan.net) / "faults.json").read_text()
                return '"state": "on"' not in text

            await until(written)
            await replace_agent(plan, net)
            assert set((await states(net)).values()) == {"ended", "healed"}

    asyncio.run(story())
