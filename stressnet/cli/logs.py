"""`stressnet logs`: what nodes wrote."""

from __future__ import annotations

import click

from stressnet.cli.options import net_option

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")


@click.command(short_help="Print the logs of nodes.")
@click.argument("nodes", nargs=-1)
@net_option
@click.option("--follow", "-f", is_flag=True, help="Go on as nodes write.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines of each node.")
def command(nodes: tuple[str, ...], net: str | None, follow: bool, tail: int | None) -> None:
    """Print the logs of nodes (names or patterns such as 'eu-*'), interleaved; of all where none is named."""
    import asyncio
    import contextlib

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_print(nodes, net, follow, tail))


async def _print(patterns: tuple[str, ...], net: str | None, follow: bool, tail: int | None) -> None:
    import asyncio

    from stressnet.cli.terminal import console
    from stressnet.engine.choose import live_backend
    from stressnet.engine.nodes import named
    from stressnet.engine.plans import plan_of

    found, backend = live_backend(net)
    chosen = named(await plan_of(found.name, backend), patterns)
    width = max(len(node.name) for node in chosen)
    out = console()

    async def one(place: int, name: str) -> None:
        prefix = f"{name:{width}} | " if len(chosen) > 1 else ""
        async for line in backend.logs(name, follow=follow, tail=tail):
            out.print(prefix, style=_COLOURS[place % len(_COLOURS)], end="")
            out.out(line.decode(errors="replace"), highlight=False)

    if follow:
        async with asyncio.TaskGroup() as group:
            for place, node in enumerate(chosen):
                group.create_task(one(place, node.name))
        return
    for place, node in enumerate(chosen):
        await one(place, node.name)
