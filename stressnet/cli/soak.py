"""`stressnet soak`: do the timeline of a fault plan again and again to one net, for a night."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from stressnet.cli.options import DURATION, SIZE, json_option
from stressnet.cli.run_options import again, run_options


@click.command("soak", short_help="Repeat a fault plan on one net for hours.")
@run_options
@click.option("--for", "for_s", type=DURATION, required=True, help="How long, such as 8h.")
@click.option(
    "--every",
    "every_s",
    type=DURATION,
    default="10m",
    show_default=True,
    help="How often to say how it stands, also within a round.",
)
@click.option("--variant", help="Which variant of the plan. [default: its first]")
@click.option(
    "--budget",
    type=SIZE,
    default="2GiB",
    show_default=True,
    help="What the soak's folder may take of the disk, at least 4MiB.",
)
@click.option(
    "--resume", is_flag=True, help="Go on with the latest soak of it whose time is not up; else begin one."
)
@json_option
def command(
    plan: Path,
    for_s: float,
    every_s: float,
    variant: str | None,
    sets: tuple[str, ...],
    seed: int | None,
    kinds: tuple[Path, ...],
    backend: str,
    out: Path,
    budget: int,
    resume: bool,
    as_json: bool,
) -> None:
    """Bring up the net of a fault PLAN, and do its timeline again and again until the time is up.

    The round that is being done then is done to its end. Exit codes: 0 pass, 1 a round failed or the night as a whole,
    2 inconclusive, 254 bad input, 255 the harness failed. Ctrl-C heals all faults, judges what there is and takes the
    net down.
    """
    from stressnet.cli.soak_screen import SoakScreen, finish
    from stressnet.cli.told import run_until_told
    from stressnet.engine.limits import warnings
    from stressnet.engine.run.scenario import Scenario, load_scenarios
    from stressnet.engine.run.stages import Asked
    from stressnet.engine.soak import budget as budgets
    from stressnet.engine.soak.begin import begun
    from stressnet.engine.soak.livenet import LivePlace
    from stressnet.engine.soak.order import Order
    from stressnet.engine.soak.soak import Soak
    from stressnet.spec.units import format_size

    if budget < budgets.LEAST:
        raise click.BadParameter(f"at least {format_size(budgets.LEAST)}", param_hint="--budget")
    if for_s <= 0 or every_s <= 0:
        raise click.BadParameter("a time above 0", param_hint="--for" if for_s <= 0 else "--every")

    def load(mark: str) -> Scenario:
        return load_scenarios(
            plan, sets=sets, kinds=kinds, seed=seed, backend=backend, variant=variant, mark=mark
        )[0]

    def order_of(scenario: Scenario) -> Order:
        words = again(plan, scenario.variant, sets, scenario.seed, kinds, scenario.plan.backend)
        asked = Asked(out, words, Path(scenario.file).read_text(encoding="utf-8"))
        return Order(scenario, asked, for_s, every_s, budget)

    with begun(load, order_of, out, resume=resume) as (folder, order), SoakScreen(quiet=as_json) as screen:
        one = order.scenario
        screen.say(f"{one.name}: {len(one.plan.nodes)} nodes, {folder}")
        for words in warnings(one.plan):
            screen.say(f"warning: {words}")
        soak = Soak(order, folder, LivePlace(one, screen), screen.say)
        amount = run_until_told(soak.run())
        finish(folder, amount, as_json=as_json)
    sys.exit(amount.exit_code)
