"""Connections to an agent in a container that are kept to be used again.

Each is a program that an engine starts in the agent's container, for some 0.14 s of CPU: a run asks the agent every
second or so, and would take from its nodes what it should watch.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from stressnet.agent.protocol import Connection
from stressnet.errors import AgentError

_MOST = 4
"""How many wait at most; each holds a program in the agent's container."""


class Lines:
    """Connections that nobody uses just now."""

    def __init__(self) -> None:
        self._kept: list[Connection] | None = None

    @asynccontextmanager
    async def keep(self) -> AsyncIterator[None]:
        """Keep what is left within, and close it at the end; a further one within it does nothing."""
        if self._kept is not None:
            yield
            return
        self._kept = []
        try:
            yield
        finally:
            kept, self._kept = self._kept, None
            for connection in kept:
                await connection.close()

    async def take(self) -> Connection | None:
        """Return a connection on which the agent answers, if there is one."""
        while self._kept:
            async with AsyncExitStack() as closing:
                found = self._kept.pop()
                closing.push_async_callback(found.close)
                with suppress(AgentError):  # of an agent that has ended since
                    if found.can_serve():
                        await found.call("hello")
                        closing.pop_all()
                        return found
        return None

    async def leave(self, connection: Connection) -> None:
        """Keep a connection for the next who wants one, or close it."""
        if self._kept is not None and len(self._kept) < _MOST:
            self._kept.append(connection)
        else:
            await connection.close()
