"""What the agent makes of an engine that answers badly: served by a socket here, for no engine does so at will."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from unit.docker.test_bodies import PLAN

from stressnet.agent.docker import DockerRuntime, _Container
from stressnet.agent.dockerinit import expire
from stressnet.agent.door import Visit
from stressnet.agent.enginesocket import EngineError, EngineSocket
from stressnet.agent.matching import Matcher

Answer = Callable[[str, str], bytes]


def good(body: Any) -> bytes:
    return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(body).encode()


@asynccontextmanager
async def serving(path: Path, answer: Answer) -> AsyncIterator[EngineSocket]:
    """Serve answers by method and path."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readline()).decode().split()
        while (await reader.readline()).strip():
            pass
        writer.write(answer(method, target))
        writer.close()

    async with await asyncio.start_unix_server(serve, str(path)):
        yield EngineSocket(str(path))


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.0\r\n\r\n",
        b"HTTP/1.0 abc OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{half",
        b"HTTP/1.0 200 " + b"x" * 2**17 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_makes_no_sense_is_an_error_of_the_engine(tmp_path: Path, said: bytes) -> None:
    """Whoever asks has one sort of error to expect, whatever comes."""

    async def story() -> None:
        async with serving(tmp_path / "s", lambda *_: said) as engine:
            with pytest.raises(EngineError) as raised:
                await engine.call("GET", "/info")
            assert raised.value.status == 0

    asyncio.run(story())


def test_a_net_is_removed_at_its_time_though_the_engine_fails(tmp_path: Path) -> None:
    """Errors, silence and refusals are met with patience, until the engine shows nothing any more."""
    there = {"/containers/a": 2, "/containers/b": 1, "/networks/n": 1}
    troubles = [b"", b"HTTP/1.0 500 busy\r\n\r\n", good(None)]
    agent = {"Id": "agent", "Labels": {"stressnet.part": "agent"}}

    def answer(method: str, target: str) -> bytes:
        path = target.partition("?")[0]
        if method == "GET" and troubles:
            return troubles.pop()
        if method == "GET":
            sort = path.split("/")[1]
            listed = [{"Id": key.rpartition("/")[2]} for key, left in there.items() if left and sort in key]
            return good([*listed, agent] if sort == "containers" else listed)
        there[path] -= 1
        return b"HTTP/1.0 409 in progress\r\n\r\n" if there[path] else good(None)

    async def story() -> None:
        async with serving(tmp_path / "s", answer) as engine:
            await asyncio.wait_for(expire(["stressnet.net=n"], engine), 20)

    asyncio.run(story())
    assert set(there.values()) == {0}
    assert troubles == []


@pytest.mark.parametrize("said", [b"", good(None), good({}), good({"State": None})])
def test_an_end_is_known_though_the_engine_does_not_say_how(tmp_path: Path, said: bytes) -> None:
    """The report of a node's end is not lost with an answer that makes no sense."""
    (tmp_path / "gate").touch()

    async def story() -> tuple[int | None, str]:
        async with serving(tmp_path / "s", lambda *_: said) as engine:
            runtime = DockerRuntime(tmp_path, Matcher(), volume=tmp_path, engine=engine)
            runtime.replan(PLAN)
            visit = Visit(os.getpid())
            try:
                return await runtime._verdict(_Container("a-1", visit))
            finally:
                visit.close()

    assert asyncio.run(story()) == (None, "the engine does not say how it ended")
