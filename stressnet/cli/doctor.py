"""`stressnet doctor`: what works here."""

from __future__ import annotations

import click

from stressnet.cli.options import json_option

_MARKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}


@click.command(short_help="Show what works on this machine.")
@json_option
def command(as_json: bool) -> None:
    """Show what works on this machine, and what to do about what does not.

    Exits 0 where at least one backend works.
    """
    from dataclasses import asdict

    from rich.table import Table
    from rich.text import Text

    from stressnet.cli.terminal import print_json, print_lines
    from stressnet.engine.doctor import examine, some_backend_works

    findings = examine()
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        made = Table(box=None, pad_edge=False, show_header=False)
        for finding in findings:
            mark, style = _MARKS[finding.state]
            what = Text(finding.found)
            if finding.remedy:
                what.append(f"\n{finding.needed_for} → {finding.remedy}", style="dim")
            made.add_row(Text(mark, style=style), Text(finding.name, style="bold"), what)
        print_lines(made)
    if not some_backend_works(findings):
        click.echo("no backend works on this machine", err=True)
        raise click.exceptions.Exit(255)
