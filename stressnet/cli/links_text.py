"""How the links of a net are shown."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stressnet.engine.links import LinksStatus

_COLUMNS = ("FROM", "TO", "SENT", "PACKETS", "CONNECTIONS", "DROPPED", "BYPASSED", "SPOOFED")


def links_summary(net: str, status: LinksStatus) -> Text:
    """Return one line: whether links are under control, and whether anything tried to get around it."""
    line = Text.assemble((net, "bold"))
    problem = status.packets_problem or status.streams_problem
    if problem:
        line.append(" · streams are not under control: ", style="red").append(problem)
        return line
    line.append(f" · {status.relays} relay{'s' if status.relays != 1 else ''}")
    line.append(f" · {len(status.links)} links have carried something")
    if status.uncontrolled:
        line.append(f" · {status.uncontrolled} packets tried to get around control", style="red")
    else:
        line.append(" · nothing has got around control", style="green")
    for what, times in status.changed_by_others.items():
        if times:
            words = f" · somebody else changed the {what} of links, {times} time{'s' if times != 1 else ''}"
            line.append(words, style="red")
    return line


def links_table(status: LinksStatus) -> RenderableType:
    """Return a row for each link that has carried something."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(_COLUMNS):
        made.add_column(title, no_wrap=True, justify="left" if place < 2 else "right")
    for link in status.links:
        made.add_row(
            link.source,
            link.target,
            f"{link.bytes / 1024:.0f}KiB",
            *(str(number) for number in (link.carried, link.connections, link.dropped)),
            *(Text(str(number), style="red" if number else "") for number in (link.bypassed, link.spoofed)),
        )
    return made
