"""How faults and their kinds are shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stressnet.cli.table import cut, width_of
from stressnet.cli.terminal import age
from stressnet.engine.faults import Standing, here
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind, Parameter
from stressnet.faults.kinds import KINDS
from stressnet.plan import shorten
from stressnet.report.figures import achieved
from stressnet.spec.fault import show_value
from stressnet.spec.units import format_duration

_STYLES = {"on": "yellow", "not achieved": "red", "failed": "red", "ended": "dim", "healed": "dim"}
_CAN = {"yes": "green", "by relay": "yellow", "no": "red", "not tried": "dim"}
_COLUMNS = ("ID", "KIND", "STATE", "ON", "ASKED", "ACHIEVED", "HITS", "SINCE", "UNTIL")
_READABLE = 20
"""Cells below which a summary is not cut but broken into lines."""
_WIDEST = 48
"""Of what was achieved: a reason why it was not measured may be long; `--json` has all of it."""
_NUMBERS = ("HITS", "SINCE", "UNTIL")
_BELOW = ("ASKED", "ACHIEVED")
_LAST_BLANKS = 2
"""What `width_of` counts behind the last column."""


def faults_table(
    faults: Sequence[Standing], now: float, width: int, kinds: Mapping[str, FaultKind] = KINDS
) -> RenderableType:
    """Return a row for each fault, at most `width` wide; two lines for each where one has no room.

    `now` is Unix time.
    """
    rows = [_row(one, now, kinds.get(one.fault.kind)) for one in faults]
    if width_of([_COLUMNS, *rows]) > width + _LAST_BLANKS:
        return Group(*_stacked(rows, [one.fault.asked for one in faults], width))
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in _COLUMNS:
        made.add_column(title, no_wrap=True, justify="right" if title in _NUMBERS else "left")
    made.add_column("", style="dim", no_wrap=True)
    room = width - width_of([_COLUMNS, *rows])
    for one, row in zip(faults, rows, strict=True):
        made.add_row(*row, cut(one.fault.asked, room) if room >= _READABLE else "")
    return made


def _stacked(rows: Sequence[Sequence[str | Text]], asked: Sequence[str], width: int) -> Iterator[Text]:
    """Yield a line of facts for each fault, and below it what was asked and achieved, or the user's words."""
    shown = [place for place, title in enumerate(_COLUMNS) if title not in _BELOW]
    table = [_COLUMNS, *rows]
    widths = {place: max(cell_len(str(row[place])) for row in table) for place in shown}
    for row, words in zip(table, ("", *asked), strict=True):
        cells = [
            f"{row[place]!s:>{widths[place]}}"
            if _COLUMNS[place] in _NUMBERS
            else f"{row[place]!s:{widths[place]}}"
            for place in shown
        ]
        line = Text(cut("  ".join(cells).rstrip(), width))
        if row is _COLUMNS:
            line.stylize("bold")
        yield line
        if row is not _COLUMNS:
            below = [str(row[_COLUMNS.index(title)]) for title in _BELOW]
            said = " · ".join(word for word in below if word != "–") or words
            yield Text(cut(f"    {said}", width), style="dim")


def _row(one: Standing, now: float, kind: FaultKind | None) -> list[str | Text]:
    until = age(max(0.0, one.until - now)) if one.until else "healed"
    return [
        one.fault.id,
        one.fault.kind,
        Text(one.state, style=_STYLES.get(one.state, "")),
        targets(one.fault),
        _numbers(one.fault, kind),
        cut(achieved(one.achieved), _WIDEST),
        str(one.hits),
        age(now - one.since),
        "–" if one.over else until,
    ]


def targets(fault: Fault) -> str:
    """Name what a fault is on: one link, or how many; nodes, or the first and the last of many."""
    if fault.nodes:
        return shorten(fault.nodes) + (f" ({len(fault.nodes)})" if len(fault.nodes) > 3 else "")
    if len(fault.links) == 1:
        return " > ".join(fault.links[0])
    return f"{len(fault.links)} links"


def _numbers(fault: Fault, kind: FaultKind | None) -> str:
    """Write the parameters that say more than the kind does by itself."""
    usual = {parameter.name: parameter.default for parameter in kind.parameters} if kind else {}
    words = [
        f"{name}={show_value(kind, name, value) if kind else value}"
        for name, value in fault.parameters.items()
        if usual.get(name) != value
    ]
    return " ".join(words) or "–"


def say_new(fault: Fault, for_s: float, kinds: Mapping[str, FaultKind] = KINDS, *, held: bool = False) -> str:
    """Return one line about a fault that has just been put on."""
    kind = kinds[fault.kind]
    numbers = _numbers(fault, kind)
    words = fault.kind if numbers == "–" else f"{fault.kind} {numbers}"
    until = f" for {format_duration(for_s)}" if for_s else ""
    if held:
        until += " until Ctrl-C"
    end = "" if kind.momentary else f"{until or ' until it is healed'}"
    return f"{fault.id}: {words} on {targets(fault)}{end}"


def facts_of_new(fault: Fault, notes: Sequence[str]) -> dict[str, Any]:
    """Return what a program wants to know of a fault that has just been put on."""
    return {**fault.to_raw(), "notes": list(notes)}


def kinds_table(kinds: Iterable[FaultKind], found: Mapping[str, str], width: int) -> RenderableType:
    """Return a row for each kind, at most `width` wide, and below it what a machine of these abilities lacks."""
    rows: list[tuple[list[str | Text], str]] = []
    for kind in kinds:
        words = " ".join(parameter_form(kind, one) for one in kind.parameters) or "–"
        can = here(kind, found)
        rows.append(([kind.name, kind.layer, Text(words), Text(can, style=_CAN.get(can, ""))], kind.summary))
    titles = ["KIND", "LAYER", "PARAMETERS", "HERE"]
    made = Table(box=None, pad_edge=False, header_style="bold")
    room = width - width_of([titles, *(row for row, _ in rows)])
    narrow = room < _READABLE
    for title in titles:
        made.add_column(title, no_wrap=not narrow or title != "PARAMETERS", overflow="fold")
    made.add_column("WHAT IT DOES", no_wrap=not narrow)
    for row, summary in rows:
        made.add_row(*row, summary if narrow else cut(summary, room))
    lacking = [Text(f"no {need} here: {fault}", style="dim") for need, fault in found.items() if fault]
    return Group(made, Text(), *lacking) if lacking else made


def parameter_form(kind: FaultKind, parameter: Parameter) -> str:
    """Write a parameter as in a usage line: by an example where it must be given, else by its default in brackets."""
    if parameter.default is None:
        return f"{parameter.name}={parameter.example}"
    return f"[{parameter.name}={show_value(kind, parameter.name, parameter.default)}]"


def facts_of_kind(kind: FaultKind, found: Mapping[str, str]) -> dict[str, Any]:
    """Return a kind as plain data, with SI numbers; null stands for no bound, and for a default that there is not."""
    return {
        "name": kind.name,
        "layer": kind.layer,
        "summary": kind.summary,
        "needs": kind.needs,
        "here": here(kind, found),
        "momentary": kind.momentary,
        "parameters": [
            {
                "name": one.name,
                "unit": one.unit,
                "summary": one.summary,
                "example": one.example,
                "default": one.default,
                "least": one.least,
                "most": None if one.most == float("inf") else one.most,
                "choices": list(one.choices),
            }
            for one in kind.parameters
        ],
    }
