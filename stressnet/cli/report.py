"""`stressnet report`: a record as a page for people, and as JUnit XML for programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stressnet.cli.options import json_option, record_argument

if TYPE_CHECKING:
    from stressnet.checks.verdict import Verdict
    from stressnet.record.record import Record


@click.command("report", short_help="Write a record as a page, and as JUnit XML.")
@record_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page; junit.xml gets the same name with .xml. [default: report.html in the record]",
)
@click.option("--open", "show", is_flag=True, help="Open the page in a browser.")
@json_option
def command(run: str, out: Path | None, show: bool, as_json: bool) -> None:
    """Write the record RUN as one HTML file that needs nothing else, and as JUnit XML.

    RUN is a folder, the name of a fault plan for its latest record, or a file of `archive`, of which both files are
    written into this folder.
    """
    from stressnet.cli.terminal import print_json
    from stressnet.cli.verdict_text import shown
    from stressnet.record.archive import SUFFIX, opened
    from stressnet.record.record import Record
    from stressnet.record.runs import JUNIT, REPORT

    if out is None and Path(run).is_file():
        out = Path(f"{Path(run).name.removesuffix(SUFFIX)}.html")
    if out and out == out.with_suffix(".xml"):
        said = f"{out} is where the JUnit XML goes; the page has another suffix, such as .html"
        raise click.BadParameter(said, param_hint="--out")
    with opened(run) as path:
        page, junit = (out, out.with_suffix(".xml")) if out else (path / REPORT, path / JUNIT)
        _write(Record(path), page, junit)
    if as_json:
        print_json({"report": str(page), "junit": str(junit)})
    else:
        click.echo(f"{shown(page)}\n{shown(junit)}")
    if show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _write(record: Record, page: Path, junit_file: Path) -> None:
    from stressnet.record.runs import write_text
    from stressnet.report.html import render
    from stressnet.report.junit import facts_of, junit
    from stressnet.report.of_record import page_of

    verdict = _verdict(record)
    write_text(junit_file, junit(facts_of(record), verdict))
    write_text(page, render(page_of(record, verdict)))


def _verdict(record: Record) -> Verdict:
    """Return the verdict of the record; a run that was killed has none yet."""
    import json

    from stressnet.checks.verdict import Verdict
    from stressnet.engine.recheck import recheck
    from stressnet.record.runs import VERDICT

    try:
        return Verdict.from_raw(json.loads((record.path / VERDICT).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return recheck(record)
