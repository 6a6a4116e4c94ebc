"""Ask nodes what checks want to know of them now and then: a block's hash, whether they are in sync, their stacks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stressnet.agent.probes import ProbeFailed
from stressnet.agent.runtime import NoSuchNode
from stressnet.agent.supervisor import Supervisor
from stressnet.faults.kind import Value
from stressnet.plan import Probe

QUESTIONS = ("block", "in_sync", "stacks")
_LONGEST = 1 << 20
"""Characters of one text that are told."""
_ALTOGETHER = 10 << 20
"""Of all texts of one answer: as JSON it is six times as long at most, and still fits into a line."""
_SHOWN = 200

Told = dict[str, Any]
"""`{"value": ...}`, or `{"error": ...}` with the words why there is none."""


class WrongQuestion(ValueError):
    """What is asked cannot be asked of any node; nobody was asked."""


async def ask(
    supervisor: Supervisor, names: Sequence[str], what: str, parameters: Mapping[str, Value]
) -> dict[str, Told]:
    """Ask nodes side by side; a node that does not answer keeps no other waiting."""
    _check(what, parameters)
    longest = min(_LONGEST, _ALTOGETHER // max(1, len(names)))
    nodes = {node.name: node for node in supervisor.plan.nodes}
    probes: list[Probe | None] = [getattr(nodes[name], what) for name in names]
    asked = [probe and probe.about(parameters) for probe in probes]
    told = await asyncio.gather(
        *(_ask(supervisor, name, probe, what, longest) for name, probe in zip(names, asked, strict=True))
    )
    return dict(zip(names, told, strict=True))


def _check(what: str, parameters: Mapping[str, Value]) -> None:
    if what not in QUESTIONS:
        raise WrongQuestion(f"nodes cannot be asked for {what!r}, only for {', '.join(QUESTIONS)}")
    wanted = {"height"} if what == "block" else set()
    if set(parameters) != wanted:
        raise WrongQuestion(f"{what} takes {', '.join(wanted) or 'no parameters'}, not {sorted(parameters)}")
    if wanted and type(parameters["height"]) is not int:
        raise WrongQuestion(f"a height is a whole number, not {parameters['height']!r}")


async def _ask(supervisor: Supervisor, name: str, probe: Probe | None, what: str, longest: int) -> Told:
    if probe is None:
        return {"error": "its kind does not say how"}
    now = supervisor.observed[name]
    if not now.pid:
        return {"error": f"it does not run: it is {now.state}" + (f", {now.reason}" if now.reason else "")}
    prober = supervisor.prober(name)
    try:
        return {"value": _READ[what](await prober.value(probe), longest)}
    except NoSuchNode:
        return {"error": "it has ended"}
    except ProbeFailed as error:
        return {"error": str(error)}
    except Exception as error:  # a node may answer anything; what others say is wanted all the same
        return {"error": repr(error)[:_SHOWN]}
    finally:
        prober.close()


def _text(value: Any, longest: int) -> str:
    """Read a text, and cut it where it is too long."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise ProbeFailed(f"the answer is {repr(text)[:_SHOWN]}, not a text")
    return (
        text
        if len(text) <= longest
        else f"{text[:longest]}\n... cut after {longest} of {len(text)} characters"
    )


def _hash(value: Any, _: int) -> str:
    text = _text(value, _LONGEST).strip()
    if not text or len(text) > _SHOWN:
        raise ProbeFailed(f"a hash of {len(text)} characters")
    return text


def _flag(value: Any, _: int) -> bool:
    flag = {b"true": True, b"false": False}.get(value.strip(), value) if isinstance(value, bytes) else value
    if not isinstance(flag, bool):
        raise ProbeFailed(f"the answer is {repr(flag)[:_SHOWN]}, not true or false")
    return flag


_READ: Mapping[str, Callable[[Any, int], Any]] = {"block": _hash, "in_sync": _flag, "stacks": _text}
