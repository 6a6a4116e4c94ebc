"""`stressnet check`: judge a record again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stressnet.cli.options import json_option, record_argument


@click.command("check", short_help="Judge a record again.")
@record_argument
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    help="Take the checks of this fault plan instead of the record's own.",
)
@click.option("--variant", help="Which variant of --plan. [default: the record's]")
@click.option(
    "--write",
    is_flag=True,
    help="Write verdict.json, junit.xml and report.html anew; the earlier verdict is kept.",
)
@json_option
def command(run: str, plan: Path | None, variant: str | None, write: bool, as_json: bool) -> None:
    """Judge the record RUN again: a folder, the name of a fault plan for its latest, or a file of `archive`.

    Exit codes: 0 pass, 1 fail, 2 inconclusive, 254 bad input.
    """
    import time

    from stressnet.cli.terminal import print_json
    from stressnet.cli.verdict_text import print_verdict, shown
    from stressnet.engine.recheck import checks_from, recheck, set_aside_verdict, write_verdict
    from stressnet.record.archive import opened
    from stressnet.record.record import Record

    if variant is not None and plan is None:
        raise click.UsageError("--variant is of --plan; without it the record's own checks are asked")
    if write and Path(run).is_file():
        raise click.UsageError("an archive is only read: leave out --write, or unpack it with tar")
    with opened(run) as path:
        record = Record(path)
        checks = checks_from(plan, record, variant) if plan else None
        if plan:
            record.run = {
                **record.run,
                "file": str(plan.resolve()),
            }  # the programs of its checks lie beside it
        verdict = recheck(record, checks)
        kept = set_aside_verdict(path, time.time()) if write else None
        if write:
            write_verdict(record, verdict)
        name = run if Path(run).is_file() else shown(path)
        if as_json:
            print_json({"run": name, **verdict.to_raw()})
        else:
            print_verdict(path, verdict, name=name)
    if kept:
        click.echo(f"the earlier verdict is in {shown(kept)}", err=True)
    sys.exit(verdict.exit_code)
