"""The parts of the node build on each other in one direction."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter

from loopback import IMAGE


def test_no_part_needs_one_that_needs_it():
    """Not even for its types: what a part needs of another it says itself."""
    modules = {path.stem: ast.parse(path.read_text()) for path in (IMAGE / "syncnode").glob("*.py")}
    needs = {
        name: {
            part
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.level == 1
            for part in ([node.module] if node.module else [alias.name for alias in node.names])
        }
        for name, tree in modules.items()
    }
    assert needs["node"] >= {"rpc", "gossip"}
    TopologicalSorter(needs).prepare()
