"""Which nets have their streams led through relays, and what is said where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stressnet.compile import compile_plan
from stressnet.plan import Backend, Plan
from stressnet.spec.load import load


def compiled(folder: Path, text: str, relay: str | None = "/r", backend: Backend = "netns") -> Plan:
    file = folder / "topology.yaml"
    file.write_text(f"name: n\ndefaults: {{kind: syncnode}}\n{text}\n")
    return compile_plan(load(file), backend=backend, find=lambda name: f"/opt/{name}", relay=relay)


def test_small_nets_are_under_control_and_large_ones_say_that_they_are_not(tmp_path: Path) -> None:
    assert compiled(tmp_path, "nodes: {n: {count: 141}}").relay == "/r"
    large = compiled(tmp_path, "nodes: {n: {count: 150}}")
    assert large.relay == ""
    assert [words.partition(":")[0] for words in large.warnings] == ["22350 links are more than 20000"]
    assert compiled(tmp_path, "interpose: all\nnodes: {n: {count: 150}}").relay == "/r"


@pytest.mark.parametrize(
    ("text", "relay", "backend", "warnings"),
    [
        ("interpose: none\nnodes: {n: {count: 2}}", "/r", "netns", []),
        (
            "interpose: none\nregions: {a: {b: 1ms}, b: {}}\n"
            "nodes: {n: {count: 2, region: a}, m: {region: b}}",
            "/r",
            "netns",
            ["interpose"],
        ),
        ("nodes: {n: {}}", "/r", "netns", []),
        ("nodes: {n: {count: 2}}", "", "netns", ["no Toxiproxy (`stressnet install toxiproxy`)"]),
        ("egress: true\nnodes: {n: {count: 2}}", "/r", "docker", ["egress", "egress on docker"]),
    ],
)
def test_why_streams_go_directly(
    tmp_path: Path, text: str, relay: str, backend: Backend, warnings: list[str]
) -> None:
    plan = compiled(tmp_path, text, relay, backend)
    assert plan.relay == ""
    assert [words.partition(":")[0] for words in plan.warnings] == warnings


def test_a_program_that_nobody_looked_for_is_not_missed(tmp_path: Path) -> None:
    assert compiled(tmp_path, "nodes: {n: {count: 2}}", None).warnings == ()
