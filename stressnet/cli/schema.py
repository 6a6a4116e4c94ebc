"""`stressnet schema`: the JSON Schema of a file format, for editors."""

from __future__ import annotations

import click


@click.command("schema", short_help="Print the JSON Schema of a file format.")
@click.argument("format", type=click.Choice(["topology", "kind"]))
def command(format: str) -> None:  # noqa: A002 - the name of the argument in the help
    """Print the JSON Schema of a topology or a kind, for editors."""
    from stressnet.spec.schema import schema_text

    click.echo(schema_text(format))
