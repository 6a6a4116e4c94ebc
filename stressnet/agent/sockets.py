"""TCP sockets that belong to a node's namespace: whoever holds one speaks from inside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

OpenSocket = Callable[[], socket.socket]
"""Returns a new non-blocking TCP socket that belongs to the node's namespace."""


async def connect(open_socket: OpenSocket, addresses: tuple[str, ...], port: int) -> socket.socket:
    """Connect to the first address that accepts; OSError of the last that did not."""
    loop = asyncio.get_running_loop()
    refused: OSError = OSError("no address")
    for address in addresses:
        connection = open_socket()
        try:
            await loop.sock_connect(connection, (address, port))
        except OSError as error:
            connection.close()
            refused = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refused
