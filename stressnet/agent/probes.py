"""Ask a node for one fact, as its kind says: is it ready, how high is it, what is the hash of a block of it.

What speaks HTTP and reads JMESPath is imported by the first question that needs it, not by the agent's start.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stressnet.agent.logfile import first_data
from stressnet.agent.matching import Matcher, TooSlow
from stressnet.agent.sockets import OpenSocket, connect
from stressnet.plan import Node, Probe

if TYPE_CHECKING:
    from stressnet.agent.http import Session

_TIMEOUT_S = 3.0
LOOPBACK = "127.0.0.1"
_STEP = 2**20
"""Bytes of a log that are looked through at a time."""
_LONGEST_LINE = 2**16
_SHOWN = 200
_TOO_LARGE = 2**63


class ProbeFailed(Exception):
    """The node did not answer, or not with what its kind says it answers."""


@cache
def _compiled(expression: str) -> Any:
    import jmespath

    return jmespath.compile(expression)


class Prober:
    """Asks one node; keeps its connections between questions."""

    def __init__(
        self, node: Node, open_socket: OpenSocket, log: Path, log_start: int, matcher: Matcher
    ) -> None:
        """`log_start` is where in the log this run of the node begins, in bytes."""
        self._node = node
        self._open = open_socket
        self._log = log
        self._read_to = log_start
        self._matcher = matcher
        self._sessions: dict[int, Session] = {}

    @property
    def _addresses(self) -> tuple[str, ...]:
        # Loopback first: many nodes serve RPC there alone, and those that serve everywhere answer too.
        return (LOOPBACK, self._node.address)

    async def ready(self) -> None:
        """Return if the node is ready; ProbeFailed says why it is not."""
        probe = self._node.ready
        if probe.via == "started":
            return
        if probe.via == "log":
            await self._find_in_log(probe.pattern)
        elif probe.via == "tcp":
            await self._accepts(probe.port)
        else:
            await self.value(probe)

    async def numbers(self, probes: Mapping[str, Probe]) -> dict[str, int | Exception]:
        """Return a height or a count for each probe, or why there is none; what two of them ask is asked once."""
        answers: dict[tuple[object, ...], bytes | Exception] = {}
        found: dict[str, int | Exception] = {}
        for fact, probe in probes.items():
            question = (probe.via, probe.port, probe.path, probe.method, repr(probe.params))
            try:
                if question not in answers:
                    answers[question] = await self._content(probe)
                answer = answers[question]
                if isinstance(answer, Exception):
                    raise answer
                found[fact] = _number(probe, self._pick(probe, answer) if probe.json else answer)
            except (
                Exception
            ) as error:  # a node may answer anything; the other facts may be there all the same
                answers.setdefault(question, error)
                found[fact] = error
        return found

    async def value(self, probe: Probe) -> Any:
        """Return what a node answers, as bytes where nothing is picked out of it; ProbeFailed says why not."""
        content = await self._content(probe)
        return self._pick(probe, content) if probe.json else content

    async def _content(self, probe: Probe) -> bytes:
        body = b""
        if probe.via == "rpc":
            call = {"jsonrpc": "2.0", "id": 1, "method": probe.method, "params": list(probe.params)}
            body = json.dumps(call).encode()
        status, content = await self._ask("POST" if body else "GET", probe, body)
        if status != 200:
            said = " ".join(content[:_SHOWN].decode(errors="replace").split())
            place = f"HTTP status {status} from port {probe.port}{probe.path}"
            raise ProbeFailed(f"{place}: {said}" if said else place)
        return content

    async def _ask(self, method: str, probe: Probe, body: bytes) -> tuple[int, bytes]:
        from stressnet.agent.http import Session

        session = self._sessions.get(probe.port)
        if session is None:
            session = self._sessions[probe.port] = Session(self._open, self._addresses, probe.port)
        try:
            return await session.ask(method, probe.path, body, timeout=_TIMEOUT_S)
        except TimeoutError:
            raise ProbeFailed(f"no answer from port {probe.port} within {_TIMEOUT_S:g} s") from None
        except OSError as error:
            raise ProbeFailed(f"port {probe.port}: {error.strerror or error}") from None

    @staticmethod
    def _pick(probe: Probe, content: bytes) -> Any:
        from jmespath.exceptions import JMESPathError

        try:
            value = _compiled(probe.json).search(json.loads(content))
        except JMESPathError as error:
            raise ProbeFailed(f"{probe.json!r} does not fit the answer: {error}") from None
        except (ValueError, RecursionError):
            raise ProbeFailed(f"port {probe.port}{probe.path} answered no JSON") from None
        if value is None:
            raise ProbeFailed(f"no {probe.json!r} in the answer: {content[:_SHOWN].decode(errors='replace')}")
        return value

    async def _accepts(self, port: int) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                (await connect(self._open, self._addresses, port)).close()
        except TimeoutError:
            raise ProbeFailed(f"port {port} does not answer") from None
        except OSError as error:
            raise ProbeFailed(f"port {port}: {error.strerror or error}") from None

    async def _find_in_log(self, pattern: str) -> None:
        if not self._log.exists():
            raise ProbeFailed("no log yet")
        with self._log.open("rb") as file:
            self._read_to = first_data(file.fileno(), self._read_to)
            file.seek(self._read_to)
            fresh = file.read(_STEP)
        try:
            if await self._matcher.finds(pattern, fresh):
                return
        except TooSlow as error:
            raise ProbeFailed(str(error)) from None
        # Whole lines need no second look; of a line without an end its last part is kept.
        self._read_to += max(fresh.rfind(b"\n") + 1, len(fresh) - _LONGEST_LINE)
        raise ProbeFailed(f"no line of the log matches {pattern!r} yet")

    def close(self) -> None:
        """Close what is open."""
        for session in self._sessions.values():
            session.close()


def _number(probe: Probe, value: Any) -> int:
    """Read a height or a count. A list counts its members; "12" and "0xc" are numbers too."""
    if isinstance(value, list | dict):
        return len(value)
    try:
        number = int(value) if isinstance(value, float) and value.is_integer() else int(str(value), 0)
        if abs(number) < _TOO_LARGE:
            return number
        raise ValueError
    except ValueError:
        raise ProbeFailed(f"{probe.json or 'the answer'} is {value!r}, not a number") from None
