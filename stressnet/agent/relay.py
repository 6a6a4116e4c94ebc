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
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stressnet.agent import processes
from stressnet.agent.ledger import Ledger
from stressnet.faults.compose import Toxic
from stressnet.faults.row import Step

if TYPE_CHECKING:
    from stressnet.agent.http import Session

API = "127.0.0.1"
_FIRST_PORT = 8474
_START_S = 10.0
_CALL_S = 30.0
"""For a call that may be about thousands of listeners."""
_SHORT_CALL_S = 5.0
"""For one that changes no more than one."""
PATIENCE_S = 0.6
"""For the next of the answers about toxics: well under a millisecond each, unless a toxic has to let go (see `row`)."""
_END_S = 5.0
_PAUSE_S = 0.005
_PIPELINE = 100
_BATCH = 2000
"""Listeners that are asked for in one call."""
_TIMED_OUT = 503
"""What the API says after 25 s in which it could not do something; it goes on trying all the same."""

_Answer = tuple[int, bytes]
"""Status and content."""


class RelayError(OSError):
    """The relay did not do what it was asked to."""


class RelayStuck(RelayError):
    """The relay did not answer: it has ended, or can do nothing more on some listener."""


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
        await self._call("GET", "/version", short=True)

    async def listeners(self) -> dict[str, tuple[int, tuple[Toxic, ...]]]:
        """Return what it carries: by a listener's name its port, and the toxics that are on it."""
        proxies = await self._call("GET", "/proxies", short=True)
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
            *(self._call("DELETE", f"/proxies/{quote(name)}", fine=(404,), short=True) for name in names)
        )

    async def toxics(self, name: str) -> tuple[Toxic, ...]:
        """Return what is on one listener: each way in the order of the row."""
        return tuple(map(_toxic, await self._call("GET", f"/proxies/{quote(name)}/toxics", short=True)))

    async def change(
        self, wanted: Mapping[str, Iterable[Step]], patience_s: float = PATIENCE_S
    ) -> dict[str, str]:
        """Take steps on the rows of listeners, each listener's in their order; return why some failed, by listener.

        RelayStuck where twice as long none comes, after which the process is of no use any more. Requests go out
        without a wait for the answers before (RFC 9112, 9.3.2): a fault may be on 10,000 links.
        """
        steps = [(name, step) for name, some in wanted.items() for step in some]
        said: list[str] = []
        talking = asyncio.ensure_future(self._talk(steps, said))
        try:
            known = quiet = 0
            while not (await asyncio.wait([talking], timeout=patience_s))[0]:
                quiet, known = (0 if len(said) > known else quiet + 1), len(said)
                if quiet > 1:
                    raise TimeoutError
                await self._check()  # a machine that is busy keeps this one waiting too
            await talking
        except (OSError, EOFError, ValueError) as error:
            raise RelayStuck(f"relay {self.number} does not answer: {_words(error)}") from error
        finally:
            talking.cancel()
        return {name: why for (name, _), why in zip(reversed(steps), reversed(said), strict=True) if why}

    async def _talk(self, steps: Sequence[tuple[str, Step]], said: list[str]) -> None:
        """Take steps; add to `said` why each failed, empty where it did not."""
        reader, writer = await asyncio.open_connection(API, self.port)
        try:
            for start in range(0, len(steps), _PIPELINE):
                batch = steps[start : start + _PIPELINE]
                writer.write(b"".join(_request(*one) for one in batch))
                await writer.drain()
                for _, step in batch:
                    said.append(_failure(step, *await _answer(reader)))
        finally:
            writer.close()

    async def _call(
        self, method: str, path: str, body: Any = None, *, fine: Sequence[int] = (), short: bool = False
    ) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        session = await self._free.get()
        try:
            status, answer = await session.ask(
                method, path, content, timeout=_SHORT_CALL_S if short else _CALL_S
            )
        except OSError as error:
            raise RelayStuck(f"relay {self.number} does not answer: {_words(error)}") from error
        finally:
            self._free.put_nowait(session)
        if status == _TIMED_OUT:
            raise RelayStuck(f"relay {self.number} does not answer: {_words(TimeoutError())}")
        if status >= 300 and status not in fine:
            raise RelayError(f"relay {self.number}: {_said(answer)}")
        return json.loads(answer) if answer[:1] in (b"{", b"[") else None

    async def end(self) -> None:
        """End the process, and forget it; nobody is told that it has died."""
        if self._watch < 0:
            return
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._watch, ended.set)  # instead of what `start` has put there
        signal.pidfd_send_signal(self._watch, signal.SIGKILL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _END_S)
        self._forget()

    def close(self) -> None:
        """Let go of the process; it goes on."""
        for session in self._sessions:
            session.close()
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)


def _request(listener: str, step: Step) -> bytes:
    toxic, path, body = step.toxic, f"/proxies/{quote(listener)}/toxics", b""
    if step.verb != "add":
        path += f"/{quote(toxic.name)}"
    if step.verb != "remove":
        raw = {
            "name": toxic.name,
            "type": toxic.type,
            "stream": toxic.stream,
            "toxicity": toxic.toxicity,
            "attributes": dict(toxic.attributes),
        }
        body = json.dumps(raw).encode()
    verb = "DELETE" if step.verb == "remove" else "POST"  # PATCH came with version 2.6.0
    return f"{verb} {path} HTTP/1.1\r\nHost: relay\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def _answer(reader: asyncio.StreamReader) -> _Answer:
    """Read one answer; the API says the length of each that is as short as these."""
    first = (await reader.readline()).split()
    if len(first) < 2:
        raise EOFError("it closed the connection")
    status, length = int(first[1]), 0
    while line := (await reader.readline()).strip():
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            length = int(value)
    if status == _TIMED_OUT:
        raise TimeoutError
    return status, await reader.readexactly(length)


def _failure(step: Step, status: int, answer: bytes) -> str:
    goes = step.verb == "remove" or (step.verb == "set" and not step.toxic.toxicity)
    if status < 300 or (status == 404 and goes):  # what is to go and is not there is fine
        return ""
    return _said(answer)


def _said(answer: bytes) -> str:
    """Return the words of an error of the API."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, LookupError, TypeError):
        return answer.decode(errors="replace").strip()


def _words(error: Exception) -> str:
    """Say why there was no answer."""
    return str(error) or ("none came in time" if isinstance(error, TimeoutError) else type(error).__name__)


def _own_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _port(proxy: Mapping[str, Any]) -> int:
    return int(proxy["listen"].rpartition(":")[2])


def _toxic(raw: Mapping[str, Any]) -> Toxic:
    return Toxic(raw["name"], raw["type"], raw["stream"], float(raw["toxicity"]), raw["attributes"])
