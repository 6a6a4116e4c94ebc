"""`stressnet run`: do what a fault plan says to a net of its own, and give a verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stressnet.cli.options import SEED, json_option


@click.command("run", short_help="Run a fault plan, and give a verdict.")
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--variant", help="Which variant of the plan. [default: its first]")
@click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value of the plan or its topology."
)
@click.option("--seed", type=SEED, help="Take this seed instead of the plan's.")
@click.option(
    "--kinds",
    "kinds",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder with kinds of your own.",
)
@click.option(
    "--backend",
    type=click.Choice(["auto", "netns", "docker"]),
    default="auto",
    show_default=True,
    help="What runs the nodes. auto: docker where an engine answers that has the images, else netns.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="Folder of records; each gets a folder below it.",
)
@click.option(
    "--round",
    "number",
    type=click.IntRange(1),
    help="Do what this round of a soak with the same seed did: rounds have draws of their own.",
)
@click.option("--keep", is_flag=True, help="Leave the net up afterwards, to look at it.")
@json_option
def command(
    plan: Path,
    variant: str | None,
    sets: tuple[str, ...],
    seed: int | None,
    kinds: tuple[Path, ...],
    backend: str,
    out: Path,
    number: int | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Bring up the net of a fault PLAN, do to it what the plan says, take it down, and give a verdict.

    Exit codes: 0 pass, 1 fail, 2 inconclusive, 254 bad input, 255 the harness failed. Ctrl-C heals all faults, and
    judges what there is as inconclusive.
    """
    import asyncio

    from stressnet.checks.verdict import Verdict
    from stressnet.cli.run_screen import RunScreen
    from stressnet.cli.terminal import print_json
    from stressnet.cli.verdict_text import print_verdict
    from stressnet.engine.run.scenario import load_scenarios, unique_mark
    from stressnet.engine.run.stages import Asked, run

    scenario = load_scenarios(
        plan, sets=sets, kinds=kinds, seed=seed, backend=backend, variant=variant, mark=unique_mark()
    )[0]
    words = again(plan, scenario.variant, sets, scenario.seed, kinds, scenario.plan.backend)
    if number is not None:
        scenario = scenario.of_round(number)
        words = (*words, "--round", str(number))
    asked = Asked(out, words, plan.read_text(encoding="utf-8"), keep)
    verdict: Verdict
    with RunScreen(scenario, quiet=as_json) as screen:
        path, verdict = asyncio.run(run(scenario, asked, screen))
    if as_json:
        print_json({"run": str(path), **verdict.to_raw()})
    else:
        print_verdict(path, verdict)
    sys.exit(verdict.exit_code)


def again(
    plan: Path, variant: str, sets: tuple[str, ...], seed: int, kinds: tuple[Path, ...], backend: str
) -> tuple[str, ...]:
    """Return the command that does the same again."""
    words = ["stressnet", "run", str(plan)]
    words += ["--variant", variant] if variant else []
    words += [word for one in sets for word in ("--set", one)]
    words += [word for one in kinds for word in ("--kinds", str(one))]
    return (*words, "--seed", str(seed), "--backend", backend)
