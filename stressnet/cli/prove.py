"""`stressnet prove`: run the variants of a fault plan many times, and say how often each gives what it should."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stressnet.cli.options import SHARE, json_option
from stressnet.cli.run_options import again, run_options

if TYPE_CHECKING:
    from stressnet.cli.prove_screen import ProveScreen
    from stressnet.engine.prove import Done, Proof, Turn
    from stressnet.engine.run.scenario import Scenario

AUTO = "auto"
_MOST = 32
"""Runs that `auto` has at one time, where the CPUs stay idle for all of them."""


class AtOnce(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """A number of runs, or `auto`."""

    name = "[1<=x<=64|auto]"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        """Return the number, or AUTO."""
        return AUTO if value == AUTO else click.IntRange(1, 64).convert(value, parameter, context)


@click.command("prove", short_help="Run a fault plan many times, and say how sure its verdicts are.")
@run_options
@click.option(
    "--variant", "variants", multiple=True, help="Only this variant; may be repeated. [default: all]"
)
@click.option(
    "--runs",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="How often each variant is run.",
)
@click.option(
    "--at-once",
    type=AtOnce(),
    default=1,
    show_default=True,
    help="How many runs go on at one time; `auto`: another begins when the CPUs of this machine are idle enough.",
)
@click.option(
    "--at-least",
    type=SHARE,
    default="95%",
    show_default=True,
    help="So many of each variant's runs must give the verdict that it expects.",
)
@click.option("--keep-records", is_flag=True, help="Keep the records of runs that went as expected, too.")
@json_option
def command(
    plan: Path,
    sets: tuple[str, ...],
    seed: int | None,
    kinds: tuple[Path, ...],
    backend: str,
    out: Path,
    variants: tuple[str, ...],
    runs: int,
    at_once: int | str,
    at_least: float,
    keep_records: bool,
    as_json: bool,
) -> None:
    """Run the variants of a fault PLAN in turn, many times, and count how often each gives the verdict that it expects.

    Every run has a net of its own. Records of runs that went as expected are removed. What comes out is also in
    prove.json, in a folder beside the records.

    Exit codes: 0 each variant did as expected often enough, 1 one did the opposite too often, 2 too many runs were
    inconclusive to say, or Ctrl-C, 254 bad input, 255 the harness failed.
    """
    from stressnet.cli.prove_screen import ProveScreen
    from stressnet.cli.prove_text import print_proof
    from stressnet.cli.terminal import print_json, warn
    from stressnet.cli.told import run_until_told
    from stressnet.engine.limits import warnings
    from stressnet.engine.prove import Prover
    from stressnet.engine.room import Room
    from stressnet.engine.run.stages import Asked
    from stressnet.errors import StressnetError
    from stressnet.record.runs import PROOF, new_proof, write_json

    scenarios = _scenarios(plan, variants, runs, sets=sets, kinds=kinds, seed=seed, backend=backend)
    first = next(iter(scenarios.values()))
    expected = {turn.variant: one.expected for turn, one in scenarios.items()}
    warn(words for one in scenarios.values() for words in warnings(one.plan))
    folder = new_proof(out, first.name, time.time())
    source = Path(first.file).read_text(encoding="utf-8")
    facts = {"version": 1, "plan": first.name, "file": str(plan), "begun_at": time.time()}
    facts |= {"runs": runs, "at_once": at_once, "at_least": round(at_least, 6), "seed": first.seed}

    async def do(turn: Turn) -> Done:
        one = scenarios.pop(turn)
        words = again(plan, turn.variant, sets, one.seed, kinds, one.plan.backend)
        return await _one_run(turn, one, Asked(out, words, source), screen, keep=keep_records)

    def told(done: Done) -> None:
        write_json(folder / PROOF, {**facts, **_found(prover.proof)})
        screen.over(done)

    room = Room() if at_once == AUTO else None
    prover = Prover(expected, runs, do, share=at_least, told=told, room=room)
    try:
        with ProveScreen(prover.proof, runs) as screen:
            proof = run_until_told(prover.run(_MOST if at_once == AUTO else int(at_once)))
    except StressnetError:
        with suppress(OSError):
            folder.rmdir()  # it came to nothing
        raise
    write_json(folder / PROOF, {**facts, **_found(proof)})
    if as_json:
        print_json({"proof": str(folder / PROOF), **facts, **_found(proof)})
    else:
        print_proof(first.name, proof, folder / PROOF)
    sys.exit(proof.exit_code)


def _scenarios(plan: Path, variants: Sequence[str], runs: int, **how: Any) -> dict[Turn, Scenario]:
    """Return what each run will do. All is read before the first begins: who edits a file meanwhile changes none."""
    from stressnet.engine.prove import Turn
    from stressnet.engine.run.scenario import load_scenarios, unique_mark

    mark = unique_mark()
    names = list(dict.fromkeys(variants)) or [one.variant for one in load_scenarios(plan, **how)]
    turns = [Turn(name, number + 1) for number in range(runs) for name in names]
    return {
        turn: load_scenarios(plan, variant=turn.variant, mark=f"{mark}-{place}", **how)[0]
        for place, turn in enumerate(turns)
    }


async def _one_run(turn: Turn, scenario: Scenario, asked: Any, screen: ProveScreen, *, keep: bool) -> Done:
    from stressnet.checks.measures import busy, measures
    from stressnet.cli.terminal import complain
    from stressnet.engine.prove import Done
    from stressnet.engine.run.stages import run
    from stressnet.errors import StressnetError
    from stressnet.record.record import Record
    from stressnet.record.runs import remove

    begun = time.monotonic()
    with screen.of_run(turn) as shown:
        try:
            ended = await run(scenario, asked, shown)
        except StressnetError as error:
            return Done(turn, "error", error.message, time.monotonic() - begun, (), shown.record, error)
    path, verdict = ended.path, ended.verdict
    if ended.left:
        complain(ended.left.message, ended.left.hints)
    record = Record(path)
    took, used = measures(record), busy(record)
    useless = scenario.expected.met_by(verdict.outcome, verdict.failed) and not keep
    if useless:
        remove(path)
    return Done(
        turn,
        verdict.outcome,
        verdict.reason,
        time.monotonic() - begun,
        verdict.failed,
        None if useless else path,
        measures=took,
        busy=used,
    )


def _found(proof: Proof) -> Mapping[str, Any]:
    return {
        "ended_at": time.time(),
        "answer": proof.answer,
        "interrupted": proof.interrupted,
        "variants": [tally.to_raw() for tally in proof.tallies.values()],
    }
