"""`stressnet up`: from a topology file to a live net."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stressnet.cli.options import DURATION, json_option
from stressnet.cli.topology_options import topology_options

if TYPE_CHECKING:
    from stressnet.backends.base import FoundNet
    from stressnet.engine.reconcile import Changes
    from stressnet.plan import Plan


@click.command(short_help="Bring up the net of a topology file.")
@topology_options
@click.option(
    "--reconcile", is_flag=True, help="Join a net that is up: start, remove and restart what differs."
)
@click.option("--replace", is_flag=True, help="Remove a net of that name first.")
@click.option("--keep-failed", is_flag=True, help="Leave a net that failed, to look at it.")
@click.option(
    "--ttl", type=DURATION, help="After this time the net removes itself, e.g. 8h. [default: the topology's]"
)
@json_option
def command(
    topology: Path,
    sets: tuple[str, ...],
    kinds: tuple[Path, ...],
    seed: int | None,
    backend: str,
    reconcile: bool,
    replace: bool,
    keep_failed: bool,
    ttl: float | None,
    as_json: bool,
) -> None:
    """Bring up the net of a topology file, and return when its nodes are ready.

    Late nodes start by themselves when their time has come; `stressnet status --watch` shows it.
    Ctrl-C removes what was made so far.
    """
    from functools import partial

    from stressnet.cli.terminal import Steps, warn
    from stressnet.cli.told import run_until_told
    from stressnet.engine.choose import backend_for
    from stressnet.engine.limits import warnings
    from stressnet.engine.plan_topology import plan_topology
    from stressnet.engine.up import up

    if reconcile and replace:
        raise click.UsageError("--reconcile joins a net and --replace removes it: choose one")
    if ttl == 0:
        raise click.UsageError("--ttl 0s is no time; leave it out for a net that stays until it is removed")
    if reconcile and ttl is not None:
        raise click.UsageError("--ttl is set when a net is made: --reconcile cannot change it")
    compiled = partial(plan_topology, topology, sets=sets, kinds=kinds, seed=seed, ttl_s=ttl)
    plan = compiled(backend=backend)
    joined = _live_net(plan.net) if reconcile else None
    if joined and backend == "auto" and joined.backend != plan.backend:
        plan = compiled(backend=joined.backend)
    warn(warnings(plan))
    if replace:
        _remove(plan.net)
    live = backend_for(plan.backend, plan.net)
    with Steps() as steps:
        if joined:
            from stressnet.engine.reconcile import reconcile as bring_into_line

            changes = run_until_told(bring_into_line(plan, live, steps))
            _say_changes(plan.net, changes, as_json)
            return
        run_until_told(up(plan, live, steps, keep_failed=keep_failed))
    _say_up(plan, as_json)


def _live_net(name: str) -> FoundNet | None:
    from stressnet.engine.choose import nets_called

    return next((found for found in nets_called(name) if found.complete), None)


def _remove(net: str) -> None:
    import asyncio

    from stressnet.engine.choose import nets_called
    from stressnet.engine.down import down

    for found in nets_called(net):
        asyncio.run(down(found))


def _say_up(plan: Plan, as_json: bool) -> None:
    from stressnet.cli.terminal import print_json, say
    from stressnet.engine.up import is_late

    late = [node.name for node in plan.nodes if is_late(node)]
    if as_json:
        print_json({"net": plan.net, "backend": plan.backend, "nodes": len(plan.nodes), "late": late})
        return
    ready = len(plan.nodes) - len(late)
    say(
        plan.net,
        f"is up on {plan.backend}: {ready} nodes ready{_and_late(late)}",
        hint=f"watch it: stressnet status {plan.net} --watch    remove it: stressnet down {plan.net}",
    )


def _and_late(late: list[str]) -> str:
    from stressnet.plan import shorten

    return f", {len(late)} to come ({shorten(late)})" if late else ""


def _say_changes(net: str, changes: Changes, as_json: bool) -> None:
    from dataclasses import asdict

    from stressnet.cli.terminal import print_json, say

    if as_json:
        print_json({"net": net, **asdict(changes)})
        return
    if not changes:
        say(net, "is as the file says; nothing to do")
    for word, names in (
        ("started", changes.missing),
        ("removed", changes.gone),
        ("restarted", changes.changed),
        ("changed for the net", changes.settings),
    ):
        if names:
            click.echo(f"{word}: {', '.join(names)}")
