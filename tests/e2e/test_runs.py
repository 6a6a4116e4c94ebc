"""A fault plan is run from nothing to a verdict and back to nothing, whatever becomes of the one who runs it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import begin
from needs import require_relay

from stressnet.engine.choose import nets_called
from stressnet.record.record import Record
from stressnet.record.runs import find_run

PLAN = """\
topology:
  name: short
  defaults: {kind: syncnode, config: {chain.block_time: 250ms}}
  nodes: {validator: {count: 2}, full: {count: 2}}
settle: {height: 2, baseline: 1s}
duration: 9s
observe: 5s
timeline:
  - {at: 500ms, mark: begun}
  - {name: cut, at: 1s, fault: partition, between: [full-1, rest], for: 4s}
  - {at: 2s, fault: latency, from: validator, to: full-2, latency: 100ms}
  - {after: cut, mark: healed}
  - {at: {height: 3, of: full-2}, on: full-2, load: {rate: 10/s, rpc: {port: rpc, method: hmyv2_blockNumber}}, for: 2s}
checks: [{stuck: {window: 10s}}, {recovery: {within: 4s}}, agreement, {log: {pattern: Traceback}}]
"""


@pytest.fixture
def folder(tmp_path: Path, state_home: Path) -> Iterator[Path]:
    """A folder with a plan; no net of it may be left."""
    (tmp_path / "short.yaml").write_text(PLAN)
    yield tmp_path
    assert nets_called("short") == []


def until(folder: Path, event: str, patience_s: float = 60.0) -> Record:
    """Return the record of the run once its journal has an event."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        time.sleep(0.1)
        if (folder / "runs" / "short" / "latest" / "run.json").exists():
            record = Record(find_run("short", folder / "runs"))
            if any(one["event"] == event for one in record.events):
                return record
    raise AssertionError(f"there was no {event!r} within {patience_s:g} s")


def outcomes(record: Record) -> dict[str, str]:
    verdict = json.loads((record.path / "verdict.json").read_text())
    return {one["name"]: one["outcome"] for one in verdict["checks"]}


def test_a_plan_is_run_recorded_and_judged(folder: Path, backend: str) -> None:
    """Everything that was asked is done and measured, all that there is lands in the record, and the net is gone."""
    require_relay(backend)
    run = begin(folder, "run", "short.yaml", "--backend", backend)
    out, err = run.communicate(timeout=180)
    record = Record(find_run("short", folder / "runs"))
    found = outcomes(record)
    assert run.returncode == {"pass": 0, "inconclusive": 2}[found.pop("host_healthy")], out + err
    assert set(found.values()) == {"pass"}, out + err
    assert [span.step for span in record.faults] == ["cut", "latency"]
    assert [span.by for span in record.faults] == ["time", "end"]
    assert all(span.achieved["figures"] for span in record.faults)
    (load,) = (event for event in record.events if event["event"] == "load over")
    assert load["calls"]["full-2"]["answered"] == load["calls"]["full-2"]["sent"] == 20
    assert [event["text"] for event in record.events if event["event"] == "mark"] == ["begun", "healed"]
    for name in ("report.html", "junit.xml", "samples.db", "logs/full-1.log", "blocks.json", "plan.json"):
        assert (record.path / name).stat().st_size, name
    assert not (record.path / "samples.db-wal").exists()
    assert nets_called(record.plan.net) == []


@pytest.mark.netns
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM], ids=["interrupted", "told to end"])
def test_an_interrupted_run_heals_collects_and_judges(folder: Path, way: signal.Signals) -> None:
    """As by Ctrl-C or by who gives it no more time: the verdict is inconclusive and says why, and nothing is left."""
    require_relay("netns")
    run = begin(folder, "run", "short.yaml", "--backend", "netns")
    until(folder, "fault on")
    run.send_signal(way)
    out, err = run.communicate(timeout=60)
    record = Record(find_run("short", folder / "runs"))
    assert run.returncode == 2, out + err
    assert "the run is not complete: interrupted" in out
    assert all(span.ended for span in record.faults)
    assert (record.path / "logs" / "full-1.log").stat().st_size
    assert nets_called(record.plan.net) == []


def test_a_run_that_is_told_to_end_before_its_net_is_up_leaves_nothing(folder: Path, backend: str) -> None:
    """There is no verdict, and the exit code is not that of one."""
    require_relay(backend)
    run = begin(folder, "run", "short.yaml", "--backend", backend)
    until(folder, "phase")
    run.send_signal(signal.SIGTERM)
    out, err = run.communicate(timeout=60)
    record = Record(find_run("short", folder / "runs"))
    assert run.returncode == 130, out + err
    assert [event["why"] for event in record.events if event["event"] == "stopped"] == ["interrupted"]
    assert not (record.path / "verdict.json").exists()
    assert nets_called(record.plan.net) == []


def test_a_run_that_is_told_to_end_at_its_end_has_its_verdict(folder: Path, backend: str) -> None:
    """Signals that come while the net is taken down, as of a service manager that repeats itself, change nothing."""
    require_relay(backend)
    run = begin(
        folder, "run", "short.yaml", "--backend", backend, "--set", "duration=6s", "--set", "observe=1s"
    )
    until(folder, "collected")
    for _ in range(3):
        run.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    out, err = run.communicate(timeout=60)
    record = Record(find_run("short", folder / "runs"))
    assert record.over
    assert not record.incomplete
    outcome = json.loads((record.path / "verdict.json").read_text())["outcome"]
    assert run.returncode == {"pass": 0, "fail": 1, "inconclusive": 2}[outcome], out + err
    assert nets_called(record.plan.net) == []


@pytest.mark.netns
def test_a_run_goes_on_after_its_controller_was_killed(folder: Path) -> None:
    """What was on is put on again for the rest of its time, nothing is done twice, and the run comes to its end."""
    require_relay("netns")
    run = begin(folder, "run", "short.yaml", "--backend", "netns")
    before = until(folder, "load over")  # while the cut is on; the mark is over, too
    run.kill()
    run.communicate()
    torn = find_run("short", folder / "runs") / "journal.jsonl"
    with torn.open("a") as file:
        file.write('{"time": 1, "event": "fau')
    on = begin(folder, "run", "--resume", "short")
    out, err = on.communicate(timeout=120)
    record = Record(find_run("short", folder / "runs"))
    found = outcomes(record)
    assert on.returncode == {"pass": 0, "inconclusive": 2}[found.pop("host_healthy")], out + err
    assert set(found.values()) == {"pass"}, out + err
    cuts = [span for span in record.faults if span.step == "cut"]
    assert [span.by for span in cuts] == ["kill", "time"]
    assert [event["text"] for event in before.events if event["event"] == "mark"] == ["begun"]
    assert [event["text"] for event in record.events if event["event"] == "mark"] == ["begun", "healed"]
    assert sum(event["event"] == "load over" for event in record.events) == 1
    assert record.over
    assert not record.incomplete
    assert nets_called(record.plan.net) == []
    again = begin(folder, "run", "--resume", "short")
    assert "came to its end" in again.communicate(timeout=60)[1]
    assert again.returncode == 254
