"""The engine's API as the agent needs it: a handful of calls over the engine's own socket, nothing installed.

HTTP/1.0 on purpose: an answer is then what comes until the engine closes, without chunks.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

SOCKET = "/run/engine.sock"
"""Where the engine's socket is mounted in the agent's container."""
_FRAME_HEADER = 8
_CALL_TIMEOUT_S = 60.0


class EngineError(OSError):
    """The engine answered with an error; `status` is that of HTTP, 0 where it gave no answer that makes sense."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class EngineSocket:
    """Calls to the engine that runs this container."""

    def __init__(self, path: str = SOCKET) -> None:
        self._path = path

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: Any) -> Any:
        """Return the decoded answer, None for an empty one; EngineError where the engine says no."""
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                reader, writer = await self._ask(method, path, query, body)
                try:
                    answer = await reader.read()
                finally:
                    writer.close()
            return json.loads(answer) if answer.strip() else None
        except EngineError:
            raise
        except (OSError, ValueError) as error:  # a TimeoutError is an OSError
            raise EngineError(0, f"{method} {path}: {error or 'no answer in time'}") from error

    async def containers(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the containers with all these labels, running or not, as the engine lists them."""
        return await self._list("/containers/json", labels, all=1)

    async def networks(self, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the networks with all these labels."""
        return await self._list("/networks", labels)

    async def _list(self, path: str, labels: Sequence[str], **query: Any) -> list[dict[str, Any]]:
        found = await self.call("GET", path, filters=json.dumps({"label": list(labels)}), **query)
        if not isinstance(found, list):
            raise EngineError(0, f"GET {path}: the answer is no list")
        return found

    async def logs(self, container: str, since: float) -> AsyncGenerator[bytes, None]:
        """Yield what a container wrote since a moment (Unix time), and writes until it ends."""
        query = {"follow": 1, "stdout": 1, "stderr": 1, "since": f"{since:.6f}"}
        reader, writer = await self._ask("GET", f"/containers/{quote(container)}/logs", query)
        try:
            while True:
                header = await reader.readexactly(_FRAME_HEADER)
                yield await reader.readexactly(int.from_bytes(header[4:], "big"))
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    async def _ask(
        self, method: str, path: str, query: Mapping[str, Any], body: Mapping[str, Any] | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            reader, writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise EngineError(0, f"the engine's socket: {error}") from error
        try:
            content = b"" if body is None else json.dumps(body).encode()
            form = "" if body is None else "Content-Type: application/json\r\n"
            head = (
                f"{method} {target} HTTP/1.0\r\nHost: engine\r\n{form}Content-Length: {len(content)}\r\n\r\n"
            )
            writer.write(head.encode() + content)
            await writer.drain()
            status = await _head(reader)
            if status >= 400:
                raise EngineError(status, f"{method} {path}: {_words(await reader.read())}")
        except EngineError:
            writer.close()
            raise
        except (OSError, ValueError, IndexError) as error:
            writer.close()
            raise EngineError(0, f"{method} {path}: the engine's answer broke off: {error}") from error
        return reader, writer


def _words(answer: bytes) -> str:
    """Return what the engine says of an error, without the JSON around it."""
    try:
        return str(json.loads(answer)["message"]).strip()
    except (ValueError, TypeError, KeyError):
        return answer.decode(errors="replace").strip()


async def _head(reader: asyncio.StreamReader) -> int:
    """Read the head of an answer and return its status."""
    status = int((await reader.readline()).split()[1])
    while (await reader.readline()).strip():
        pass
    return status
