"""`stressnet ls`: which nets are up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stressnet.cli.options import json_option

if TYPE_CHECKING:
    from stressnet.backends.base import FoundNet


@click.command(short_help="List the nets that are up.")
@json_option
def command(as_json: bool) -> None:
    """List the nets of this user, also those of which only remains are left."""
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
