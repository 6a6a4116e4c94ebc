"""The live table of a net's nodes."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import age, console, print_lines, size
from stressnet.engine.status import NetStatus, NodeStatus

_STYLES = {"ready": "green", "starting": "yellow", "waiting": "cyan", "exited": "red", "refused": "red"}
_ORDER = ("refused", "exited", "absent", "starting", "held", "waiting", "ready")


def summary(net: NetStatus) -> Text:
    """Return one line: the net, its highest block, how many nodes are in which state."""
    line = Text.assemble((net.net, "bold"), f" on {net.backend}: {len(net.nodes)} nodes")
    for state, count in sorted(net.count().items(), key=lambda item: _ORDER.index(item[0]), reverse=True):
        line.append(f" · {count} {state}", style=_STYLES.get(state, ""))
    if net.highest is not None:
        line.append(f" · height {net.highest}")
    return line


def table(net: NetStatus, rows: int | None = None, width: int = 200) -> RenderableType:
    """Return the table, at most `rows` nodes long (those in trouble first, the rest counted) and `width` wide."""
    shown = net.nodes
    if rows is not None and len(shown) > rows:
        trouble = sorted(net.nodes, key=lambda node: (_ORDER.index(node.state), -(node.lag or 0)))
        chosen = {node.node for node in trouble[: max(rows - 1, 1)]}
        shown = tuple(node for node in net.nodes if node.node in chosen)
    regions = any(node.region for node in net.nodes)
    streams = any(node.streams is not None for node in net.nodes)
    names = ["NODE", "ROLE", *(["REGION"] if regions else []), "STATE"]
    numbers = ["HEIGHT", "LAG", "PEERS", *(["STREAMS"] if streams else []), "CPU", "RSS", "AGE"]
    rows_of_facts = [_cells(node, regions, streams) for node in shown]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in names:
        made.add_column(title, no_wrap=True)
    for title in numbers:
        made.add_column(title, justify="right", no_wrap=True)
    made.add_column("", style="dim", no_wrap=True)
    room = width - width_of([[*names, *numbers], *rows_of_facts])
    below = any(len(node.reason) > room for node in shown)
    for node, facts in zip(shown, rows_of_facts, strict=True):
        made.add_row(*facts, "" if below else node.reason)
    rest = len(net.nodes) - len(shown)
    more = [Text(f"… and {rest} more", style="dim")] if rest else []
    more += [
        Text(cut(f"{node.node}: {node.reason}", width), style="dim")
        for node in shown
        if below and node.reason
    ]
    return Group(made, *more) if more else made


def width_of(rows: Sequence[Sequence[str | Text]]) -> int:
    """Return how wide columns of facts are, with two blanks after each."""
    return sum(max(cell_len(str(cell)) for cell in column) + 2 for column in zip(*rows, strict=True))


def cut(reason: str, room: int) -> str:
    """Cut a text to its room: what explains gives way to facts where the terminal is narrow."""
    return reason if len(reason) <= room else reason[: max(0, room - 1)] + "…"


def _cells(node: NodeStatus, regions: bool, streams: bool) -> list[str | Text]:
    cells: list[str | Text] = [node.node, node.role]
    if regions:
        cells.append(node.region or "–")
    restarts = f" ×{node.starts}" if node.starts > 1 else ""
    cells.append(Text(node.state + restarts, style=_STYLES.get(node.state, "")))
    lag = Text(_number(node.lag), style="yellow" if (node.lag or 0) > 2 else "")
    cpu = "–" if node.cpu is None else f"{node.cpu * 100:.0f}%"
    return [
        *cells,
        _number(node.height),
        lag,
        _number(node.peers),
        *([_number(node.streams)] if streams else []),
        cpu,
        size(node.rss_bytes),
        age(node.age_s),
    ]


def _number(value: int | None) -> str:
    return "–" if value is None else str(value)


class Screen:
    """Shows a net as it changes: a live table at a terminal; elsewhere a line when it differs, at last the table."""

    def __init__(self, *, live: bool) -> None:
        self._wanted = live
        self._live = Live(console=console(), auto_refresh=False) if live and console().is_terminal else None
        self._said = ""

    def show(self, net: NetStatus, *, last: bool = False) -> None:
        """Show the net as it is now."""
        if not self._wanted:
            return
        if self._live is not None:
            rows = self._live.console.size.height - 4
            self._live.update(
                Group(summary(net), "", table(net, rows, self._live.console.size.width)), refresh=True
            )
            return
        line = summary(net).plain
        if line != self._said:
            print_lines(line)
            self._said = line
        if last:
            print_lines("", table(net))

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
