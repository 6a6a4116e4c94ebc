"""Plain-text gRPC for the one rpc of the legacy sync: bytes to an address, bytes back.

The library takes 10 MB of a node's memory, so it is loaded where it is switched on and nowhere else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from .config import DnsKeys
from .dnsmessages import METHOD, Query, Reply
from .errors import ProtocolError, RequestFailed, StartError

_GRACE_S = 0.1


def library(key: str) -> Any:
    """Return the package; StartError names the key that needs it, and what to do, where it is not installed."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # the log has a form of its own
    try:
        import grpc
        import grpc.aio
    except ImportError as error:
        raise StartError(
            f"{key}: needs the package grpcio, which {sys.executable} cannot load ({error}); "
            f"install it with `{sys.executable} -m pip install grpcio`, or set {key} = false"
        ) from None
    return grpc


class Listener:
    """Serves the rpc on one address."""

    def __init__(self, answer: Callable[[bytes], bytes], max_message: int) -> None:
        self._answer = answer
        self._max_message = max_message
        self._server: Any = None

    async def listen(self, address: str) -> None:
        """Accept calls; StartError where the address cannot be had."""
        grpc = library("dns.server")

        async def query(request: bytes, context: Any) -> bytes:
            try:
                return self._answer(request)
            except ProtocolError as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                raise

        service, method = METHOD.strip("/").split("/")
        handlers = {method: grpc.unary_unary_rpc_method_handler(query)}
        server = grpc.aio.server(
            options=[*_options(self._max_message), ("grpc.so_reuseport", 0)],
            handlers=[grpc.method_handlers_generic_handler(service, handlers)],
        )
        try:
            taken = not server.add_insecure_port(address)
        except RuntimeError:
            taken = True
        if taken:
            raise StartError(f"dns.port: cannot listen on {address}")
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            await self._server.stop(_GRACE_S)


class Line:
    """The way to one server; it is connected when first used, and again when it was lost."""

    def __init__(self, address: str, keys: DnsKeys) -> None:
        self._grpc = library("dns.client")
        self.address = address
        self._timeout = keys.timeout
        longest = int(keys.reconnect_max * 1000)
        self._channel = self._grpc.aio.insecure_channel(
            address,
            options=[
                *_options(keys.max_message),
                ("grpc.initial_reconnect_backoff_ms", min(1000, longest)),
                ("grpc.min_reconnect_backoff_ms", min(1000, longest)),
                ("grpc.max_reconnect_backoff_ms", longest),
                ("grpc.enable_http_proxy", 0),
            ],
        )
        self._call = self._channel.unary_unary(METHOD)

    async def ask(self, query: Query) -> Reply:
        """Send a query; RequestFailed where no usable reply comes in time."""
        try:
            return Reply.decode(await self._call(query.encode(), timeout=self._timeout))
        except self._grpc.aio.AioRpcError as error:
            raise RequestFailed(f"{self.address}: {error.code().name}") from None
        except ProtocolError as error:
            raise RequestFailed(f"{self.address}: {error}") from None

    async def close(self) -> None:
        """Give the connection up."""
        await self._channel.close()


def _options(max_message: int) -> list[tuple[str, int]]:
    return [("grpc.max_receive_message_length", max_message), ("grpc.max_send_message_length", max_message)]
