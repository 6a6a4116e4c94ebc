"""A relay: a Toxiproxy process in the net's router, with one listener for each link that it carries.

The process outlives the agent: orphans go to process 1, and the next agent finds it by its ledger. What it
carries is asked of itself. Its API is on the router's loopback, which no node can reach: Toxiproxy has no
authentication of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stressnet.agent import processes
from stressnet.agent.ledger import Ledger
from stressnet.faults.compose import Toxic

if TYPE_CHECKING:
    from stressnet.agent.http import Session

API = "127.0.0.1"
_FIRST_PORT = 8474
_START_S = 10.0
_CALL_S = 30.0
_PAUSE_S = 0.005
_PIPELINE = 100
_BATCH = 2000
"""Listeners that are asked for in one call."""


class RelayError(OSError):
    """The relay did not do what it was asked to."""


@dataclass(frozen=True, slots=True)
class Change:
    """A toxic that is to be put on a listener, or taken off."""

    listener: str
    toxic: Toxic
    on: bool


class Relay:
    """One Toxiproxy process, seen from the agent; it runs in the agent's own network namespace."""

    def __init__(self, number: int, program: str, address: str, directory: Path) -> None:
        """`address` is where it listens for links; `directory` takes its log and its ledger."""
        self.number = number
        self.address = address
        self.port = _FIRST_PORT + number
        self._program = program
        self._log = directory / f"relay-{number}.log"
        self._ledger = Ledger(directory / f"relay-{number}.started")
        self._pid = 0
        self._watch = -1
        self._sessions = [self._session() for _ in range(4)]
        self._free = asyncio.Queue["Session"]()
        for session in self._sessions:
            self._free.put_nowait(session)

    def _session(self) -> Session:
        from stressnet.agent.http import Session  # 0.03 s, of which nets without relays need nothing

        return Session(_own_socket, (API,), self.port)

    @property
    def pid(self) -> int:
        """Process id, 0 while it does not run."""
        return self._pid

    async def start(self, died: Callable[[Relay], None]) -> bool:
        """Take up the process that an earlier agent started, else start one; return whether it is a new one.

        `died` is called when the process has ended.
        """
        living = [pid for pid in self._ledger.living() if processes.runs(pid)]
        fresh = not living
        pid = living[0] if living else self._spawn()
        self._pid, self._watch = pid, os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(self._watch, self._ended, died)
        await self._answers()
        return fresh

    def _spawn(self) -> int:
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        command = [self._program, "-host", API, "-port", str(self.port)]
        try:
            # A session of its own: what is sent to the agent's group must not reach it.
            pid = os.posix_spawn(
                self._program,
                command,
                {"LOG_LEVEL": "error"},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
            )
        finally:
            os.close(log)
            os.close(null)
        self._ledger.note(pid)
        return pid

    def _ended(self, died: Callable[[Relay], None]) -> None:
        self._forget()
        died(self)

    def _forget(self) -> None:
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1
        with contextlib.suppress(ChildProcessError):  # an earlier agent's child: process 1 buries it
            os.waitpid(self._pid, os.WNOHANG)
        self._pid = 0

    async def _answers(self) -> None:
        try:
            async with asyncio.timeout(_START_S):
                while True:
                    try:
                        return await self._check()
                    except OSError:
                        if not self._pid:
                            raise
                        await asyncio.sleep(_PAUSE_S)
        except TimeoutError:
            raise RelayError(f"relay {self.number} does not answer within {_START_S:g} s") from None

    async def _check(self) -> None:
        await self._call("GET", "/version")

    async def listeners(self) -> dict[str, tuple[int, tuple[Toxic, ...]]]:
        """Return what it carries: by a listener's name its port, and the toxics that are on it."""
        proxies = await self._call("GET", "/proxies")
        return {name: (_port(proxy), tuple(map(_toxic, proxy["toxics"]))) for name, proxy in proxies.items()}

    async def carry(self, upstreams: Mapping[str, str]) -> dict[str, int]:
        """Make listeners, by name with the address that each dials; return their ports. None may be there already:
        Toxiproxy would replace it, and end what goes through it."""
        wanted = [
            {"name": name, "listen": f"{self.address}:0", "upstream": upstream, "enabled": True}
            for name, upstream in upstreams.items()
        ]
        ports: dict[str, int] = {}
        for start in range(0, len(wanted), _BATCH):
            answer = await self._call("POST", "/populate", wanted[start : start + _BATCH])
            ports |= {proxy["name"]: _port(proxy) for proxy in answer["proxies"]}
        return ports

    async def drop(self, names: Iterable[str]) -> None:
        """Remove listeners, with the connections through them; one that is not there is fine."""
        await asyncio.gather(
            *(self._call("DELETE", f"/proxies/{quote(name)}", fine=(404,)) for name in names)
        )

    async def toxics(self, name: str) -> tuple[Toxic, ...]:
        """Return what is on one listener: each way in the order of the row."""
        return tuple(map(_toxic, await self._call("GET", f"/proxies/{quote(name)}/toxics")))

    async def change(self, changes: Sequence[Change]) -> list[str]:
        """Put toxics on listeners and take them off, in this order; return why each failed, empty where it did not.

        Requests go out without a wait for the answers before (RFC 9112, 9.3.2): a fault may be on 10,000 links.
        """
        failures: list[str] = []
        try:
            async with asyncio.timeout(_CALL_S):
                reader, writer = await asyncio.open_connection(API, self.port)
                try:
                    for start in range(0, len(changes), _PIPELINE):
                        batch = changes[start : start + _PIPELINE]
                        writer.write(b"".join(map(_request, batch)))
                        await writer.drain()
                        failures += [_failure(one, *await _answer(reader)) for one in batch]
                finally:
                    writer.close()
        except (OSError, EOFError, ValueError) as error:  # a TimeoutError is an OSError
            raise RelayError(
                f"relay {self.number} does not answer: {error or 'no answer in time'}"
            ) from error
        return failures

    async def _call(self, method: str, path: str, body: Any = None, *, fine: Sequence[int] = ()) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        session = await self._free.get()
        try:
            status, answer = await session.ask(method, path, content, timeout=_CALL_S)
        finally:
            self._free.put_nowait(session)
        if status >= 300 and status not in fine:
            raise RelayError(f"relay {self.number}: {answer.decode(errors='replace').strip()}")
        return json.loads(answer) if answer[:1] in (b"{", b"[") else None

    def end(self) -> None:
        """End the process, and forget it."""
        if self._watch >= 0:
            signal.pidfd_send_signal(self._watch, signal.SIGKILL)
            self._forget()

    def close(self) -> None:
        """Let go of the process; it goes on."""
        for session in self._sessions:
            session.close()
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)


