"""`include:` - files that a file builds on, merged under it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from stressnet.errors import InputError, Problem
from stressnet.spec.variables import substitute
from stressnet.spec.words import show
from stressnet.spec.yamlfile import Mark, Tree, read_yaml

MAX_FILES = 50
_WHOLE = frozenset({"links", "start", "ready"})
"""Keys whose value is one choice: merging two would say two things at once."""


def with_included(tree: Tree, file: str, environ: Mapping[str, str], problems: list[Problem]) -> Tree:
    """Return a part of a file with all that the part itself includes put under it."""
    return _Reader(environ, problems).expand(tree, file, ())


def read_included(file: str, environ: Mapping[str, str], problems: list[Problem]) -> Tree:
    """Read a file and all it includes, as one tree; what a file says itself wins."""
    return _Reader(environ, problems).read(file, ())


class _Reader:
    def __init__(self, environ: Mapping[str, str], problems: list[Problem]) -> None:
        self._environ = environ
        self._problems = problems
        self._count = 0

    def read(self, file: str, chain: tuple[str, ...]) -> Tree:
        self._count += 1
        tree = substitute(read_yaml(file, self._problems), self._environ, self._problems)
        return self.expand(tree, file, chain)

    def expand(self, tree: Tree, file: str, chain: tuple[str, ...]) -> Tree:
        if not isinstance(tree.value, dict) or "include" not in tree.value:
            return tree
        members = dict(tree.value)
        includes = members.pop("include")
        own = replace(tree, value=members)
        base: Tree | None = None
        for item in self._items(includes):
            below = self._included(item, file, (*chain, file))
            if below is not None:
                base = below if base is None else merge(base, below)
        return own if base is None else merge(base, own)

    def _items(self, includes: Tree) -> list[Tree]:
        if isinstance(includes.value, list):
            return includes.value
        self._note(includes.at, show(includes.data()), "a list of files, as in `include: [base.yaml]`")
        return []

    def _included(self, item: Tree, file: str, chain: tuple[str, ...]) -> Tree | None:
        name = item.value
        if not isinstance(name, str) or not name or os.path.isabs(name):
            self._note(item.at, show(item.data()), "a path relative to this file")
            return None
        path = os.path.normpath(os.path.join(os.path.dirname(file), name))
        if any(os.path.realpath(path) == os.path.realpath(seen) for seen in chain):
            self._note(item.at, f"the files include each other: {' -> '.join((*chain, path))}")
            return None
        if self._count >= MAX_FILES:
            self._note(item.at, f"more than {MAX_FILES} files are included")
            return None
        return self._checked(item, path, chain)

    def _checked(self, item: Tree, path: str, chain: tuple[str, ...]) -> Tree | None:
        try:
            tree = self.read(path, chain)
        except InputError as error:
            self._problems.extend(_placed(problem, item.at) for problem in error.problems)
            return None
        if isinstance(tree.value, dict):
            return tree
        self._note(tree.at, show(tree.data()), "a mapping")
        return None

    def _note(self, mark: Mark, found: str, allowed: str = "") -> None:
        self._problems.append(Problem(mark.file, mark.line, mark.column, "include", found, allowed))


def _placed(problem: Problem, at: Mark) -> Problem:
    """A file that cannot be read at all is a mistake of the line that names it."""
    if problem.line:
        return problem
    return Problem(
        at.file, at.line, at.column, "include", f"{problem.file}: {problem.found}", problem.allowed
    )


def merge(base: Tree, over: Tree, key: str = "") -> Tree:
    """Return base with everything in over put over it, mappings key by key."""
    if key in _WHOLE or not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    members = dict(base.value)
    for name, item in over.value.items():
        members[name] = merge(members[name], item, name) if name in members else item
    return replace(over, value=members)
