"""Join standard input and output to the agent's socket: what the controller runs in the agent's container."""

from __future__ import annotations

import os
import select
import socket
import sys
import time

_PATIENCE_S = 15.0
"""How long the agent may take to start."""
_CHUNK = 65536


def main() -> None:
    """`python -m stressnet.agent.stdio SOCKET`."""
    connection = _connect(sys.argv[1])
    sources = {0: connection.fileno(), connection.fileno(): 1}
    while connection.fileno() in sources:
        for source in select.select(list(sources), [], [])[0]:
            chunk = os.read(source, _CHUNK)
            if chunk:
                _write(sources[source], chunk)
            else:
                del sources[source]
                if source == 0:
                    connection.shutdown(socket.SHUT_WR)


def _connect(path: str) -> socket.socket:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            if time.monotonic() > deadline:
                sys.exit(f"the agent does not answer: {error}")
            time.sleep(0.01)
        else:
            return connection


def _write(target: int, chunk: bytes) -> None:
    while chunk:
        chunk = chunk[os.write(target, chunk) :]


if __name__ == "__main__":
    main()
