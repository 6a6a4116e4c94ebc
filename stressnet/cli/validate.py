"""`stressnet validate`: say whether a topology or a fault plan is right."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stressnet.cli.options import json_option

if TYPE_CHECKING:
    from stressnet.engine.run.scenario import Scenario
    from stressnet.plan import Plan


@click.command("validate", short_help="Check a topology or a fault plan, and list everything that is wrong.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value of the file.")
@click.option(
    "--kinds", multiple=True, type=click.Path(path_type=Path), help="A folder with kinds of your own."
)
@json_option
def command(file: Path, sets: tuple[str, ...], kinds: tuple[Path, ...], as_json: bool) -> None:
    """Check FILE and the kinds it uses, and list everything that is wrong.

    FILE is a topology, or a fault plan, also the bare name of one that comes with stressnet, of which all variants are
    held against its topology. Whether programs and
    images are there is not asked: `stressnet plan` does.
    """
    from stressnet.cli.terminal import warn
    from stressnet.errors import InputError
    from stressnet.faultplan.read import is_fault_plan
    from stressnet.resources import fault_plan

    file = fault_plan(file)
    try:
        facts = (_of_fault_plan if is_fault_plan(file) else _of_topology)(file, sets, kinds)
    except InputError as error:
        if not as_json:
            raise
        facts = {"ok": False, "problems": [asdict(problem) for problem in error.problems]}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        raise SystemExit(0 if facts["ok"] else InputError.exit_code)
    click.echo(f"{file}: ok, {_words(facts)}")
    warn(facts["warnings"])


def _of_topology(file: Path, sets: tuple[str, ...], kinds: tuple[Path, ...]) -> dict[str, Any]:
    from stressnet.compile import compile_plan, meaning_of
    from stressnet.spec.kinds import Kinds
    from stressnet.spec.load import load

    known = Kinds(kinds)
    plan: Plan = compile_plan(load(file, sets, also=lambda rest: meaning_of(rest, known)), known)
    links = len(plan.links())
    return {"ok": True, "nodes": len(plan.nodes), "links": links, "warnings": list(plan.warnings)}


def _of_fault_plan(file: Path, sets: tuple[str, ...], kinds: tuple[Path, ...]) -> dict[str, Any]:
    from stressnet.engine.run.scenario import load_scenarios

    found = load_scenarios(file, sets=sets, kinds=kinds, backend="netns", check=False)
    warnings = dict.fromkeys(warning for one in found for warning in one.plan.warnings)
    return {"ok": True, "variants": [_of_variant(one) for one in found], "warnings": list(warnings)}


def _of_variant(one: Scenario) -> dict[str, Any]:
    return {
        "name": one.variant,
        "expect": one.expected.to_raw(),
        "nodes": len(one.plan.nodes),
        "steps": len(one.timeline.steps),
        "checks": len(one.checks),
    }


def _words(facts: dict[str, Any]) -> str:
    variants = facts.get("variants")
    if variants is None:
        return f"{facts['nodes']} nodes, {facts['links']} links"
    counted = [_count([len(variants)], "variants")] if variants[0]["name"] else []
    counted += [_count([one[what] for one in variants], what) for what in ("nodes", "steps", "checks")]
    return ", ".join(counted)


def _count(numbers: Sequence[int], what: str) -> str:
    """Write a number that need not be the same in all variants."""
    low, high = min(numbers), max(numbers)
    if low == high == 1:
        return f"1 {what.removesuffix('s')}"
    return f"{high} {what}" if low == high else f"{low} to {high} {what}"
