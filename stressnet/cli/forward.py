"""`stressnet forward`: a node's port on this machine."""

from __future__ import annotations

import click

from stressnet.cli.options import net_option


@click.command(short_help="Open a port of a node on 127.0.0.1.")
@click.argument("node")
@click.argument("port")
@net_option
@click.option("--local", type=click.IntRange(0, 65535), default=0, help="Local port. [default: any free one]")
def command(node: str, port: str, net: str | None, local: int) -> None:
    """Open a port of a node on 127.0.0.1, until Ctrl-C.

    PORT is a number or a name of the node's kind, such as rpc or metrics.
    """
    import asyncio
    import contextlib

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_forward(net, node, port, local))


async def _forward(net: str | None, name: str, port: str, local: int) -> None:
    import asyncio

    from stressnet.cli.terminal import complain
    from stressnet.engine.choose import live_backend
    from stressnet.engine.forward import listen, port_number
    from stressnet.engine.nodes import named
    from stressnet.engine.plans import plan_of

    found, backend = live_backend(net)
    node = named(await plan_of(found.name, backend), [name])[0]
    number = port_number(node, port)
    server = await listen(backend, local, complain, "dial", node=node.name, port=number)
    address = server.sockets[0].getsockname()
    click.echo(f"{node.name}:{number} is at http://{address[0]}:{address[1]} (Ctrl-C ends it)")
    async with server:
        await asyncio.get_running_loop().create_future()
