"""The options of every verb that reads a topology."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stressnet.cli.options import SEED

KINDS = click.option(
    "--kinds",
    "kinds",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with kinds of your own.",
)
BACKEND = click.option(
    "--backend",
    type=click.Choice(["auto", "netns", "docker"]),
    default="auto",
    show_default=True,
    help="What runs the nodes. auto: docker where an engine answers that has the images, else netns.",
)


def sets_option(words: str) -> Callable[..., Any]:
    """Return the option --set with its help."""
    return click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help=words)


_OPTIONS = (
    click.argument("topology", type=click.Path(path_type=Path)),
    sets_option("Override a value, e.g. nodes.late.count=20."),
    KINDS,
    click.option("--seed", type=SEED, help="Take this seed instead of the topology's."),
    BACKEND,
)


def topology_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the topology argument and the options --set, --kinds, --seed and --backend."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
