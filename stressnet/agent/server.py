"""The agent's socket: answers the controller's calls, one JSON line each (see `protocol`)."""

from __future__ import annotations

import asyncio
import io
import json
import os
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from stressnet import __version__
from stressnet.agent.admission import FaultRefused
from stressnet.agent.asking import WrongQuestion, ask
from stressnet.agent.capture import CaptureRefused
from stressnet.agent.control import Control
from stressnet.agent.keeper import NoSuchFault
from stressnet.agent.probes import LOOPBACK
from stressnet.agent.protocol import LINE_LIMIT, STREAMS, carry
from stressnet.agent.runtime import NoSuchNode, Runtime
from stressnet.agent.sockets import connect
from stressnet.agent.sockettable import socket_tables
from stressnet.agent.supervisor import Supervisor
from stressnet.faults.fault import Fault
from stressnet.faults.kind import Value
from stressnet.plan import Plan

SOCKET = "agent.sock"
_CHUNK = 1 << 18

Call = Callable[..., Awaitable[Any]]


class Server:
    """Serves one supervisor on a socket in the agent's directory."""

    def __init__(self, supervisor: Supervisor, runtime: Runtime, control: Control, directory: Path) -> None:
        self._supervisor = supervisor
        self._control = control
        self._runtime = runtime
        self._directory = directory
        self.finished = asyncio.Event()
        """Set when the controller has asked the agent to end for good."""
        self._calls: dict[str, Call] = {
            "hello": self._hello,
            "plan": self._plan,
            "status": self._status,
            "replan": self._replan,
            "hold": self._hold,
            "release": self._release,
            "stop": self._stop,
            "remove": self._remove,
            "shutdown": self._shutdown,
            "fault_add": self._fault_add,
            "fault_list": self._fault_list,
            "fault_heal": self._fault_heal,
            "fault_renew": self._fault_renew,
            "links": self._links,
            "connected": self._connected,
            "control": self._control_of_links,
            "ask": self._ask,
            "sockets": self._sockets,
            "capture": self._capture,
        }

        self._bytes: dict[str, Call] = {
            "dial": self._dial,
            "relay": self._dial_relay,
            "samples": self._send_samples,
            "capture_take": self._send_packets,
        }
        """Calls that write more than an answer."""

    async def start(self) -> None:
        """Listen; only the user who owns the net can connect."""
        # A relative path, because the whole path of a socket may not exceed 107 bytes (unix(7)).
        os.chdir(self._directory)
        Path(SOCKET).unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, SOCKET, limit=LINE_LIMIT)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                request = json.loads(line)
                if request["call"] in self._bytes:
                    await self._bytes[request["call"]](reader, writer, **request["args"])
                    if request["call"] in STREAMS:
                        return
                else:
                    writer.write(json.dumps(await self._answer(request)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, KeyError):
            return
        finally:
            writer.close()

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        call = self._calls.get(request["call"])
        if call is None:
            return {"error": f"the agent knows no call {request['call']!r}"}
        try:
            return {"result": await call(**request["args"])}
        except NoSuchNode as error:
            return {"error": f"no node {error.name!r} in this net"}
        except (OSError, FaultRefused, WrongQuestion, CaptureRefused) as error:
            return {"error": str(error) or type(error).__name__}
        except Exception as error:  # a bug of ours: said as what it is, and where in the agent's log
            traceback.print_exc()
            return {"error": f"the agent failed at {request['call']}: {error!r}"}

    def _known(self, names: Sequence[str]) -> Sequence[str]:
        there = {node.name for node in self._supervisor.plan.nodes}
        for name in names:
            if name not in there:
                raise NoSuchNode(name)
        return names

    async def _hello(self) -> dict[str, Any]:
        return {"version": __version__, "net": self._supervisor.plan.net, "pid": os.getpid()}

    async def _plan(self) -> str:
        return self._supervisor.plan.to_json()

    async def _status(self) -> dict[str, Any]:
        return self._supervisor.status()

    async def _replan(self, plan: str) -> None:
        changed = Plan.from_json(plan)
        self._supervisor.replan(changed)
        await self._control.replan(changed)
        self._runtime.replan(changed)

    async def _hold(self, names: Sequence[str]) -> None:
        await self._runtime.hold(self._known(names))

    async def _release(self, names: Sequence[str]) -> None:
        await self._supervisor.release(self._known(names))

    async def _stop(self, names: Sequence[str]) -> None:
        await asyncio.gather(*(self._runtime.stop(name) for name in self._known(names)))

    async def _remove(self, names: Sequence[str]) -> None:
        await self._supervisor.forget(self._known(names))

    async def _fault_add(self, faults: Sequence[dict[str, Any]], lease_s: float = 0.0) -> dict[str, Any]:
        await self._control.under_control()
        ids, notes = await self._control.keeper.add([Fault.from_raw(raw) for raw in faults], lease_s)
        return {"ids": ids, "notes": notes}

    async def _fault_list(self, first: int = 0) -> list[dict[str, Any]]:
        await self._control.under_control()  # an agent that has just been started knows of none yet
        return self._control.keeper.listed(first)

    async def _fault_heal(self, ids: Sequence[str] = (), everything: bool = False) -> dict[str, Any]:
        await self._control.under_control()
        try:
            healed = await (self._control.keeper.heal_all() if everything else self._control.keeper.heal(ids))
        except NoSuchFault as error:
            raise FaultRefused(f"no fault {error.name!r} is on") from None
        return {"healed": healed}

    async def _fault_renew(self, ids: Sequence[str], lease_s: float) -> None:
        await self._control.under_control()
        try:
            await self._control.keeper.renew(ids, lease_s)
        except NoSuchFault as error:
            raise FaultRefused(f"no fault {error.name!r} is on") from None

    async def _links(self) -> list[dict[str, Any]]:
        await self._control.under_control()
        return [
            {"source": source, "target": target, **asdict(count)}
            for (source, target), count in self._control.links.counted().items()
        ]

    async def _connected(self) -> list[tuple[str, str]]:
        return self._control.connected()

    async def _control_of_links(self) -> dict[str, Any]:
        await self._control.under_control()
        links = self._control.links
        links.notice_others()
        return {
            "packets_problem": links.problem,
            "streams_problem": links.streams_problem,
            "lacks": links.lacks,
            "relays": len(links.relays),
            "changed_by_others": links.of_others,
        }

    async def _ask(
        self, nodes: Sequence[str], what: str, parameters: dict[str, Value] | None = None
    ) -> dict[str, Any]:
        return await ask(self._supervisor, self._known(nodes), what, parameters or {})

    async def _sockets(self, nodes: Sequence[str]) -> dict[str, Any]:
        return await socket_tables(self._supervisor, self._known(nodes))

    async def _capture(self, nodes: Sequence[str], mib: int) -> None:
        self._control.captures.keep(self._known(nodes), mib)

    async def _shutdown(self) -> None:
        self.finished.set()

    async def _dial(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: str, port: int
    ) -> None:
        try:
            self._known([node])
            address = self._supervisor.plan.node(node).address
            inside = await connect(lambda: self._supervisor.open_socket(node), (LOOPBACK, address), port)
        except NoSuchNode:
            writer.write(json.dumps({"error": f"no node {node!r} runs in this net"}).encode() + b"\n")
            return
        except OSError as error:
            writer.write(json.dumps({"error": f"{node}:{port}: {error.strerror or error}"}).encode() + b"\n")
            return
        writer.write(b'{"result": null}\n')
        await carry((reader, writer), await asyncio.open_connection(sock=inside))

    async def _dial_relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: str
    ) -> None:
        try:
            port = self._control.links.relays.port(node)
            far = await asyncio.open_connection(LOOPBACK, port)
        except LookupError:
            writer.write(json.dumps({"error": f"node {node!r} has no relay"}).encode() + b"\n")
            return
        except OSError as error:
            writer.write(json.dumps({"error": f"the relay of {node}: {error}"}).encode() + b"\n")
            return
        writer.write(b'{"result": null}\n')
        await carry((reader, writer), far)

    async def _send_samples(
        self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, since: float
    ) -> None:
        """Send the size of a file of samples, and then the file."""
        with tempfile.TemporaryDirectory(prefix="samples-", dir=".") as folder:
            copy = Path(folder) / "copy.db"
            try:
                await self._control.sampler.copy_to(copy, since)
            except OSError as error:
                writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
                return
            with copy.open("rb") as file:
                writer.write(json.dumps({"result": os.fstat(file.fileno()).st_size}).encode() + b"\n")
                await _send(file, writer)

    async def _send_packets(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, node: str) -> None:
        """Send the size of a file of packets and what is in it, and then the file."""
        try:
            found = await self._control.captures.take(node)
        except CaptureRefused as error:
            writer.write(json.dumps({"error": str(error)}).encode() + b"\n")
            return
        told = {"size": len(found.content), "count": found.count, "lost": found.lost}
        writer.write(json.dumps({"result": told}).encode() + b"\n")
        await _send(io.BytesIO(found.content), writer)

    async def close(self) -> None:
        """Stop listening."""
        self._server.close()


async def _send(file: BinaryIO, writer: asyncio.StreamWriter) -> None:
    while chunk := file.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
