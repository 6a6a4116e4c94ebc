"""The options of every verb that runs a fault plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from stressnet.cli.options import SEED
from stressnet.cli.topology_options import BACKEND, KINDS, sets_option

_OPTIONS = (
    click.argument("plan", type=click.Path(path_type=Path)),
    sets_option("Override a value of the plan or its topology."),
    click.option("--seed", type=SEED, help="Take this seed instead of the plan's."),
    KINDS,
    BACKEND,
    click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        show_default=True,
        help="Folder of records; each gets a folder below it.",
    ),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the plan argument and the options --set, --seed, --kinds, --backend and --out."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def again(
    plan: Path, variant: str, sets: tuple[str, ...], seed: int, kinds: tuple[Path, ...], backend: str
) -> tuple[str, ...]:
    """Return the command that does one run again."""
    words = ["stressnet", "run", str(plan)]
    words += ["--variant", variant] if variant else []
    words += [word for one in sets for word in ("--set", one)]
    words += [word for one in kinds for word in ("--kinds", str(one))]
    return (*words, "--seed", str(seed), "--backend", backend)
