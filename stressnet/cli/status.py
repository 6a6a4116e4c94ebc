"""`stressnet status`: what every node of a net is doing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from stressnet.cli.options import DURATION, json_option, net_argument

if TYPE_CHECKING:
    from stressnet.engine.status import NetStatus

_WATCH_S = 0.5


@click.command(short_help="Show every node of a net.")
@net_argument
@click.option("--watch", "-w", is_flag=True, help="Keep showing it, until Ctrl-C.")
@click.option(
    "--until",
    type=click.Choice(["ready", "synced"]),
    help="Return when every node is ready, or moreover all are at one height; exit 1 after --timeout.",
)
@click.option("--links", "links", is_flag=True, help="Show what each link has carried, instead.")
@click.option("--timeout", type=DURATION, default="5m", show_default=True, help="How long --until waits.")
@json_option
def command(
    net: str | None, watch: bool, until: str | None, links: bool, timeout: float, as_json: bool
) -> None:
    """Show every node of a net: state, height, lag behind the highest, peers, streams, CPU, memory, age.

    ready: every node has started and answers. synced: moreover all are at the same height.
    """
    import asyncio

    from stressnet.cli.terminal import print_json
    from stressnet.spec.units import format_duration

    if as_json and watch:
        raise click.UsageError("--json prints once; leave out --watch")
    if links:
        if watch or until:
            raise click.UsageError("--links prints once; leave out --watch and --until")
        asyncio.run(_show_links(net, as_json))
        return
    try:
        status, reached = asyncio.run(_show(net, watch, until, timeout))
    except KeyboardInterrupt:
        if not watch or until:
            raise
        return  # the usual end of watching
    if as_json:
        print_json(_facts(status))
    elif not watch:
        _print(status)
    if not reached:
        click.echo(f"not {until} after {format_duration(timeout)}", err=True)
        raise click.exceptions.Exit(1)


async def _show(name: str | None, show: bool, until: str | None, patience: float) -> tuple[NetStatus, bool]:
    from contextlib import aclosing

    from stressnet.cli.table import Screen
    from stressnet.engine.choose import live_backend
    from stressnet.engine.plans import plan_of
    from stressnet.engine.status import watch

    net, backend = live_backend(name)
    plan = await plan_of(net.name, backend)
    deadline = time.monotonic() + patience
    async with aclosing(watch(plan, backend, _WATCH_S)) as states:
        with Screen(live=show) as screen:
            async for status in states:
                reached = _reached(status, until)
                screen.show(status, last=reached)
                if reached or (until and time.monotonic() > deadline) or not (until or show):
                    return status, reached or not until
    raise AssertionError("watching ends by itself only with an error")


async def _show_links(name: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from stressnet.cli.links_text import links_summary, links_table
    from stressnet.cli.terminal import print_json, print_lines
    from stressnet.engine.choose import live_backend
    from stressnet.engine.links import look_at_links

    net, backend = live_backend(name)
    status = await look_at_links(backend)
    if as_json:
        print_json({**asdict(status), "uncontrolled": status.uncontrolled})
    else:
        print_lines(links_summary(net.name, status), "", links_table(status))


def _reached(status: NetStatus, until: str | None) -> bool:
    return {"ready": status.all_ready, "synced": status.synced}[until]() if until else False


def _facts(status: NetStatus) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(status), "highest": status.highest, "counts": status.count(), "synced": status.synced()}


def _print(status: NetStatus) -> None:
    from stressnet.cli.table import summary, table
    from stressnet.cli.terminal import console, print_lines

    print_lines(summary(status), "", table(status, width=console().width))
