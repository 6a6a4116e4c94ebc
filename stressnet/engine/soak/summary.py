"""A soak in few lines of Markdown, as for a comment on a change."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stressnet.engine.soak.amount import Amount, GoodNight
from stressnet.engine.soak.figures import Change
from stressnet.engine.soak.folder import round_folder
from stressnet.engine.soak.rounds import Round
from stressnet.plan import shorten

_ROWS = 20
"""Nodes that are shown at most: those whose memory grew most."""


def summary(soak: Path, facts: Mapping[str, Any], amount: Amount, good: GoodNight | None) -> str:
    """Return the text; `facts` are those of soak.json."""
    who = facts["name"] + (f" · {facts['variant']}" if facts["variant"] else "")
    known = amount.checkpoint.ended or amount.outcome == "fail"
    word = amount.outcome.upper() if known else "in progress"
    asked_s, soaked_s = facts["for_s"], amount.checkpoint.soaked_s
    tally = amount.checkpoint.tally
    first = tally.first_failure
    lines = [
        f"## Soak of {who}: {word}",
        "",
        f"{tally.counts['fail']} of {tally.total} rounds failed." if first else f"{amount.reason}.",
        "",
        f"Begun {utc(facts['begun_at'])}; {span(soaked_s)} of {span(asked_s)},"
        f" {tally.words()}; seed {facts['seed']}, {facts['backend']}.",
    ]
    lines += _failure(soak, facts, first) if first else []
    lines += ["", *_table(amount.changes, good)]
    if amount.night:
        lines += ["", f"The night as a whole: {amount.night.outcome}: {amount.night.reason}."]
    lines += ["", _compared(amount, good)]
    lines += ["", *(f"- {note}" for note in amount.checkpoint.notes)] if amount.checkpoint.notes else []
    return "\n".join(lines) + "\n"


def span(seconds: float) -> str:
    """Write a time for people: in its two largest units, the second only where there is something of it."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest}s"
    large, small, units = (*divmod(minutes, 60), "hm") if minutes >= 60 else (minutes, rest, "ms")
    return f"{large}{units[0]}" + (f" {small:02}{units[1]}" if small else "")


def again(facts: Mapping[str, Any], number: int) -> list[str]:
    """Return the words of the command that does one round again."""
    return [*facts["command"], "--round", str(number)]


def _failure(soak: Path, facts: Mapping[str, Any], one: Round) -> Iterator[str]:
    found = one.failure
    yield ""
    if found:
        moment = f" at {found.clock} of its timeline, {utc(found.at)}" if found.at is not None else ""
        nodes = shorten([f"`{node}`" for node in found.nodes]) or "the net"
        yield f"**First failure**: round {one.number}, check `{found.check}` on {nodes}{moment}: {found.summary}."
    else:
        yield f"**First failure**: round {one.number}: {one.reason}."
    yield from ("", "```sh", shlex.join(again(facts, one.number)), "```")
    path = round_folder(soak, one.number)
    yield from ("", f"Its record: `{path}`." if path.is_dir() else "Its record had to go: no room was left.")


def utc(at: float) -> str:
    """Write a moment (Unix time) for people anywhere."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


Write = Callable[[float], str]
_COLUMNS: tuple[tuple[str, str, Write], ...] = (
    ("memory", "rss_bytes", lambda value: f"{value / 2**20:.1f} MiB"),
    ("CPU", "cpu", lambda value: f"{value:.1%}"),
    ("open files", "fds", lambda value: f"{value:.0f}"),
    ("streams", "streams", lambda value: f"{value:.0f}"),
)


def _table(changes: Mapping[str, Change], good: GoodNight | None) -> list[str]:
    """One row a node: begin and end of the night, and in brackets the end of the last good one."""
    if not changes:
        return ["Nothing is known of the nodes yet."]
    rows = sorted(changes.items(), key=lambda pair: -_growth(pair[1]))
    heads = ["node", *(name for name, _, _ in _COLUMNS), "restarts"]
    lines = ["Nodes, after the first round → at the end:", "", _row(heads), _row(["---"] * len(heads))]
    for name, change in rows[:_ROWS]:
        before = good.changes.get(name) if good else None
        cells = [_cell(change, before, field, write) for _, field, write in _COLUMNS]
        lines.append(_row([f"`{name}`", *cells, str(change.restarts)]))
    if len(rows) > _ROWS:
        lines += ["", f"And {len(rows) - _ROWS} nodes more, whose memory grew less."]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _growth(change: Change) -> float:
    return (change.end.rss_bytes or 0.0) - (change.begin.rss_bytes or 0.0)


def _cell(change: Change, before: Change | None, field: str, write: Write) -> str:
    def said(value: float | None) -> str:
        return "–" if value is None else write(value)

    text = f"{said(getattr(change.begin, field))} → {said(getattr(change.end, field))}"
    return f"{text} ({said(getattr(before.end, field))})" if before else text


def _compared(amount: Amount, good: GoodNight | None) -> str:
    if good is None:
        return "No earlier soak of it has passed, so there is none to compare with."
    total = amount.checkpoint.tally.total
    return f"In brackets: the end of the last good night, `{good.path.name}` ({good.rounds} rounds; here {total})."
