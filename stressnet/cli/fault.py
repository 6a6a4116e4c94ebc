"""`stressnet fault`: do something to links and nodes of a net that is up, and undo it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from stressnet.cli.options import DURATION, SEED, json_option, net_option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stressnet.engine.faults import Standing, Wish
    from stressnet.faults.declared import Declared
    from stressnet.faults.kind import FaultKind


@click.group("fault", short_help="Put faults on links and nodes, and heal them.")
def command() -> None:
    """Put faults on links and nodes of a net that is up, and heal them.

    SELECTORs are names of nodes and groups, globs, region:X, role:X, label:KEY=X, all, rest, any 3 of X,
    any 20% of X, peers of NODE, fewer than 3 peers, highest, lagging by 5, or a list of these with commas.
    """


@command.command("add", short_help="Put a fault on links or nodes.")
@click.argument("kind")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--from", "source", default="", metavar="SELECTOR", help="Data from these nodes. [default: all]"
)
@click.option("--to", "target", default="", metavar="SELECTOR", help="Data to these nodes. [default: all]")
@click.option("--between", nargs=2, metavar="SELECTOR SELECTOR", help="Data both ways between these.")
@click.option("--on", default="", metavar="SELECTOR", help="These nodes, for faults on nodes.")
@click.option("--for", "for_s", type=DURATION, help="Heal it by itself after this time, such as 60s.")
@click.option(
    "--hold",
    is_flag=True,
    help="Stay, until Ctrl-C heals it; it also heals soon after this command has died.",
)
@click.option("--seed", type=SEED, help="Draw `any ...` by this. [default: the net's seed]")
@net_option
@json_option
def add(
    kind: str,
    parameters: tuple[str, ...],
    source: str,
    target: str,
    between: tuple[str, str] | None,
    on: str,
    for_s: float | None,
    hold: bool,
    seed: int | None,
    net: str | None,
    as_json: bool,
) -> None:
    """Put a fault of KIND on links or nodes. `stressnet fault kinds` lists them with their parameters.

    Everything is checked before anything is done; then it is on for all targets, or for none.
    """
    from stressnet.cli.told import run_until_told
    from stressnet.engine.faults import Wish
    from stressnet.spec.targets import Targets

    if for_s is not None and not for_s:
        raise click.UsageError("--for 0s is no time; leave it out for a fault that lasts until it is healed")
    wish = Wish(kind, parameters, Targets(source, target, between, on), for_s or 0.0, hold)
    try:
        run_until_told(_add(net, wish, seed, as_json))
    except KeyboardInterrupt:
        if not hold:
            raise
        click.echo("healed", err=True)


async def _add(name: str | None, wish: Wish, seed: int | None, as_json: bool) -> None:
    from stressnet.cli.fault_text import facts_of_new, say_new
    from stressnet.cli.terminal import print_json
    from stressnet.engine.choose import live_backend
    from stressnet.engine.faults import add, hold
    from stressnet.engine.plans import plan_of
    from stressnet.faults.declared import with_declared

    net, backend = live_backend(name)
    plan = await plan_of(net.name, backend)
    fault, notes = await add(backend, plan, wish, plan.seed if seed is None else seed)
    if as_json:
        print_json(facts_of_new(fault, notes))
    else:
        click.echo(say_new(fault, wish.for_s, with_declared(plan.faults), held=wish.held))
        for note in notes:
            click.echo(f"note: {note}", err=True)
    sys.stdout.flush()
    if wish.held:
        await hold(backend, fault.id)
        click.echo(f"{fault.id} is over", err=True)


@command.command("list", short_help="Show the faults of a net.")
@net_option
@json_option
def listing(net: str | None, as_json: bool) -> None:
    """Show the faults of a net: what was asked and what is achieved, since when, until when, how many hits."""
    import asyncio
    import time

    from stressnet.cli.fault_text import faults_table
    from stressnet.cli.terminal import console, print_json, print_lines

    faults, kinds = asyncio.run(_standing(net))
    if as_json:
        print_json([one.to_raw() for one in faults])
    elif not faults:
        click.echo("no fault is on")
    else:
        print_lines(faults_table(faults, time.time(), console().width, kinds))


async def _standing(name: str | None) -> tuple[list[Standing], Mapping[str, FaultKind]]:
    from stressnet.engine.choose import live_backend
    from stressnet.engine.faults import standing
    from stressnet.engine.plans import plan_of
    from stressnet.faults.declared import with_declared

    net, backend = live_backend(name)
    return await standing(backend), with_declared((await plan_of(net.name, backend)).faults)


@command.command("heal", short_help="Take faults away.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All faults of the net.")
@net_option
@json_option
def heal(ids: tuple[str, ...], everything: bool, net: str | None, as_json: bool) -> None:
    """Take faults away, by their IDs (`stressnet fault list` shows them) or all. The others stay as they are."""
    import asyncio

    from stressnet.cli.terminal import print_json

    if bool(ids) == everything:
        raise click.UsageError("say either which faults, as in `stressnet fault heal f1`, or --all")
    healed = asyncio.run(_heal(net, ids, everything))
    if as_json:
        print_json({"healed": healed})
    else:
        click.echo(f"healed: {', '.join(healed)}" if healed else "no fault was on")


async def _heal(name: str | None, ids: tuple[str, ...], everything: bool) -> list[str]:
    from stressnet.engine.choose import live_backend
    from stressnet.engine.faults import heal

    return await heal(live_backend(name)[1], ids, everything=everything)


@command.command("kinds", short_help="List the kinds of faults.")
@net_option
@click.option("--kind", metavar="NAME", help="Those that nodes of this kind can do, whatever net is up.")
@click.option(
    "--kinds", "folders", multiple=True, type=click.Path(), help="A folder with kinds of nodes, for --kind."
)
@json_option
def kinds(net: str | None, kind: str | None, folders: tuple[str, ...], as_json: bool) -> None:
    """List the kinds of faults: layer, parameters, and whether this machine can do them.

    Those that the kinds of nodes declare are listed for the net that is up, or for one --kind.
    """
    import asyncio

    from stressnet.cli.fault_text import facts_of_kind, kinds_table
    from stressnet.cli.terminal import console, print_json, print_lines
    from stressnet.engine.doctor import abilities
    from stressnet.faults.declared import with_declared

    declared = _declared_by(kind, folders) if kind else asyncio.run(_declared_in(net))
    listed, found = with_declared(declared).values(), abilities()
    if as_json:
        print_json([facts_of_kind(one, found) for one in listed])
    else:
        print_lines(kinds_table(listed, found, console().width))


def _declared_by(kind: str, folders: tuple[str, ...]) -> list[Declared]:
    from stressnet.errors import UsageError
    from stressnet.spec.declared import declared
    from stressnet.spec.kinds import Kinds
    from stressnet.spec.words import listing, nearest

    known = Kinds(folders)
    if kind not in known.names():
        near = nearest(kind, known.names())
        meant = f" (did you mean {near!r}?)" if near else ""
        raise UsageError(f"--kind {kind}: no such kind of node; allowed: {listing(known.names())}{meant}")
    return [declared(kind, name, fault) for name, fault in known.load(kind).kind.faults.items()]


async def _declared_in(name: str | None) -> tuple[Declared, ...]:
    """Return what a net's nodes can do; nothing where none is named and there is not exactly one."""
    from stressnet.engine.choose import found_nets, live_backend
    from stressnet.engine.plans import plan_of

    if name is None and sum(net.complete for net in found_nets()) != 1:
        return ()
    net, backend = live_backend(name)
    return (await plan_of(net.name, backend)).faults


@command.command("endpoint", short_help="Open the API of a node's relay on 127.0.0.1.")
@click.argument("node")
@net_option
@click.option("--local", type=click.IntRange(0, 65535), default=0, help="Local port. [default: any free one]")
def endpoint(node: str, net: str | None, local: int) -> None:
    """Open the API of NODE's relay on 127.0.0.1, until Ctrl-C, for a Toxiproxy client of your own."""
    import asyncio
    import contextlib

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_endpoint(net, node, local))


async def _endpoint(net: str | None, name: str, local: int) -> None:
    import asyncio

    from stressnet.cli.terminal import complain
    from stressnet.engine.choose import live_backend
    from stressnet.engine.faults import check_relay
    from stressnet.engine.forward import listen
    from stressnet.engine.nodes import named
    from stressnet.engine.plans import plan_of

    found, backend = live_backend(net)
    node = named(await plan_of(found.name, backend), [name])[0]
    await check_relay(backend, node.name)
    server = await listen(backend, local, complain, "relay", node=node.name)
    address = server.sockets[0].getsockname()
    click.echo(f"the relay of {node.name} is at http://{address[0]}:{address[1]} (Ctrl-C ends it)")
    async with server:
        await asyncio.get_running_loop().create_future()
