"""A fault plan is run for real, and its record goes on without it: archived, judged elsewhere, proven."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from needs import require

from stressnet.resources import folder

PLAN = folder("faults") / "stuck-after-cut.yaml"
SHORT = (
    "--set",
    "timeline=[]",
    "--set",
    "duration=500ms",
    "--set",
    "observe=2s",
    "--set",
    "settle.baseline=500ms",
)


def stressnet(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command there; the package is found from everywhere."""
    command = [sys.executable, "-m", "stressnet", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=env, timeout=120)


@pytest.mark.netns
def test_a_record_outlives_its_run(tmp_path: Path, state_home: Path) -> None:
    """Its archive, judged in another folder after the record is gone, gives the verdict of the run.

    What it is depends on how busy the machine is; that it is the same everywhere does not.
    """
    require("netns")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = stressnet("run", PLAN, "--variant", "fixed", *SHORT, "--backend", "netns", "--json", cwd=tmp_path)
    verdict = json.loads(run.stdout)
    record = tmp_path / verdict.pop("run")
    assert {one["name"] for one in verdict["checks"]} >= {"stuck", "recovery", "host_healthy"}
    suite = ElementTree.parse(record / "junit.xml").getroot()
    assert (suite.get("failures") == "0") == (verdict["outcome"] != "fail")
    assert stressnet("archive", "stuck-after-cut", "--out", "a.tar.gz", cwd=tmp_path).returncode == 0
    (tmp_path / "a.tar.gz").rename(elsewhere / "a.tar.gz")
    record.rename(tmp_path / "gone")
    again = stressnet("check", "a.tar.gz", "--json", cwd=elsewhere)
    assert again.returncode == run.returncode
    judged = json.loads(again.stdout)
    assert judged.pop("run") == "a.tar.gz"
    assert judged == verdict


@pytest.mark.netns
def test_runs_of_a_proof_have_nets_of_their_own(tmp_path: Path, state_home: Path) -> None:
    """Four at once do not meet; all are counted, and records of those that went as expected are gone."""
    require("netns")
    variants = ("--set", "variants.bug.expect=pass")
    done = stressnet(
        "prove",
        PLAN,
        *SHORT,
        *variants,
        "--runs",
        "2",
        "--at-once",
        "4",
        "--backend",
        "netns",
        "--json",
        cwd=tmp_path,
    )
    found = json.loads(done.stdout)
    assert [one["runs"] for one in found["variants"]] == [2, 2], done.stderr
    assert len(done.stderr.splitlines()) == 4
    others = [one["record"] for variant in found["variants"] for one in variant["others"]]
    left = [path.name for path in (tmp_path / "runs" / "stuck-after-cut").glob("2*")]
    assert sorted(left) == sorted(others)
    assert done.returncode == {"proven": 0, "not proven": 1, "unclear": 2}[found["answer"]]
    kept = json.loads((tmp_path / found["proof"]).read_text())
    assert kept["variants"] == found["variants"]
