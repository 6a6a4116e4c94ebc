"""`stressnet prune`: remove whatever is ours."""

from __future__ import annotations

import click

from stressnet.cli.options import json_option


@click.command(short_help="Remove all nets and what killed commands left.")
@click.option("--remains", is_flag=True, help="Only what is left of dead nets; nets that are up stay.")
@click.option("--net", help="Only the net of this name.")
@click.option("--backend", type=click.Choice(["netns", "docker"]), help="Only nets of this backend.")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask before nets that are up are removed.")
@json_option
def command(
    net: str | None, remains: bool, backend: str | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Remove all nets of this user, and whatever killed commands have left of nets.

    At a terminal it asks before it removes a net that is up. Nothing that is not ours is touched.
    """
    import asyncio
    import sys
    from dataclasses import asdict

    from stressnet.cli.terminal import print_json
    from stressnet.engine.choose import found_nets
    from stressnet.engine.down import Removal, prune

    nets = [
        found
        for found in found_nets()
        if net in (None, found.name)
        and backend in (None, found.backend)
        and not (remains and (found.complete or found.busy))
    ]
    up = [found.name for found in nets if found.complete]
    if up and not (yes or dry_run) and sys.stdin.isatty():
        click.confirm(f"these nets are up and will be removed: {', '.join(up)}. Go on?", abort=True)
    removals = [Removal(found.name, found.backend) for found in nets] if dry_run else asyncio.run(prune(nets))
    if as_json:
        print_json([asdict(removal) for removal in removals])
    else:
        word = "would remove" if dry_run else "removed"
        for removal in removals:
            click.echo(removal.error or f"{word} {removal.net} ({removal.backend})")
        if not removals:
            click.echo("nothing to remove")
    if any(removal.error for removal in removals):
        raise click.exceptions.Exit(255)
