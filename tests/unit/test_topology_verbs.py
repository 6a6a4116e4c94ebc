"""The verbs that only read files: what they print, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stressnet.resources import folder, topology

QUICKSTART = str(topology("quickstart"))


def run(*arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stressnet", *arguments]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("COLUMNS", "STRESSNET_"))}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**kept, **environ})


def test_init_writes_a_topology_that_validates(tmp_path: Path) -> None:
    assert run("init", cwd=tmp_path).returncode == 0
    done = run("validate", "topology.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "topology.yaml: ok, 7 nodes, 42 links\n")


def test_init_leaves_a_file_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    done = run("init", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 254
    assert "left alone" in done.stderr
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_init_names_the_net_after_the_file_where_that_is_a_name(tmp_path: Path) -> None:
    run("init", "soak.yaml", cwd=tmp_path)
    run("init", "My Net.yaml", cwd=tmp_path)
    assert "name: soak\n" in (tmp_path / "soak.yaml").read_text()
    assert "name: my-net\n" in (tmp_path / "My Net.yaml").read_text()


def test_validate_lists_all_mistakes_and_exits_with_254(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: net\nnodes: {a: {kind: generic, count: 0, x: 1}}\n")
    done = run("validate", "bad.yaml", cwd=tmp_path)
    assert done.returncode == 254
    assert (
        "bad.yaml:2:35: nodes.a.count: 0; allowed: 1 to 10000\nbad.yaml:2:38: nodes.a.x: unknown key"
        in done.stderr
    )
    as_json = run("validate", "bad.yaml", "--json", cwd=tmp_path)
    assert as_json.returncode == 254
    assert [(one["line"], one["column"]) for one in json.loads(as_json.stdout)["problems"]] == [
        (2, 35),
        (2, 38),
    ]


def test_validate_as_json_counts() -> None:
    facts = json.loads(run("validate", QUICKSTART, "--json").stdout)
    assert facts == {"ok": True, "nodes": 8, "links": 56, "warnings": []}


def test_plan_as_json_is_the_plan_the_same_each_time() -> None:
    options = (
        "plan",
        QUICKSTART,
        "--backend",
        "netns",
        "--json",
        "--seed",
        "9",
        "--set",
        "nodes.late.count=3",
    )
    first, second = run(*options), run(*options)
    assert first.stdout == second.stdout
    plan = json.loads(first.stdout)
    assert (plan["seed"], len(plan["nodes"])) == (9, 9)


def test_plan_folds_groups_and_unfolds_them_with_all() -> None:
    folded = run("plan", QUICKSTART, "--backend", "netns").stdout
    assert "us-1 … us-3 (3)" in folded
    assert "40ms ± 5ms" in folded
    assert "estimate:" in folded
    unfolded = run("plan", QUICKSTART, "--backend", "netns", "--all").stdout
    assert "\nus-2 " in unfolded


def test_a_plan_of_a_thousand_nodes_stays_readable() -> None:
    done = run(
        "plan", QUICKSTART, "--backend", "netns", "--set", "nodes.late.count=994", "--set", "links=random"
    )
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) < 20


def test_plan_refuses_a_program_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("name: net\nnodes: {a: {kind: generic, binary: ./gone}}\n")
    done = run("plan", "t.yaml", "--backend", "netns", cwd=tmp_path)
    assert done.returncode == 254
    assert f"t.yaml:2:36: nodes.a.binary: {tmp_path}/gone is not there" in done.stderr


def test_a_thousand_nodes_are_planned() -> None:
    done = run(
        "plan",
        QUICKSTART,
        "--backend",
        "netns",
        "--json",
        "--set",
        "nodes.late.count=994",
        "--set",
        "links=random",
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["nodes"]) == 1000


def test_kinds_lists_the_built_in_ones_and_those_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kind.yaml").write_text("name: mine\nports: {p2p: 7}\n")
    facts = json.loads(run("kinds", "--kinds", str(tmp_path), "--json").stdout)
    assert {"mine", "cometbft", "generic", "syncnode"} <= {one["name"] for one in facts}
    assert "cometbft" in run("kinds").stdout


@pytest.mark.parametrize("name", ["topology", "kind"])
def test_schema_prints_json(name: str) -> None:
    assert json.loads(run("schema", name).stdout)["$schema"].startswith("https://json-schema.org/")


def test_the_examples_have_a_line_about_themselves() -> None:
    for file in folder("topologies").glob("*.yaml"):
        assert file.stem == "smallest" or file.read_text().startswith("# "), file
