"""`stressnet samples`: what nodes and the machine did over the last seconds, or all of it in a file."""

from __future__ import annotations

from pathlib import Path

import click

from stressnet.cli.options import DURATION, json_option, net_option


@click.command(short_help="Show figures of nodes over time, or save them.")
@click.argument("nodes", nargs=-1)
@net_option
@click.option(
    "--last", type=DURATION, default="15s", show_default=True, help="How much of the past to sum up."
)
@click.option(
    "--metrics", multiple=True, metavar="GLOB", help="Print the latest values of these series, instead."
)
@click.option(
    "--save",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all samples since the net came up into a new SQLite file, instead.",
)
@json_option
def command(
    nodes: tuple[str, ...],
    net: str | None,
    last: float,
    metrics: tuple[str, ...],
    save: Path | None,
    as_json: bool,
) -> None:
    """Show what nodes (names or patterns such as 'eu-*') and the machine did over the last seconds.

    Looked at from outside, once a second unless the topology says otherwise.
    """
    import asyncio

    if save is not None:
        if nodes or metrics:
            raise click.UsageError("--save writes everything: leave out nodes and --metrics")
        asyncio.run(_save(net, save, as_json))
    else:
        asyncio.run(_show(nodes, net, last, metrics, as_json))


async def _save(net: str | None, path: Path, as_json: bool) -> None:
    from stressnet.cli.terminal import print_json, say
    from stressnet.engine.choose import live_backend
    from stressnet.engine.samples import save

    found, backend = live_backend(net)
    size = await save(backend, path)
    if as_json:
        print_json({"net": found.name, "file": str(path), "bytes": size})
    else:
        say(found.name, f"has its samples in {path} ({size / 2**20:.1f} MiB)")


async def _show(
    patterns: tuple[str, ...], net: str | None, last: float, metrics: tuple[str, ...], as_json: bool
) -> None:
    from dataclasses import asdict

    from stressnet.cli.samples_text import host_lines, metrics_table, nodes_table
    from stressnet.cli.terminal import print_json, print_lines
    from stressnet.engine.choose import live_backend
    from stressnet.engine.nodes import named
    from stressnet.engine.plans import plan_of
    from stressnet.engine.samples import summarise
    from stressnet.errors import UsageError

    found, backend = live_backend(net)
    names = [node.name for node in named(await plan_of(found.name, backend), patterns)]
    summary = await summarise(backend, names, last, metrics)
    if as_json:
        print_json({"net": found.name, **asdict(summary)})
    elif metrics and not summary.metrics:
        raise UsageError(
            f"no series matches {', '.join(metrics)}",
            hints=("`--metrics '*'` shows all; nodes are asked for them at every tenth look or so",),
        )
    elif metrics:
        print_lines(metrics_table(summary))
    else:
        print_lines(*host_lines(found.name, summary), "", nodes_table(summary))