def _request(change: Change) -> bytes:
    path, body = f"/proxies/{quote(change.listener)}/toxics", b""
    if change.on:
        raw = {
            "name": change.toxic.name,
            "type": change.toxic.type,
            "stream": change.toxic.stream,
            "toxicity": change.toxic.toxicity,
            "attributes": dict(change.toxic.attributes),
        }
        body = json.dumps(raw).encode()
    else:
        path += f"/{quote(change.toxic.name)}"
    head = f"{'POST' if change.on else 'DELETE'} {path} HTTP/1.1\r\nHost: relay\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer; the API says the length of each that is as short as these."""
    status = int((await reader.readline()).split()[1])
    length = 0
    while line := (await reader.readline()).strip():
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            length = int(value)
    return status, await reader.readexactly(length)


def _failure(change: Change, status: int, answer: bytes) -> str:
    if status < 300 or (status == 404 and not change.on):  # what is to go and is not there is fine
        return ""
    return f"{change.listener}: {answer.decode(errors='replace').strip()}"


def _own_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _port(proxy: Mapping[str, Any]) -> int:
    return int(proxy["listen"].rpartition(":")[2])


def _toxic(raw: Mapping[str, Any]) -> Toxic:
    return Toxic(raw["name"], raw["type"], raw["stream"], float(raw["toxicity"]), raw["attributes"])
