"""Links join who they should, and random ones are regular, connected and decided by the seed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stressnet.compile import compile_plan, graphs
from stressnet.plan import Plan
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load


def plan(tmp_path: Path, links: str, count: int = 5, seed: int = 1, extra: str = "") -> Plan:
    file = tmp_path / "t.yaml"
    line = f"links: {links}\n" if links else ""
    file.write_text(f"name: net\n{line}nodes:\n  n: {{kind: generic, command: [x], count: {count}}}\n{extra}")
    return compile_plan(load(file), Kinds(), seed=seed, find=lambda name: None)


def knows(plan: Plan) -> dict[str, str]:
    return {node.name: " ".join(other.removeprefix("n-") for other in node.knows) for node in plan.nodes}


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ("full", ["2 3 4 5", "1 3 4 5", "1 2 4 5", "1 2 3 5", "1 2 3 4"]),
        ("ring", ["2 5", "1 3", "2 4", "3 5", "1 4"]),
        ("line", ["2", "1 3", "2 4", "3 5", "4"]),
        ("star", ["2 3 4 5", "1", "1", "1", "1"]),
        ("{star: {center: n-2}}", ["2", "1 3 4 5", "2", "2", "2"]),
        ("tree", ["2 3", "1 4 5", "1", "2", "2"]),
        ("{tree: {fanout: 3}}", ["2 3 4", "1 5", "1", "1", "2"]),
        ("{random: {degree: 4}}", ["2 3 4 5", "1 3 4 5", "1 2 4 5", "1 2 3 5", "1 2 3 4"]),
        ("[[n-1, n-2], {from: n-3, to: n-1}]", ["2", "1", "1", "", ""]),
        ("[{from: 'n-*', to: n-1}]", ["", "1", "1", "1", "1"]),
        ("[{from: n, to: 'n-[12]', both: true}]", ["2 3 4 5", "1 3 4 5", "1 2", "1 2", "1 2"]),
    ],
)
def test_a_shape_joins_these(tmp_path: Path, links: str, expected: list[str]) -> None:
    assert list(knows(plan(tmp_path, links)).values()) == expected


@pytest.mark.parametrize(("count", "degree"), [(1, 0), (2, 1), (7, 6), (8, 6), (40, 6)])
def test_without_links_few_know_all_and_many_know_six(tmp_path: Path, count: int, degree: int) -> None:
    assert {len(node.knows) for node in plan(tmp_path, "", count).nodes} == {degree}


def test_a_tool_without_a_peer_port_is_not_joined(tmp_path: Path) -> None:
    peers = "  p: {kind: generic, command: [x], ports: {p2p: 1}, count: 2}\n"
    extra = "  tool: {kind: generic, command: [x]}\n" + peers
    assert knows(plan(tmp_path, "full", 1, extra=extra)) == {
        "n-1": "",
        "tool": "",
        "p-1": "p-2",
        "p-2": "p-1",
    }


def test_the_seed_decides(tmp_path: Path) -> None:
    one, same, other = (plan(tmp_path, "random", 20, seed).links() for seed in (1, 1, 2))
    assert one == same
    assert one != other


@settings(max_examples=80)
@given(st.integers(2, 40), st.integers(1, 39), st.integers(0, 2**32))
def test_a_random_graph_is_regular_simple_and_connected(n: int, degree: int, seed: int) -> None:
    if degree >= n or n * degree % 2 or (degree == 1 and n > 2):
        return
    edges = graphs.random_regular(n, degree, random.Random(seed))
    ends = [node for edge in edges for node in edge]
    assert all(a < b for a, b in edges)
    assert {ends.count(node) for node in range(n)} == {degree}
    assert graphs.connected(n, edges)


def test_random_graphs_differ_from_the_circle_they_start_from() -> None:
    start = graphs.circulant(60, 6)
    shared = [len(graphs.random_regular(60, 6, random.Random(seed)) & start) for seed in range(20)]
    assert sum(shared) / len(shared) < 40


def test_a_random_ring_is_one_ring() -> None:
    for seed in range(40):
        assert graphs.connected(12, graphs.random_regular(12, 2, random.Random(seed)))


def test_two_circles_are_not_connected() -> None:
    assert not graphs.connected(6, [(0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5)])
