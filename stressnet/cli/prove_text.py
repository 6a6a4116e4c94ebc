"""What many runs together say, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import print_lines
from stressnet.cli.verdict_text import STYLES, shown
from stressnet.engine.prove import CONFIDENCE, Done, Proof, Tally
from stressnet.spec.units import format_percent, format_size

_BAR = 8
"""Cells of the longest bar."""
_MEASURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "catch_up_s": ("CATCH-UP", lambda seconds: f"{seconds:.1f} s"),
    "recovery_s": ("RECOVERY", lambda seconds: f"{seconds:.1f} s"),
    "cpu_s": ("CPU", lambda seconds: f"{seconds:.1f} s"),
    "sent_bytes": ("SENT", format_size),
    "opens": ("CONNECTIONS", lambda count: f"{count:.0f}"),
}
"""Title and form of what runs took."""
_STYLES = {"proven": "green", "not proven": "red", "unclear": "yellow"}


def print_proof(name: str, proof: Proof, file: Path) -> None:
    """Print the answer, how often each variant did as expected, and every run that did not."""
    word = Text.assemble((proof.answer.upper(), f"bold {_STYLES[proof.answer]}"), "  ", (name, "bold"))
    word.append("  interrupted" if proof.interrupted else "")
    others = [(tally.word(one), one) for tally in proof.tallies.values() for one in tally.others]
    print_lines(
        "",
        word,
        "",
        proof_table(proof),
        "",
        *_compared(proof),
        *_others(others),
        Text.assemble(("found    ", "dim"), shown(file)),
    )


def proof_table(proof: Proof, runs: int | None = None) -> Table:
    """Return a row for each variant; `runs`: how many of each there will be."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("VARIANT", "EXPECTED", "AS EXPECTED", f"{CONFIDENCE:.0%} INTERVAL", "OTHERWISE"):
        made.add_column(title, no_wrap=True)
    for tally in proof.tallies.values():
        style = "green" if tally.reaches(proof.share) else "red" if tally.opposed else "yellow"
        made.add_row(
            tally.variant or "–",
            str(tally.expected),
            Text(_share(tally, runs), style=style if tally.done else ""),
            _interval(tally),
            _otherwise(tally),
        )
    return made


def _compared(proof: Proof) -> tuple[Table | str, ...]:
    return (measures_table(proof), "") if len(proof.tallies) > 1 else ()


def measures_table(proof: Proof) -> Table:
    """Return what the runs of each variant took: the median, its length beside the others', least and most."""
    shown_ones = [name for name in _MEASURES if any(tally.spread(name) for tally in proof.tallies.values())]
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("VARIANT", no_wrap=True)
    for name in shown_ones:
        made.add_column(_MEASURES[name][0], no_wrap=True)
    for tally in proof.tallies.values():
        made.add_row(tally.variant or "–", *(_measure(proof, tally, name) for name in shown_ones))
    return made


def _measure(proof: Proof, tally: Tally, name: str) -> Text:
    found = tally.spread(name)
    if found is None:
        return Text("–")
    most = max(one.spread(name)[1] for one in proof.tallies.values() if one.spread(name))  # type: ignore[index]
    least, middle, greatest = (_MEASURES[name][1](one) for one in found)
    bar = "█" * (round(found[1] / most * _BAR) if most else 0)
    spread = f" {least} to {greatest}" if len(tally.done) > 1 else ""
    return Text.assemble(f"{middle:>8} ", (f"{bar:{_BAR}}", "cyan"), (spread, "dim"))


def _share(tally: Tally, runs: int | None) -> str:
    done = len(tally.done)
    more = f" ({runs - done} to do)" if runs is not None and done < runs else ""
    return f"{tally.as_expected} of {done}{more}"


def _interval(tally: Tally) -> str:
    low, high = (format_percent(round(bound, 3)) for bound in tally.interval)
    return f"{low} to {high}"


def _otherwise(tally: Tally) -> str:
    return ", ".join(f"{count} {word}" for word, count in tally.otherwise.items()) or "–"


def done_words(done: Done, runs: int, tally: Tally) -> str:
    """Return what is said of one run when it is over."""
    who = f"{done.turn.variant} {done.turn.number}/{runs}".strip()
    if tally.expected.met_by(done.outcome, done.failed):
        return f"{who}: {done.outcome}, as expected, {done.seconds:.0f} s"
    record = f" ({shown(done.record)})" if done.record else ""
    return f"{who}: {tally.word(done)}, {done.seconds:.0f} s: {done.reason}{record}"


def _others(others: Sequence[tuple[str, Done]]) -> list[Text]:
    lines = []
    for word, one in others:
        place = shown(one.record) if one.record else "no record"
        who = f"{one.turn.variant} {one.turn.number}".strip()
        lines.append(
            Text.assemble(
                (word, STYLES.get(one.outcome, "red")), f"  {who}  {one.reason}\n    ", (place, "dim")
            )
        )
    return [*lines, Text()] if lines else []
