"""A plan as a person reads it: groups folded into rows, then links, files, warnings, an estimate."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import console
from stressnet.engine.limits import warnings
from stressnet.estimate import Estimate, Machine
from stressnet.plan import Node, Plan, Start
from stressnet.spec.units import format_duration, format_size

_COLUMNS = ("NODE", "KIND", "ROLE", "REGION", "ADDRESS", "START", "KNOWS", "LIMITS")
_WIDEST_START = 40


def print_plan(plan: Plan, needed: Estimate, machine: Machine, *, every: bool = False) -> None:
    """Print the whole plan."""
    out = console()
    out.print(
        f"net {plan.net}: {len(plan.nodes)} nodes on {plan.backend}, seed {plan.seed}, "
        f"subnet {plan.subnet}, gateway {plan.gateway}\n",
        markup=False,
        soft_wrap=True,
    )
    rows = [[node] for node in plan.nodes] if every else _folded(plan.nodes)
    out.print(_table([_row(nodes) for nodes in rows]))
    for facts in (_programs, _links, _latencies, _preparations, _files):
        for line in facts(plan):
            out.print(line, markup=False, soft_wrap=True)
    out.print(
        f"estimate: {format_size(needed.memory)} of memory ({format_size(machine.memory)} to be had), "
        f"{needed.files} open files ({machine.files} to be had)",
        markup=False,
        soft_wrap=True,
    )
    for warning in (*warnings(plan), *needed.warnings(machine)):
        out.print(f"warning: {warning}", style="yellow", markup=False, soft_wrap=True)


def _table(rows: Sequence[Sequence[str]]) -> Table:
    """Return the rows below their headings, without the columns that are empty throughout."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    kept = [position for position in range(len(_COLUMNS)) if any(row[position] for row in rows)]
    for position in kept:
        table.add_column(_COLUMNS[position])
    for row in rows:
        table.add_row(*(Text(row[position]) for position in kept))
    return table


def _folded(nodes: Iterable[Node]) -> list[list[Node]]:
    return [list(alike) for _, alike in groupby(nodes, key=lambda node: node.group)]


def _row(nodes: Sequence[Node]) -> list[str]:
    first, last = nodes[0], nodes[-1]
    return [
        _span(first.name, last.name) + (f" ({len(nodes)})" if len(nodes) > 1 else ""),
        first.kind,
        first.role,
        first.region,
        _span(first.address, last.address),
        _start(first.start),
        _range([len(node.knows) for node in nodes]),
        _limits(first),
    ]


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} … {last}"


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _start(start: Start) -> str:
    words = [f"after {format_duration(start.after_s)}"] if start.after_s else []
    if start.height:
        of = ", ".join(start.of)
        whose = of if len(of) <= _WIDEST_START else f"{start.of[0]} and {len(start.of) - 1} more"
        words.append(f"at height {start.height} of {whose}")
    return ", ".join(words) or "at once"


def _limits(node: Node) -> str:
    words = [f"{node.cpu:g} CPU"] if node.cpu else []
    words += [format_size(node.memory)] if node.memory else []
    return ", ".join([*words, *([f"disk {format_size(node.disk)}"] if node.disk else [])])


def _programs(plan: Plan) -> list[str]:
    """Say what is run, and by which groups where a kind runs more than one thing."""
    users: dict[tuple[str, str], dict[str, None]] = {}
    for node in plan.nodes:
        what = " with ".join(filter(None, (node.image, node.binary)))
        users.setdefault((node.kind, what), {})[node.group] = None
    several = Counter(kind for kind, _ in users)
    lines = []
    for (kind, what), groups in users.items():
        whose = f"{kind} ({', '.join(groups)})" if several[kind] > 1 else kind
        lines.append(f"runs {whose}: {what}")
    return lines


def _links(plan: Plan) -> list[str]:
    degrees = Counter(len(node.knows) for node in plan.nodes)
    spread = ", ".join(f"{count} know {degree}" for degree, count in sorted(degrees.items())[:6])
    return [f"links: {len(plan.links())} ({spread})"]


def _latencies(plan: Plan) -> list[str]:
    lines = []
    for one in plan.latencies:
        jitter = f" ± {format_duration(one.jitter_s)}" if one.jitter_s else ""
        lines.append(f"latency: {one.source} → {one.target} {format_duration(one.delay_s)}{jitter}, one way")
    return lines


def _preparations(plan: Plan) -> list[str]:
    return [f"prepare {one.kind}: {shlex.join(one.command)}" for one in plan.preparations]


def _files(plan: Plan) -> list[str]:
    paths = dict.fromkeys((node.kind, file.path) for node in plan.nodes for file in node.files)
    kinds = dict.fromkeys(kind for kind, _ in paths)
    return [f"files of {kind}: {', '.join(path for one, path in paths if one == kind)}" for kind in kinds]
