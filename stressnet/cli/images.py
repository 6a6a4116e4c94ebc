"""`stressnet images`: what nets in containers run from."""

from __future__ import annotations

from pathlib import Path

import click

from stressnet.cli.options import json_option

BASES = ("auto", "registry", "debian", "local-python")


@click.group("images", short_help="Build the images that nets in containers run from.")
def command() -> None:
    """Build and list the images that nets in containers run from. Needs a Docker engine."""


kinds_option = click.option(
    "--kinds", "folders", multiple=True, type=click.Path(path_type=Path), help="A folder with kinds."
)


@command.command("build", short_help="Build images, of all kinds or of some.")
@click.argument("kind", nargs=-1)
@click.option(
    "--base",
    "method",
    type=click.Choice(BASES),
    help="Make the base image anew, from this. auto: registry, else Debian packages, else the local Python.",
)
@click.option("--rebuild", is_flag=True, help="Build also what has not changed.")
@kinds_option
def build(kind: tuple[str, ...], method: str | None, rebuild: bool, folders: tuple[Path, ...]) -> None:
    """Build the base image, the agent's, and those of kinds. What is there and unchanged is left alone."""
    from stressnet.images import agent, base, kinds
    from stressnet.images.engine import connect
    from stressnet.spec.kinds import Kinds

    wanted = kinds.chosen(Kinds(folders), kind)
    engine = connect()
    if method:
        base.make(engine, method, click.echo)  # type: ignore[arg-type]  # click has checked it
    base.ensure(engine, click.echo)
    click.echo(f"{base.TAG}: made from {base.method(engine)}, Python {base.python_version(engine)}")
    click.echo(f"{agent.ensure(engine, click.echo)}: as it should be")
    for one in wanted:
        kinds.ensure(engine, one, click.echo, anew=rebuild)


@command.command("ls", short_help="List our images.")
@kinds_option
@json_option
def ls(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the images that stressnet builds, and whether the engine has them."""
    from stressnet.cli.terminal import console, print_json, size
    from stressnet.images.listing import listing
    from stressnet.spec.kinds import Kinds

    facts = listing(Kinds(folders))
    if as_json:
        print_json(facts)
        return
    from rich.table import Table

    table = Table("IMAGE", "FOR", "THERE", "SIZE", "FROM", box=None, pad_edge=False, header_style="bold")
    for one in facts:
        there = "yes" if one["there"] else "no"
        table.add_row(one["image"], one["for"], there, size(one["size"]), one["base"])
    console().print(table)
