"""`stressnet exec`: run a command where a node runs."""

from __future__ import annotations

import click

from stressnet.cli.options import net_option


@click.command(
    name="exec",
    short_help="Run a command where a node runs.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@net_option
@click.argument("node")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND...", type=click.UNPROCESSED)
def command(net: str | None, node: str, words: tuple[str, ...]) -> None:
    """Run a command in a node's namespace or container, on this terminal; exit with its exit code."""
    import asyncio

    raise click.exceptions.Exit(asyncio.run(_execute(net, node, words)))


async def _execute(net: str | None, name: str, words: tuple[str, ...]) -> int:
    from stressnet.engine.choose import live_backend
    from stressnet.engine.nodes import named
    from stressnet.engine.plans import plan_of
    from stressnet.errors import UsageError

    found, backend = live_backend(net)
    nodes = named(await plan_of(found.name, backend), [name])
    if len(nodes) > 1:
        raise UsageError(
            f"{name!r} means {len(nodes)} nodes: name one", hints=[node.name for node in nodes[:5]]
        )
    words = words[1:] if words[0] == "--" else words
    code = await backend.execute(nodes[0].name, words)
    return code if code >= 0 else 128 - code
