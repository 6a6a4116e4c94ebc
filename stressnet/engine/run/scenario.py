"""Stage 1: from a fault plan file to all that a run will do, checked whole before anything starts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stressnet.checks.expectation import Expectation
from stressnet.compile import check_programs, compile_plan, meaning_of
from stressnet.engine.plan_topology import choose_backend, install_hints, relay_of
from stressnet.engine.run.machine import check_machine
from stressnet.errors import InputError, Problem, UsageError
from stressnet.faultplan.compile import compile_timeline
from stressnet.faultplan.draw import own_seed
from stressnet.faultplan.questions import questions
from stressnet.faultplan.read import Document, chosen_variant, is_fault_plan, read_fault_plan
from stressnet.faultplan.timeline import Timeline
from stressnet.images.relay import PROGRAM
from stressnet.plan import Plan, Sampling
from stressnet.resources import fault_plan
from stressnet.spec.include import with_included
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import Loaded, load, loaded_from
from stressnet.spec.words import show
from stressnet.spec.yamlfile import Mark, Scalar, Tree

_NAME = 31
"""Characters of a net's name at most."""
_FEW = 20
_CLOSE_SAMPLING = Sampling(every_s=0.5, closely_s=2.0)
"""How often up to `_FEW` nodes are looked at where the topology does not say: a run lasts minutes, not days."""
_SAMPLING = Sampling(every_s=1.0, closely_s=5.0)


@dataclass(frozen=True, slots=True)
class Settling:
    """What is waited for before the timeline begins; seconds."""

    timeout_s: float
    height: int | None
    synced: bool
    baseline_s: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """One variant of a fault plan, completely decided."""

    name: str
    variant: str
    expected: Expectation
    description: str
    file: str
    seed: int
    time_scale: float | None
    plan: Plan
    timeline: Timeline
    settling: Settling
    checks: tuple[dict[str, Any], ...]
    """Each with name, check and parameters, as the file says them."""
    capture_bytes: int = 0
    """Of the last packets of each node; 0: none are kept."""
    redraw: Callable[[int], Timeline] | None = field(default=None, repr=False, compare=False)
    """Return the timeline as another seed draws it, for the same net; None: it is always the same."""

    def of_round(self, number: int) -> Scenario:
        """Return what a round of a soak does: on the same net, with a seed of the round's own. They count from 1."""
        seed = own_seed(self.plan.seed, f"round {number}")
        return replace(self, seed=seed, timeline=self.redraw(seed) if self.redraw else self.timeline)


def load_scenarios(
    path: Path,
    *,
    sets: Sequence[str] = (),
    kinds: Sequence[Path] = (),
    seed: int | None = None,
    backend: str = "auto",
    variant: str | None = None,
    check: bool = True,
    mark: str = "",
) -> list[Scenario]:
    """Return all variants of a plan, or the one that is named; InputError with every problem of all of them.

    A plan that comes with stressnet may be given by its bare name.

    `check`: the programs of nodes and of relays must be there, and the machine able to do the faults. `mark` goes
    behind the net's name, which several runs share.
    """
    path = fault_plan(path)
    documents = _documents(path, sets, kinds)
    if variant is not None:
        documents = {variant: chosen_variant(documents, variant, path)}
    found: list[Scenario] = []
    problems: list[Problem] = []
    for document in documents.values():
        try:
            found.append(_scenario(path, document, Kinds(kinds), kinds, seed, backend, check, mark))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(list(dict.fromkeys(problems)))
    return found


def _documents(path: Path, sets: Sequence[str], kinds: Sequence[Path]) -> dict[str, Document]:
    try:
        return read_fault_plan(path, sets, also=lambda rest: _meaning(path, rest, Kinds(kinds)))
    except InputError:
        if path.is_file() and not is_fault_plan(path):
            hint = f"`stressnet up {path}` brings up a topology"
            found = f"{path} is no fault plan: it has no topology, timeline or checks"
            raise UsageError(found, hints=(hint,)) from None
        raise


def _scenario(
    path: Path,
    document: Document,
    known: Kinds,
    folders: Sequence[Path],
    seed: int | None,
    backend: str,
    check: bool,
    mark: str,
) -> Scenario:
    loaded = _topology(path, document, known, mark)
    chosen_backend = choose_backend(backend, loaded, known)
    seed = document.plan.seed if seed is None else seed
    relay = relay_of(chosen_backend) or ("" if check else PROGRAM)
    plan = compile_plan(loaded, known, seed=seed, backend=chosen_backend, relay=relay)
    if check:
        check_programs(plan, loaded, install_hints(plan, known, folders))
        check_machine(document, plan)
    plan = replace(plan, sampling=_sampling(document, loaded, plan))
    settle = document.plan.settle
    return Scenario(
        name=document.name,
        variant=document.variant,
        expected=document.expected,
        description=document.plan.description,
        file=str(path),
        seed=plan.seed,
        time_scale=document.plan.time_scale,
        plan=plan,
        timeline=compile_timeline(document, plan, plan.seed),
        settling=Settling(settle.timeout, settle.height, settle.synced, settle.baseline),
        checks=questions(document, plan)[0],
        capture_bytes=document.plan.capture or 0,
        redraw=lambda seed: compile_timeline(document, plan, seed),
    )


