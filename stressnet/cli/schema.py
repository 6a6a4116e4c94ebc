"""`stressnet schema`: the JSON Schema of a file format, for editors."""

from __future__ import annotations

import click


@click.command("schema", short_help="Print the JSON Schema of a file format.")
@click.argument("format", type=click.Choice(["topology", "kind", "faults"]))
def command(format: str) -> None:  # noqa: A002 - the name of the argument in the help
    """Print the JSON Schema of a topology, a kind or a fault plan, for editors."""
    from stressnet.spec.schema import schema, schema_of, schema_text

    if format == "faults":
        from stressnet.faultplan.document import FaultPlan

        click.echo(schema_text(schema_of(FaultPlan)))
    else:
        click.echo(schema_text(schema(format)))
