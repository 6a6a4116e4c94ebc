"""`stressnet ls`: which nets are up, or which records and soaks there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stressnet.cli.options import json_option

if TYPE_CHECKING:
    from stressnet.backends.base import FoundNet


@click.command(short_help="List the nets that are up, or the records of runs and soaks.")
@click.option(
    "--runs", "records", is_flag=True, help="List the records of runs, and soaks, instead, the newest first."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of records, as for `run`.",
)
@json_option
def command(records: bool, out: Path, as_json: bool) -> None:
    """List the nets of this user, also those of which only remains are left; or with --runs the records of runs,
    and soaks.
    """
    if records:
        from stressnet.cli.records_text import show_records

        show_records(out, as_json)
    else:
        _show_nets(as_json)


def _show_nets(as_json: bool) -> None:
    import time
    from dataclasses import asdict

    from rich.table import Table

    from stressnet.cli.terminal import age, print_json, print_lines
    from stressnet.engine.choose import found_nets

    nets = found_nets()
    if as_json:
        print_json([asdict(net) for net in nets])
        return
    if not nets:
        click.echo("no net is up")
        return
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NET", "BACKEND", "NODES", "STATE", "AGE", "ENDS IN"):
        made.add_column(title)
    now = time.time()
    for net in nets:
        made.add_row(
            net.name,
            net.backend,
            str(net.nodes),
            _state(net),
            age(now - net.created_at if net.created_at else None),
            age(max(0, net.expires_at - now) if net.expires_at else None),
        )
    print_lines(made)


def _state(net: FoundNet) -> str:
    if net.complete:
        return "up"
    return "[yellow]busy[/yellow]" if net.busy else "[red]remains[/red]"
