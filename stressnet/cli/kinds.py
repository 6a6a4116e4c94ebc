"""`stressnet kinds`: which kinds there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stressnet.cli.options import json_option

if TYPE_CHECKING:
    from stressnet.spec.kinds import LoadedKind


@click.command("kinds", short_help="List the kinds of nodes.")
@click.option(
    "--kinds", "folders", multiple=True, type=click.Path(path_type=Path), help="A folder with kinds."
)
@json_option
def command(folders: tuple[Path, ...], as_json: bool) -> None:
    """List the kinds of nodes: their roles and ports, and where they are described."""
    from stressnet.cli.terminal import print_json, print_lines
    from stressnet.spec.kinds import Kinds

    kinds = Kinds(folders)
    facts = [_facts(kinds.load(name)) for name in kinds.names()]
    if as_json:
        print_json(facts)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("KIND", "ROLES", "PORTS", "DESCRIPTION", box=None, pad_edge=False, header_style="bold")
    for one in facts:
        words = (one["name"], ", ".join(one["roles"]), ", ".join(one["ports"]), one["description"])
        table.add_row(*map(Text, words))
    print_lines(table)


def _facts(loaded: LoadedKind) -> dict[str, Any]:
    kind = loaded.kind
    return {
        "name": kind.name,
        "description": kind.description,
        "roles": kind.roles,
        "ports": {name: f"{number}/{protocol}" for name, (number, protocol) in kind.ports.items()},
        "image": kind.image,
        "binary": kind.binary,
        "file": loaded.source.file,
    }
