"""`stressnet validate`: say whether a topology file is right."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stressnet.cli.options import json_option

if TYPE_CHECKING:
    from stressnet.plan import Plan


@click.command("validate", short_help="Check a topology file, and list everything that is wrong.")
@click.argument("topology", type=click.Path(path_type=Path))
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Override a value of the file.")
@click.option(
    "--kinds", multiple=True, type=click.Path(path_type=Path), help="A folder with kinds of your own."
)
@json_option
def command(topology: Path, sets: tuple[str, ...], kinds: tuple[Path, ...], as_json: bool) -> None:
    """Check TOPOLOGY and the kinds it uses, and list everything that is wrong.

    Whether programs and images are there is not asked: `stressnet plan` does.
    """
    from stressnet.errors import InputError

    try:
        facts = _facts(_compile(topology, sets, kinds))
    except InputError as error:
        if not as_json:
            raise
        facts = {"ok": False, "problems": [asdict(problem) for problem in error.problems]}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        raise SystemExit(0 if facts["ok"] else InputError.exit_code)
    click.echo(f"{topology}: ok, {facts['nodes']} nodes, {facts['links']} links")
    for warning in facts["warnings"]:
        click.echo(f"warning: {warning}", err=True)


def _compile(topology: Path, sets: tuple[str, ...], kinds: tuple[Path, ...]) -> Plan:
    from stressnet.compile import compile_plan, meaning_of
    from stressnet.spec.kinds import Kinds
    from stressnet.spec.load import load

    known = Kinds(kinds)
    return compile_plan(load(topology, sets, also=lambda rest: meaning_of(rest, known)), known)


def _facts(plan: Plan) -> dict[str, Any]:
    links = len(plan.links())
    return {"ok": True, "nodes": len(plan.nodes), "links": links, "warnings": list(plan.warnings)}
