"""A node's port, or the API of its relay, on a loopback port of this machine, through the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stressnet.agent.protocol import carry
from stressnet.backends.base import Backend
from stressnet.errors import StressnetError, UsageError
from stressnet.plan import Node


def port_number(node: Node, port: str) -> int:
    """Return the number of a port given by name or number."""
    if port.isdecimal() and 0 < int(port) < 65536:
        return int(port)
    try:
        return node.port(port).number
    except KeyError:
        known = ", ".join(f"{one.name} ({one.number})" for one in node.ports) or "none"
        raise UsageError(f"kind {node.kind!r} names no port {port!r}; it names: {known}") from None


async def listen(
    backend: Backend, local: int, complain: Callable[[str], None], call: str, **arguments: str | int
) -> asyncio.Server:
    """Listen on 127.0.0.1 and carry each connection to where that call of the agent leads."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with await backend.connect() as far:
                await far.call(call, **arguments)
                await carry((reader, writer), (far.reader, far.writer))
        except StressnetError as error:
            complain(error.message)
        except asyncio.CancelledError:
            return  # Ctrl-C; asyncio before Python 3.12 prints a traceback for each connection that is cancelled
        finally:
            writer.close()

    try:
        return await asyncio.start_server(connected, "127.0.0.1", local)
    except OSError as error:
        raise UsageError(f"cannot listen on 127.0.0.1:{local}: {error.strerror}") from None
