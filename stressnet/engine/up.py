"""From a plan to a live net, or back to nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from stressnet import state
from stressnet.backends.base import Backend
from stressnet.engine.choose import nets_called
from stressnet.engine.ending import undisturbed
from stressnet.engine.explain import explain
from stressnet.engine.files import stage
from stressnet.engine.status import answers
from stressnet.errors import AgentError, StageError, UsageError
from stressnet.plan import Node, Plan
from stressnet.spec.units import format_duration

_POLL_S = 0.1
_LOG_LINES = 10


class Report(Protocol):
    """Who is told how far it has come."""

    def step(self, name: str, done: int, total: int) -> None:
        """`done` of `total` nodes have passed the step of that name."""


async def up(plan: Plan, backend: Backend, report: Report, *, keep_failed: bool = False) -> None:
    """Bring a net up and return when every node that starts at once is ready.

    1. take the net's name; remains of a dead net of that name go first
    2. write the plan
    3. open the net's place: the world or the network, and the agent
    4. run the preparations of kinds and write the files of nodes
    5. make the nodes, each held at its gate
    6. release them; late ones wait at their gates for their time
    7. wait until the others are ready
    8. let the net outlive this program

    Whatever fails or interrupts, all of it is undone, unless `keep_failed`.
    """
    await backend.reach()
    with state.locked(plan.net):
        await _clear_the_way(plan, backend)
        begun = time.monotonic()
        try:
            state.write_plan(plan)
            await _bring_up(plan, backend, report)
            await backend.keep()
        except BaseException as error:
            if keep_failed and isinstance(error, StageError):
                await backend.keep()
                raise StageError(error.message, hints=(*error.hints, _left(plan))) from error
            await undisturbed(backend.destroy())  # what has stopped it is raised below
            if isinstance(error, AgentError) and plan.ttl_s and time.monotonic() - begun >= plan.ttl_s:
                found = f"net {plan.net!r} came to the end of its time to live, {format_duration(plan.ttl_s)}"
                raise StageError(f"{found}, before it was up", hints=("give it a longer --ttl",)) from error
            if isinstance(error, StageError):
                raise StageError(error.message, hints=(*error.hints, _undone(plan))) from error
            raise


def _undone(plan: Plan) -> str:
    return f"all of net {plan.net!r} was removed again, nothing is left (--keep-failed keeps it)"


def _left(plan: Plan) -> str:
    shows, removes = f"stressnet status {plan.net}", f"stressnet down {plan.net}"
    return f"net {plan.net!r} was left as it is: `{shows}` shows it, `{removes}` removes it"


async def _clear_the_way(plan: Plan, backend: Backend) -> None:
    found = nets_called(plan.net, (plan.backend,))
    for net in found:
        if net.complete:
            raise UsageError(
                f"net {plan.net!r} is up already, on {net.backend}",
                hints=(
                    "--reconcile starts what is missing, removes what is no longer in the file, restarts what changed",
                    "--replace removes it first",
                    f"`stressnet down {plan.net}` removes it",
                ),
            )
    if found:
        await backend.destroy()
    state.forget(plan.net)  # a folder without a plan is nobody's net


async def _bring_up(plan: Plan, backend: Backend, report: Report) -> None:
    await backend.open(plan)
    async with backend.keeping():
        await add(plan, plan.nodes, backend, report)
        await wait_ready(plan, [node for node in plan.nodes if not is_late(node)], backend, report)


async def add(plan: Plan, nodes: Sequence[Node], backend: Backend, report: Report) -> None:
    """Make these nodes, with their files, and release them."""
    await stage(plan, nodes, backend)
    await backend.create(plan, nodes, lambda step, done: report.step(step, done, len(nodes)))
    async with await backend.connect() as agent:
        await agent.call("release", names=[node.name for node in nodes])


def is_late(node: Node) -> bool:
    """Tell whether a node waits for a time or for others."""
    return bool(node.start.after_s or node.start.height)


async def wait_ready(plan: Plan, nodes: Sequence[Node], backend: Backend, report: Report) -> None:
    """Wait until these nodes are ready; StageError names those that ended or took too long."""
    async with aclosing(answers(backend, _POLL_S)) as states:
        async for status in states:
            observed = {node.name: status["nodes"].get(node.name, {"state": "absent"}) for node in nodes}
            done = sum(now["state"] == "ready" for now in observed.values())
            report.step("ready", done, len(nodes))
            if done == len(nodes):
                return
            failed = [node for node in nodes if _has_failed(node, observed[node.name], status["now"])]
            if failed:
                raise await _failure(plan, failed, observed, backend)


def _has_failed(node: Node, now: Mapping[str, Any], clock: float) -> bool:
    if now["state"] in ("exited", "refused", "absent"):
        return True
    return bool(
        now["state"] == "starting" and now["started_at"] and clock - now["started_at"] > node.ready_timeout_s
    )


async def _failure(
    plan: Plan, failed: Sequence[Node], observed: Mapping[str, Mapping[str, Any]], backend: Backend
) -> StageError:
    fates = await backend.fates()
    lines = [f"{len(failed)} of {len(plan.nodes)} nodes did not become ready:"]
    for node in failed[:5]:
        lines.append(f"  {node.name}: {explain(node, observed[node.name], fates.get(node.name))}")
        lines += [f"    | {line}" for line in await last_lines(backend, node.name)]
    if len(failed) > 5:
        lines.append(f"  and {len(failed) - 5} more: {', '.join(node.name for node in failed[5:15])} …")
    return StageError("\n".join(lines))


async def last_lines(backend: Backend, name: str) -> list[str]:
    """Return the end of a node's log."""
    lines = [
        line.decode(errors="replace") async for line in backend.logs(name, follow=False, tail=_LOG_LINES)
    ]
    return lines or ["(it wrote nothing)"]
