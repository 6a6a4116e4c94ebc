"""From a topology file to a Topology that knows where each of its words was written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from stressnet.errors import InputError, Problem
from stressnet.spec.explain import explain
from stressnet.spec.include import read_included
from stressnet.spec.overrides import apply_sets, put
from stressnet.spec.salvage import independent, salvaged
from stressnet.spec.source import Source
from stressnet.spec.topology import Topology
from stressnet.spec.words import show
from stressnet.spec.yamlfile import Tree

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A topology and the places of its words."""

    topology: Topology
    source: Source


def load(
    path: str | os.PathLike[str],
    sets: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    *,
    also: Callable[[Loaded], Sequence[Problem]] | None = None,
    over: Sequence[Tree] = (),
) -> Loaded:
    """Read a topology file with its includes, variables and overrides: `--set`, and the mappings of `over`.

    Raises InputError with every problem that was found. `also` (such as `stressnet.compile.meaning_of`) is
    asked for more problems where the file is refused, so that all are listed at once.
    """
    problems: list[Problem] = []
    file = shown_path(path)
    tree = read_included(file, os.environ if environ is None else environ, problems)
    tree = apply_sets(tree, tuple(sets), problems)
    return loaded_from(tree, file, problems, also=also, over=over)


def loaded_from(
    tree: Tree,
    file: str,
    problems: list[Problem],
    *,
    also: Callable[[Loaded], Sequence[Problem]] | None = None,
    over: Sequence[Tree] = (),
) -> Loaded:
    """Return the topology that a tree is, with the mappings of `over` put over it; InputError as for `load`."""
    for settings in over:
        tree = put(tree, settings, problems)
    source = Source(file, tree)
    more = partial(_more, source, also) if also else None
    return Loaded(validated(Topology, source, problems, more), source)


def _more(
    source: Source,
    also: Callable[[Loaded], Sequence[Problem]],
    error: ValidationError,
    broken: Sequence[Problem],
) -> list[Problem]:
    rest = salvaged(Topology, source.tree.data(), error)
    return independent(also(Loaded(rest, source)), broken) if rest else []


def shown_path(path: str | os.PathLike[str]) -> str:
    """Write a path as its user would: relative to here where it is below."""
    text = os.fspath(path)
    here = Path.cwd()
    return str(Path(text).relative_to(here)) if Path(text).is_relative_to(here) else os.path.normpath(text)


def validated(
    model: type[M],
    source: Source,
    problems: list[Problem],
    more: Callable[[ValidationError, Sequence[Problem]], Sequence[Problem]] | None = None,
) -> M:
    """Return the model of a document; raise InputError with these problems, the model's own, and `more`."""
    data = source.tree.data()
    if not isinstance(data, dict):
        found = source.problem((), show(data), "a mapping")
        raise InputError([*problems, found])
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        broken = _without_echoes(problems, explain(error, model, source))
        raise InputError([*broken, *(more(error, broken) if more else ())]) from None
    if problems:
        raise InputError(_without_echoes(problems, []))
    return result


def _without_echoes(first: list[Problem], then: list[Problem]) -> list[Problem]:
    """A value that could not be read is refused by the model too; that is not a second mistake."""
    places = {(problem.file, problem.line, problem.column) for problem in first if problem.line}
    fresh = [problem for problem in then if (problem.file, problem.line, problem.column) not in places]
    return list(dict.fromkeys([*first, *fresh]))
