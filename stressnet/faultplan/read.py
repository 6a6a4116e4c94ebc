"""From a fault plan file to its documents: the plan itself, or each of its variants, with the places of their words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from stressnet.checks.expectation import Expectation
from stressnet.errors import InputError, Problem
from stressnet.faultplan.document import EXPECTED, FaultPlan
from stressnet.spec.include import merge, read_included
from stressnet.spec.load import shown_path, validated
from stressnet.spec.overrides import apply_sets
from stressnet.spec.salvage import salvaged
from stressnet.spec.source import Source
from stressnet.spec.topology import Topology
from stressnet.spec.words import listing, nearest, show
from stressnet.spec.yamlfile import Mark, Tree

PLAIN = ""
"""The name of a plan that has no variants."""
_ONLY_HERE = frozenset({"topology", "checks", "timeline"})
_OWN = frozenset(field.alias or name for name, field in FaultPlan.model_fields.items())
_OF_TOPOLOGY = frozenset(field.alias or name for name, field in Topology.model_fields.items()) - _OWN


@dataclass(frozen=True, slots=True)
class Document:
    """One variant of a fault plan, and the places of its words."""

    variant: str
    plan: FaultPlan
    source: Source
    name: str

    @property
    def expected(self) -> Expectation:
        """What it should give; a plan that says nothing should pass."""
        return self.plan.expect or Expectation("pass")


Meaning = Callable[["Document"], Sequence[Problem]]


def read_fault_plan(
    path: Path,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    *,
    also: Meaning | None = None,
) -> dict[str, Document]:
    """Return the variants of a plan by name, in the order of the file; the plan itself, as "", where it has none.

    `sets` are put over the plan and over each of its variants, but for those of `variants.NAME`, which are of that one.

    Raises InputError with the mistakes of all variants, each once. `also` is asked for more of them in what is left of
    a variant that is refused, so that all are listed at once.
    """
    problems: list[Problem] = []
    file = shown_path(path)
    tree = read_included(file, os.environ if environ is None else environ, problems)
    # What somebody asks for now goes before what the file says of a variant.
    of_variants = tuple(one for one in sets if _first_key(one) == "variants")
    of_each = tuple(_whose(one) for one in sets if one not in of_variants)
    tree = apply_sets(tree, of_variants, problems)
    found: dict[str, Document] = {}
    for variant, one in _variants(tree, problems).items():
        source = Source(file, apply_sets(one, of_each, problems))
        name = Path(path).stem
        try:
            plan = validated(
                FaultPlan, source, [], partial(_more, variant, source, name, also) if also else None
            )
        except InputError as error:
            problems += error.problems
        else:
            found[variant] = Document(variant, plan, source, plan.name or name)
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return found


def _more(
    variant: str,
    source: Source,
    name: str,
    also: Meaning,
    error: ValidationError,
    broken: Sequence[Problem],
) -> list[Problem]:
    """Return what else is wrong: with what is left, or where that is too little with the topology alone."""
    data = source.tree.data()
    wrong = [problem.path for problem in broken]
    if "topology" not in data or any(path.partition(".")[0] in ("topology", "set") for path in wrong):
        return []
    rest = salvaged(FaultPlan, data, error)
    if rest is None:
        least = {"duration": "1s", "checks": [{"stuck": {}}], "topology": data["topology"]}
        rest = FaultPlan.model_validate(least)
    return list(also(Document(variant, rest, source, name)))


def is_fault_plan(path: Path) -> bool:
    """Tell a fault plan from a topology, by keys that only a fault plan has; InputError where it is no YAML."""
    tree = read_included(shown_path(path), os.environ, [])
    return isinstance(tree.value, dict) and not _ONLY_HERE.isdisjoint(tree.value)


def chosen_variant(documents: Mapping[str, Document], variant: str | None, path: Path) -> Document:
    """Return the variant of that name, the first where none is asked for; InputError where there is none."""
    if variant is None:
        return next(iter(documents.values()))
    if variant not in documents:
        names = [name for name in documents if name]
        allowed = listing(names) or "no --variant: the plan has none"
        found = f"no variant {show(variant)} in {path}"
        raise InputError([Problem("--variant", 0, 0, "", found, allowed, nearest(variant, names))])
    return documents[variant]


def _whose(setting: str) -> str:
    """`nodes.late.count=3` is about the topology: what only a topology has is put under `set`."""
    return f"set.{setting}" if _first_key(setting) in _OF_TOPOLOGY else setting


def _first_key(setting: str) -> str:
    return setting.partition("=")[0].strip().partition(".")[0]


def _variants(tree: Tree, problems: list[Problem]) -> dict[str, Tree]:
    """Return each variant put over the plan."""
    if not isinstance(tree.value, dict) or "variants" not in tree.value:
        return {PLAIN: tree}
    members = dict(tree.value)
    variants = members.pop("variants")
    base = replace(tree, value=members)
    if not isinstance(variants.value, dict) or not variants.value:
        _refuse(problems, variants.at, show(variants.data()), "named variants, as in `fixed: {expect: pass}`")
        return {PLAIN: base}
    found = {}
    for name, over in variants.value.items():
        if not isinstance(over.value, dict):
            _refuse(problems, over.at, show(over.data()), "a mapping of what differs")
        elif "expect" not in over.value:
            _refuse(problems, over.key_at, "`expect` is missing", listing(EXPECTED), f"variants.{name}")
        else:
            found[name] = merge(base, over)
    return found or {PLAIN: base}


def _refuse(problems: list[Problem], at: Mark, found: str, allowed: str, path: str = "variants") -> None:
    problems.append(Problem(at.file, at.line, at.column, path, found, allowed))
