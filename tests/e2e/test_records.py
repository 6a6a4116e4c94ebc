"""A fault plan is run for real, and its record goes on without it: archived, judged elsewhere, proven."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import begin
from needs import require

from stressnet.engine.choose import nets_called

_PLAN = """\
topology:
  name: brief
  defaults: {kind: syncnode, config: {chain.block_time: 250ms}}
  nodes: {validator: {count: 2}}
settle: {baseline: 500ms}
duration: 20s
observe: 1s
timeline: [{at: 500ms, fault: pause, on: validator-2, for: 1s}]
checks: [{height: {reaches: 2}}]
variants:
  two: {expect: pass}
  three: {set: {nodes.validator.count: 3}, expect: pass}
"""
_SHORT = ("--set", "duration=2s", "--backend", "netns", "--json")


@pytest.fixture
def plan(tmp_path: Path, state_home: Path) -> Path:
    require("netns")
    file = tmp_path / "brief.yaml"
    file.write_text(_PLAN)
    return file


def stressnet(cwd: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command there."""
    with begin(cwd, *words) as process:
        out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@pytest.mark.netns
def test_a_record_outlives_its_run(plan: Path, tmp_path: Path) -> None:
    """Its archive, judged in another folder after the record is gone, gives the verdict of the run.

    What it is depends on how busy the machine is; that it is the same everywhere does not.
    """
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = stressnet(tmp_path, "run", plan, *_SHORT)
    verdict = json.loads(run.stdout)
    record = tmp_path / verdict.pop("run")
    found = {one["name"]: one["outcome"] for one in verdict["checks"]}
    assert (found["height"], found["faults_achieved"]) == ("pass", "pass"), verdict["reason"]
    suite = ElementTree.parse(record / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("tests")) == ("0", str(1 + len(found)))
    assert stressnet(tmp_path, "archive", "brief", "--out", "a.tar.gz").returncode == 0
    (tmp_path / "a.tar.gz").rename(elsewhere / "a.tar.gz")
    record.rename(tmp_path / "gone")
    again = stressnet(elsewhere, "check", "a.tar.gz", "--json")
    assert again.returncode == run.returncode
    judged = json.loads(again.stdout)
    assert judged.pop("run") == "a.tar.gz"
    assert judged == verdict
    assert stressnet(elsewhere, "report", "a.tar.gz").returncode == 0
    assert "validator-2" in (elsewhere / "a.html").read_text()


@pytest.mark.netns
def test_runs_of_a_proof_have_nets_of_their_own(plan: Path, tmp_path: Path) -> None:
    """Four at once do not meet; all are counted, and records of those that went as expected are gone."""
    done = stressnet(tmp_path, "prove", plan, *_SHORT, "--runs", "2", "--at-once", "4")
    found = json.loads(done.stdout)
    assert [one["runs"] for one in found["variants"]] == [2, 2], done.stderr
    assert len(done.stderr.splitlines()) == 4
    outcomes = {outcome for variant in found["variants"] for outcome in variant["outcomes"]}
    assert outcomes <= {"pass", "inconclusive"}, done.stderr
    others = [one["record"] for variant in found["variants"] for one in variant["others"]]
    left = [path.name for path in (tmp_path / "runs" / "brief").glob("2*")]
    assert sorted(left) == sorted(others)
    assert done.returncode == {"proven": 0, "not proven": 1, "unclear": 2}[found["answer"]]
    kept = json.loads((tmp_path / found["proof"]).read_text())
    assert kept["variants"] == found["variants"]


@pytest.mark.netns
def test_a_proof_that_is_told_to_end_says_what_there_is(plan: Path, tmp_path: Path) -> None:
    """SIGTERM, with which time limits end programs: the run that goes on is undone, those that are over are told."""
    proving = begin(tmp_path, "prove", plan, *_SHORT)
    assert proving.stderr
    first = proving.stderr.readline()
    proving.send_signal(signal.SIGTERM)
    out, err = proving.communicate(timeout=60)
    assert first.startswith("two 1/20")
    assert proving.returncode == 2, err
    found = json.loads(out)
    assert found["interrupted"]
    assert [one["runs"] for one in found["variants"]] == [1, 0]
    assert nets_called("brief") == []
