"""When a connection to an agent can serve again: only where nothing of what was asked for is still to come."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from stressnet.agent.protocol import Connection
from stressnet.errors import AgentError

ANSWERS = {
    "hello": b'{"result": 1}\n',
    "refuse": b'{"error": "no"}\n',
    "samples": b'{"result": 4}\nfour',
    "dial": b'{"result": null}\nbytes of a port',
    "nothing": b"",
    "half": b'{"resu',
    "end": b"",
}


async def play(use: Callable[[Connection], Awaitable[object]]) -> list[Connection]:
    """Use a connection to an agent with these answers within a `with`; return those that can serve again."""
    near, far = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=far)
    left = []

    async def leave(connection: Connection) -> None:
        left.append(connection)

    async def agent() -> None:
        while line := await reader.readline():
            (name,) = (name for name in ANSWERS if name.encode() in line)
            writer.write(ANSWERS[name])
            if name in ("half", "end"):
                break
        writer.close()

    answering = asyncio.create_task(agent())
    connection = Connection(*await asyncio.open_connection(sock=near), leave)
    async with connection:
        await use(connection)
    assert connection.writer.is_closing() is not bool(left)
    await connection.close()
    await answering
    return left


async def refused(agent: Connection) -> None:
    with pytest.raises(AgentError):
        await agent.call("refuse")


async def read_file(agent: Connection) -> None:
    file = io.BytesIO()
    await agent.receive(await agent.call("samples"), file)
    assert file.getvalue() == b"four"


async def given_up(agent: Connection) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            await agent.call("nothing")


async def ended(agent: Connection) -> None:
    with pytest.raises(AgentError, match="went away"):
        await agent.call("end")


async def ended_within(agent: Connection) -> None:
    with pytest.raises(AgentError, match="went away"):
        await agent.call("half")


@pytest.mark.parametrize("use", [lambda agent: agent.call("hello"), refused, read_file])
def test_it_serves_again(use: Callable[[Connection], Awaitable[object]]) -> None:
    """After an answer, a refusal, and a file that was read to its end."""
    assert len(asyncio.run(play(use))) == 1


@pytest.mark.parametrize(
    "use",
    [lambda agent: agent.call("dial"), lambda agent: agent.call("samples"), given_up, ended, ended_within],
)
def test_it_is_closed(use: Callable[[Connection], Awaitable[object]]) -> None:
    """Where bytes of a port, a file, or a late answer are still to come, and where the agent has gone."""
    assert asyncio.run(play(use)) == []
