"""`stressnet down`: remove a net."""

from __future__ import annotations

import click

from stressnet.cli.options import json_option, net_argument


@click.command(short_help="Remove a net.")
@net_argument
@click.option("--data", is_flag=True, help="Also remove the data of nodes with `data: kept`.")
@json_option
def command(net: str | None, data: bool, as_json: bool) -> None:
    """Remove a net: its nodes, networks, namespaces and files."""
    import asyncio
    import time
    from dataclasses import asdict

    from stressnet.cli.terminal import print_json, say
    from stressnet.engine.choose import nets_called, the_net
    from stressnet.engine.down import down, remove_kept

    if data and net and not nets_called(net) and remove_kept(net):
        click.echo(f"the kept data of {net} is gone")
        return
    found = the_net(net)
    began = time.monotonic()
    removal = asyncio.run(down(found, data=data))
    took = time.monotonic() - began
    if as_json:
        print_json({**asdict(removal), "took_s": round(took, 3)})
    else:
        say(found.name, f"is down ({took:.1f} s); nothing of it is left")