def _sampling(document: Document, loaded: Loaded, plan: Plan) -> Sampling:
    """Return how often nodes are looked at: as the topology says, and where it says nothing as is usual for a run."""
    usual = _CLOSE_SAMPLING if len(plan.nodes) <= _FEW else _SAMPLING
    said = loaded.topology.sampling.model_fields_set
    every_s = plan.sampling.every_s if "every" in said else usual.every_s
    closely_s = plan.sampling.closely_s if "closely" in said else usual.closely_s
    if not every_s:
        found = "nodes are never looked at (`sampling`)"
        raise InputError([document.source.problem(("topology",), found, "samples, by which a run is judged")])
    if "every" not in said and closely_s:
        every_s = min(every_s, closely_s)
    elif closely_s:
        closely_s = max(every_s, closely_s)
    return replace(plan.sampling, every_s=every_s, closely_s=closely_s)


def _meaning(path: Path, document: Document, known: Kinds) -> Sequence[Problem]:
    """Return what is wrong with topology and timeline of a document, or of what is left of it."""
    try:
        plan = compile_plan(_topology(path, document, known, ""), known, find=lambda _: None, relay=PROGRAM)
        compile_timeline(document, plan, plan.seed)
    except InputError as error:
        return error.problems
    return ()


def _topology(path: Path, document: Document, known: Kinds, mark: str) -> Loaded:
    """Return the topology with what the plan puts over it; its mistakes stand where they were written."""
    tree = document.source.tree
    assert isinstance(tree.value, dict)
    over = [tree.value["set"]] if "set" in tree.value else []
    if mark:
        name = f"{document.name[: _NAME - len(mark) - 1].rstrip('-')}-{mark}"
        over.append(_setting("name", name, tree.value["topology"].at))
    loaded = _loaded(path, document, known, over)
    if document.plan.time_scale is None:
        return loaded
    return _loaded(
        path, document, known, [*over, *_scales(document, loaded, known, document.plan.time_scale)]
    )


def _loaded(path: Path, document: Document, known: Kinds, over: Sequence[Tree]) -> Loaded:
    assert isinstance(document.source.tree.value, dict)
    topology = document.source.tree.value["topology"]

    def also(rest: Loaded) -> Sequence[Problem]:
        return meaning_of(rest, known)

    if isinstance(topology.value, dict):
        problems: list[Problem] = []
        whole = with_included(topology, document.source.file, os.environ, problems)
        return loaded_from(whole, document.source.file, problems, also=also, over=over)
    if not isinstance(topology.value, str) or not topology.value:
        found = document.source.problem(("topology",), show(topology.data()), "a file, or a topology")
        raise InputError([found])
    file = os.path.normpath(os.path.join(path.parent, topology.value))
    try:
        return load(file, over=over, also=also)
    except InputError as error:
        raise InputError([_placed(one, document) for one in error.problems]) from None


def _scales(document: Document, loaded: Loaded, known: Kinds, scale: float) -> Iterator[Tree]:
    """Yield the settings by which kinds take a time scale; InputError where a kind has none."""
    here = document.source.place(("time_scale",))
    value = int(scale) if scale.is_integer() else scale
    topology = loaded.topology
    names = [group.kind or topology.defaults.kind for group in topology.nodes.values()]
    for name in dict.fromkeys(name for name in names if name in known.names()):
        kind = known.load(str(name)).kind
        if kind.time_scale is None:
            found = f"the kind {kind.name!r} has no time scale"
            raise InputError(
                [document.source.problem(("time_scale",), found, "kinds whose file says `time_scale`")]
            )
        yield _setting(f"defaults.config.{kind.time_scale}", value, here)


def _placed(problem: Problem, document: Document) -> Problem:
    """A topology that cannot be read at all is a mistake of the line that names it."""
    if problem.line or problem.path:
        return problem
    return document.source.problem(("topology",), f"{problem.file}: {problem.found}", problem.allowed)


def _setting(key: str, value: Scalar, at: Mark) -> Tree:
    return Tree({key: Tree(value, at, at)}, at, at)


def unique_mark() -> str:
    """Return what tells the nets of runs apart that go on at one time."""
    return f"r{os.getpid() % 46656:x}{time.monotonic_ns() // 1000 % 65536:x}"
