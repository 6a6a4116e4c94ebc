"""The agent's program: read the plan, take up what is there, and serve until told to end."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from stressnet.agent import kernel, names
from stressnet.agent.control import Control
from stressnet.agent.matching import Matcher
from stressnet.agent.runtime import Runtime
from stressnet.agent.server import Server
from stressnet.agent.supervisor import Supervisor, Witness
from stressnet.plan import Plan

Part = Callable[[], Awaitable[None]]
"""Something that goes on until it is cancelled."""


def main() -> None:
    """`python -m stressnet.agent DIRECTORY`, in the agent's container; DIRECTORY holds plan.json and gets the socket.

    It ends with status 0 when the net has ended; anything else tells process 1 that the agent must come back.
    """
    from stressnet.agent.docker import DockerRuntime

    directory = Path(sys.argv[1])
    matcher = Matcher()
    runtime = DockerRuntime(directory, matcher)
    asyncio.run(
        _run(directory, runtime, lambda _: None, matcher, [])
    )  # the engine knows how a container ended


def serve_world(directory: Path, view: int, launcher: int, connection: socket.socket) -> None:
    """Be the agent of a world; `view` is a descriptor of the nodes' mount namespace. Return when the net has ended."""
    from stressnet.agent import logfile
    from stressnet.agent.execute import ExecuteServer
    from stressnet.agent.netns import NetnsRuntime, witnessed
    from stressnet.agent.programs import Programs

    programs = Programs(launcher, connection)
    runtime = NetnsRuntime(directory, view, programs)
    logs = partial(logfile.keep_trimmed, directory / "logs")
    parts: list[Part] = [ExecuteServer(runtime).run, programs.run, logs]
    asyncio.run(_run(directory, runtime, witnessed, Matcher(), parts))


async def _run(
    directory: Path, runtime: Runtime, witness: Witness, matcher: Matcher, parts: Sequence[Part]
) -> None:
    kernel.set_name(names.AGENT)
    plan = Plan.from_json((directory / "plan.json").read_text())
    supervisor = Supervisor(plan, runtime, directory, witness, matcher)
    control = Control(supervisor, runtime, directory)
    server = Server(supervisor, runtime, control, directory)
    await runtime.start(plan, supervisor)
    supervisor.settle()
    await server.start()
    tasks = [asyncio.ensure_future(part()) for part in (control.run, supervisor.run, *parts)]
    ended = asyncio.create_task(server.finished.wait())
    done, _ = await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done - {ended}:
        task.result()  # a part that must not end has: fail loudly, and be started again
    for task in tasks:
        task.cancel()
    await server.close()
    control.close()
    await supervisor.close()
    await runtime.close()
    await matcher.close()


if __name__ == "__main__":
    main()
