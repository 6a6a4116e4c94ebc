"""An engine behind ssh, by the ssh program: its keys, agent, hosts file and settings are the user's own.

Each connection is a `docker system dial-stdio` over there, as with docker's own client. The SDK's way needs a
package for it, which reads only part of the settings and goes on where a host key is unknown.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool

from stressnet.errors import UsageError

SCHEME = "ssh://"


class SshAdapter(UnixHTTPAdapter):
    """Sends the SDK's requests through ssh."""

    def __init__(self, address: str, timeout_s: int, connections: int) -> None:
        super().__init__("http+unix://none", timeout_s, max_pool_size=connections)
        self._command = command(address)
        self._running: list[subprocess.Popen[bytes]] = []

    def get_connection(self, url: Any, proxies: Any = None) -> UnixHTTPConnectionPool:
        """Return the pool of connections, which makes them by ssh."""
        pool = super().get_connection(url, proxies)
        pool._new_conn = partial(_Connection, self.dial, self.timeout)  # type: ignore[method-assign, assignment]
        return pool

    def dial(self) -> socket.socket:
        """Start ssh with one end of a socket as its input and output, and return the other.

        When that is closed, also by our death, ssh ends as soon as the engine has no more to say.
        """
        self._running = [ssh for ssh in self._running if ssh.poll() is None]
        ours, theirs = socket.socketpair()
        with theirs:
            # In a session of its own: Ctrl-C is for us, and we still have to remove what we made.
            end = theirs.fileno()
            ssh = subprocess.Popen(self._command, stdin=end, stdout=end, start_new_session=True)
        self._running.append(ssh)
        return ours


class _Connection(UnixHTTPConnection):
    def __init__(self, dial: Callable[[], socket.socket], timeout_s: int) -> None:
        super().__init__("", "", timeout_s)
        self._dial = dial

    def connect(self) -> None:
        self.sock = self._dial()
        self.sock.settimeout(self.timeout)


def command(address: str) -> list[str]:
    """Return the ssh command of one connection to `ssh://[USER@]HOST[:PORT]`; UsageError for anything else."""
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if not parts.hostname or port == -1 or parts.path or parts.query or parts.password:
        raise UsageError(f"DOCKER_HOST is {address!r}; behind ssh an engine is ssh://[USER@]HOST[:PORT]")
    options = [*(("-l", parts.username) if parts.username else ()), *(("-p", str(port)) if port else ())]
    # As it was written: `hostname` is in small letters, names in ssh's settings need not be.
    host = parts.netloc.rpartition("@")[2].removesuffix(f":{port}").strip("[]")
    # Nobody can answer eight questions at once; an agent holds the key for all.
    quiet = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
    return ["ssh", *quiet, *options, "--", host, "docker system dial-stdio"]
