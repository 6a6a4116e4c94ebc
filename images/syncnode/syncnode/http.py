"""A small HTTP/1.1 server: enough for JSON-RPC, health and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .errors import StartError

Answer = tuple[int, str, bytes]
"""Status, content type, body."""
Route = Callable[[str, str, bytes], Awaitable[Answer]]
"""Called with method, path and body."""

_MAX_BODY = 1024 * 1024
_MOST_CLIENTS = 128
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class HttpServer:
    """Serves one function on one address."""

    def __init__(self, route: Route, patience: float = 60.0) -> None:
        self._route = route
        self._patience = patience
        """Seconds that a client may take for a whole request, and for the answer."""
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, None] = {}
        """Those who were served last are the last; the first have to go where there are too many."""

    async def listen(self, address: str, key: str) -> None:
        """Accept connections; StartError names the key where the address cannot be had."""
        host, _, port = address.rpartition(":")
        try:
            self._server = await asyncio.start_server(self._serve, host, int(port), limit=16384)
        except OSError as error:
            raise StartError(f"{key}: cannot listen on {address}: {error}") from None

    def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for writer in self._clients:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients[writer] = None
        if len(self._clients) > _MOST_CLIENTS:
            oldest = next(iter(self._clients))
            del self._clients[oldest]
            oldest.transport.abort()
        try:
            while await self._one(reader, writer):
                self._clients.pop(writer, None)
                self._clients[writer] = None
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # the client went away, does not read, or spoke no HTTP
        finally:
            await self._close(writer)
            self._clients.pop(writer, None)

    async def _close(self, writer: asyncio.StreamWriter) -> None:
        """Close a connection once the client has taken the answer, or does not take it."""
        writer.close()
        try:
            async with asyncio.timeout(self._patience):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request; return whether the connection stays."""
        async with asyncio.timeout(self._patience):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, version = head[0].split(" ")
            headers = {
                k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)
            }
            size = int(headers.get("content-length", "0"))
            if not 0 <= size <= _MAX_BODY:
                raise ValueError("a body of that size is not taken")
            body = await reader.readexactly(size) if size else b""
        status, kind, out = await self._route(method, path.partition("?")[0], body)
        stay = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        writer.write(
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(out)}\r\n"
            f"Connection: {'keep-alive' if stay else 'close'}\r\n\r\n".encode()
            + out
        )
        async with asyncio.timeout(self._patience):
            await writer.drain()
        return stay
