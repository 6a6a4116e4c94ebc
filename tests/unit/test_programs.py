"""The agent's end of the launcher: one answer to each request, whoever has given up waiting for his."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator

import pytest

from stressnet.agent.launch import Launch
from stressnet.agent.launcher import HEADER
from stressnet.agent.programs import Programs


class Launcher:
    """The other end, that answers when it is told to."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        line.settimeout(10)

    async def hears(self) -> dict[str, object]:
        return await asyncio.to_thread(self._hear)

    def _hear(self) -> dict[str, object]:
        header, descriptors, _, _ = socket.recv_fds(self._line, HEADER.size, 16)
        for descriptor in descriptors:
            os.close(descriptor)
        length, _ = HEADER.unpack(header)
        return dict(json.loads(self._line.recv(length)))

    def says(self, **answer: int) -> None:
        self._line.sendall(json.dumps(answer).encode() + b"\n")


@pytest.fixture
def ends() -> Iterator[tuple[Programs, Launcher]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Programs(0, ours), Launcher(theirs)


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next_one(
    ends: tuple[Programs, Launcher],
) -> None:
    """A burial is given up, as when a terminal hangs up while its command ends; the next one gets its own answer."""

    async def scene() -> int:
        programs, launcher = ends
        first = asyncio.create_task(programs.bury(11))
        assert await launcher.hears() == {"bury": 11}
        first.cancel()
        second = asyncio.create_task(programs.bury(22))
        await asyncio.sleep(0)
        launcher.says(status=1 << 8)
        assert await launcher.hears() == {"bury": 22}
        launcher.says(status=2 << 8)
        assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError
        return await second

    assert asyncio.run(scene()) == 2


def test_what_was_started_for_nobody_is_ended(ends: tuple[Programs, Launcher]) -> None:
    """A start that is given up half-way leaves no process that nobody knows of."""

    async def scene() -> None:
        programs, launcher = ends
        child = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
        start = asyncio.create_task(programs.launch(Launch(["x"], {}, "/", "n", 0, 0, 0, 0, 0)))
        await launcher.hears()
        start.cancel()
        launcher.says(pid=child.pid)
        assert await launcher.hears() == {"bury": child.pid}
        assert await asyncio.wait_for(child.wait(), 10) == -9
        launcher.says(status=9)
        with pytest.raises(asyncio.CancelledError):
            await start

    asyncio.run(scene())
