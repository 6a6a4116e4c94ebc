"""Steps as they are written: what each is called, how often it comes, and what it may wait to observe."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiling import compiled, timeline

_SLOW = "fault: latency, from: a, to: b, latency: 5ms"


def names(folder: Path, *steps: str) -> list[str]:
    return [step.name for step in compiled(folder, timeline(*steps)).timeline.steps]


def test_a_step_without_a_name_never_takes_one_that_is_given(tmp_path: Path) -> None:
    """What a fault is healed by, and its draws, follow from its name."""
    found = names(tmp_path, f"at: 1s, {_SLOW}", f"at: 2s, {_SLOW}", f"at: 3s, name: latency-2, {_SLOW}")
    assert found == ["latency", "latency-3", "latency-2"]
    assert names(tmp_path, "at: 1s, mark: x", "at: 2s, mark: y, name: mark") == ["mark-2", "mark"]


def test_names_that_are_free_stay_as_they_are(tmp_path: Path) -> None:
    """Another name is another draw: plans and their seeds would give something else."""
    steps = [f"at: 1s, name: latency, {_SLOW}", f"at: 2s, {_SLOW}", f"at: 3s, {_SLOW}", "at: 4s, heal: all"]
    found = names(tmp_path, *steps, "at: 5s, heal: latency", "at: 6s, mark: x, name: end")
    assert found == ["latency", "latency-2", "latency-3", "heal", "heal-2", "end"]


def test_a_step_without_a_name_is_not_called_as_one_that_is_drawn(tmp_path: Path) -> None:
    """A kind may call a fault `random`."""
    hook = "{http: {port: p2p, method: PUT, path: /x}}"
    (tmp_path / "kinds" / "odd").mkdir(parents=True)
    (tmp_path / "kinds" / "odd" / "kind.yaml").write_text(
        "name: odd\nbinary: sleep\nports: {p2p: 9000/tcp}\n"
        f"faults: {{random: {{summary: something, on: {hook}, off: {hook}}}}}\n"
    )
    steps = [f"at: {at}s, fault: random, on: b, for: 1s" for at in (1, 3, 5)]
    draws = "set: {nodes.b.kind: odd}\nrandom: {every: 5s, faults: [{fault: pause, on: b, for: 1s}]}\n"
    found = compiled(tmp_path, draws + timeline(*steps), kinds=[tmp_path / "kinds"]).timeline.steps
    assert [step.name for step in found if not step.drawn] == ["random", "fault-random-2", "fault-random-3"]


@pytest.mark.parametrize(
    ("when", "times"),
    [
        ("every: 5s", [5, 10, 15]),
        ("every: 6s", [6, 12, 18]),
        ("every: 19s", [19]),
        ("every: 5s, at: 0s", [0, 5, 10, 15]),
        ("every: 5s, at: 1s, until: 11s", [1, 6]),
        ("every: 5s, at: 1s, until: 12s", [1, 6, 11]),
        ("every: 30s, at: 19s", [19]),
        ("every: 100ms, until: 400ms", [0.1, 0.2, 0.3]),
        ("every: 5s, at: 10s, until: 40s", [10, 15]),
    ],
)
def test_repetitions_come_before_the_end(tmp_path: Path, when: str, times: list[float]) -> None:
    steps = compiled(tmp_path, timeline(f"{when}, mark: x")).timeline.steps
    assert [step.when.time_s for step in steps] == pytest.approx(times)
    assert [step.name for step in steps] == [f"mark#{turn}" for turn in range(1, len(times) + 1)]


@pytest.mark.parametrize(
    "said",
    [
        "at: 1s, fault: pause, on: any 1 of lagging",
        "at: 1s, fault: pause, on: any 4 of lagging by 9",
        "at: 1s, fault: pause, on: any 2 of fewer than 3 peers",
        "at: 1s, fault: pause, on: any 3 of peers of a-1",
        "at: 1s, fault: partition, between: [lagging, rest]",
        "at: 1s, fault: partition, between: [lagging, any 1 of rest]",
        "at: 1s, fault: partition, between: [any 1 of rest, highest]",
        "at: 1s, fault: partition, between: [peers of a-1, any 2 of rest]",
        "at: 1s, on: any 1 of lagging, load: {rate: 5/s, rpc: {port: rpc, method: x}}",
        "at: {state: exited, of: any 2 of fewer than 3 peers}, mark: x",
    ],
)
def test_what_may_come_to_be_so_is_not_refused_beforehand(tmp_path: Path, said: str) -> None:
    assert len(compiled(tmp_path, timeline(said)).timeline.steps) == 1


def test_nodes_that_may_be_seen_need_not_all_be_able(tmp_path: Path) -> None:
    """Only whom a selector means for sure must have a disk; of others it is seen when the time has come."""
    steps = timeline("at: 1s, fault: disk_full, on: lagging", "at: 2s, fault: disk_full, on: 'b,lagging'")
    assert len(compiled(tmp_path, "set: {nodes.b.disk: 64MiB}\n" + steps).timeline.steps) == 2


def test_steps_in_a_row_are_no_ring(tmp_path: Path) -> None:
    row = ["name: one, at: 1s, mark: x", "name: two, after: one, mark: x", "name: three, after: two, mark: x"]
    assert names(tmp_path, *reversed(row)) == ["three", "two", "one"]
