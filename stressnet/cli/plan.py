"""`stressnet plan`: what `up` would do."""

from __future__ import annotations

from pathlib import Path

import click

from stressnet.cli.options import json_option
from stressnet.cli.topology_options import topology_options


@click.command("plan", short_help="Show what `up` would do.")
@topology_options
@click.option("--all", "every", is_flag=True, help="A row for every node, not for every group.")
@json_option
def command(
    topology: Path,
    sets: tuple[str, ...],
    kinds: tuple[Path, ...],
    seed: int | None,
    backend: str,
    every: bool,
    as_json: bool,
) -> None:
    """Show what `stressnet up TOPOLOGY` would do: nodes, addresses, links, files, and what they will take."""
    from stressnet.engine.plan_topology import plan_topology

    plan = plan_topology(topology, sets=sets, kinds=kinds, seed=seed, backend=backend)
    if as_json:
        click.echo(plan.to_json())
        return
    from stressnet.cli.plan_text import print_plan
    from stressnet.estimate import estimate, this_machine
    from stressnet.spec.kinds import Kinds

    print_plan(plan, estimate(plan, Kinds(kinds)), this_machine(), every=every)
