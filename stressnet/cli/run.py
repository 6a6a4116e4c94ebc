"""`stressnet run`: do what a fault plan says to a net of its own, and give a verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stressnet.cli.options import json_option
from stressnet.cli.run_options import again, run_options


@click.command("run", short_help="Run a fault plan, and give a verdict.")
@run_options
@click.option("--variant", help="Which variant of the plan. [default: its first]")
@click.option(
    "--round",
    "number",
    type=click.IntRange(1),
    help="Do what this round of a soak with the same seed did: rounds have draws of their own.",
)
@click.option("--keep", is_flag=True, help="Leave the net up afterwards, to look at it.")
@click.option(
    "--resume",
    is_flag=True,
    help="PLAN is the record of a run whose controller was killed, and whose net is up: go on with it.",
)
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
    resume: bool,
    as_json: bool,
) -> None:
    """Bring up the net of a fault PLAN, do to it what the plan says, take it down, and give a verdict.

    Exit codes: 0 pass, 1 fail, 2 inconclusive, 254 bad input, 255 the harness failed. Ctrl-C heals all faults, and
    judges what there is as inconclusive.
    """
    from stressnet.cli.run_screen import RunScreen
    from stressnet.cli.terminal import complain, print_json
    from stressnet.cli.told import run_until_told
    from stressnet.cli.verdict_text import print_verdict
    from stressnet.engine.run.scenario import load_scenarios, unique_mark
    from stressnet.engine.run.stages import Asked, run
    from stressnet.engine.run.stages import resume as go_on
    from stressnet.record.runs import find_run

    if resume and (variant or sets or seed is not None or backend != "auto" or number):
        raise click.UsageError("--resume goes on with what was asked for; only --keep and --json go with it")
    with RunScreen(quiet=as_json) as screen:
        if resume:
            done = run_until_told(go_on(find_run(str(plan), out), screen, keep=keep))
        else:
            scenario = load_scenarios(
                plan, sets=sets, kinds=kinds, seed=seed, backend=backend, variant=variant, mark=unique_mark()
            )[0]
            words = again(plan, scenario.variant, sets, scenario.seed, kinds, scenario.plan.backend)
            if number is not None:
                scenario = scenario.of_round(number)
                words = (*words, "--round", str(number))
            asked = Asked(out, words, Path(scenario.file).read_text(encoding="utf-8"), keep)
            done = run_until_told(run(scenario, asked, screen))
    if as_json:
        print_json({"run": str(done.path), **done.verdict.to_raw()})
    else:
        print_verdict(done.path, done.verdict)
    if done.left:  # the exit code is about the nodes, and what is left of the net removes itself in time
        complain(done.left.message, done.left.hints)
    sys.exit(done.verdict.exit_code)
