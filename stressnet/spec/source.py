"""The places of a document: from a path such as nodes.late.count to file, line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stressnet.errors import Problem
from stressnet.spec.yamlfile import Mark, Tree

Path = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Source:
    """A document that was read, with the place of every key and value."""

    file: str
    tree: Tree

    def find(self, path: Path) -> tuple[Tree, tuple[str, ...], bool]:
        """Return the deepest value on the path, the parts that led there, and whether that is the whole path.

        Parts that the document does not have (a normal form's own words) are passed over.
        """
        tree, seen, whole = self.tree, list[str](), True
        for part in path:
            below = _step(tree, part)
            whole = below is not None
            if below is not None:
                tree = below
                seen.append(str(part))
        return tree, tuple(seen), whole

    def written(self, path: Path) -> tuple[str | int, ...]:
        """Return the path as the document has it: without the normal form's own words within it."""
        tree, parts = self.tree, list[str | int]()
        for position, part in enumerate(path):
            below = _step(tree, part)
            last = position == len(path) - 1 and isinstance(tree.value, dict | list)
            if below is not None or last:
                parts.append(part)
            tree = below or tree
        return tuple(parts)

    def place(self, path: Path, *, key: bool = False) -> Mark:
        """Return where the value (or its key) stands."""
        tree, _, whole = self.find(path)
        return tree.key_at if key or not whole else tree.at

    def problem(
        self, path: Path, found: str, allowed: str = "", near: str = "", *, key: bool = False
    ) -> Problem:
        """Make a problem that points at the path, or at the deepest thing on it that was written."""
        mark = self.place(path, key=key)
        return Problem(mark.file, mark.line, mark.column, ".".join(map(str, path)), found, allowed, near)


def _step(tree: Tree, part: str | int) -> Tree | None:
    if isinstance(tree.value, dict):
        return tree.value.get(str(part))
    if isinstance(tree.value, list) and isinstance(part, int) and part < len(tree.value):
        return tree.value[part]
    return None
