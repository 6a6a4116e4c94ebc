"""`stressnet completion`: the line that makes a shell complete our words."""

from __future__ import annotations

import click


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell: eval "$(stressnet completion bash)"."""
    from click.shell_completion import get_completion_class

    from stressnet.cli import group

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(group, {}, "stressnet", "_STRESSNET_COMPLETE").source())
