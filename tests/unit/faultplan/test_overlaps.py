"""Of a fault that a kind declares a node has one at a time: steps that an agent would refuse are found beforehand."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from compiling import compiled, timeline

from stressnet.errors import InputError
from stressnet.faultplan.timeline import TimelineStep

_ERRORS = "fault: stream_error"


def _random(every: str, *faults: str) -> str:
    return f"random:\n  every: {every}\n  faults:\n" + "".join(f"    - {{{fault}}}\n" for fault in faults)


_STORM = _random("3s", "fault: stream_error, on: all, probability: 5%, for: 5s to 8s")
_MIXED = _random(
    "500ms", "fault: stream_error, on: any 1 of all, for: 1s to 8s", "fault: pause, on: any 1 of all, for: 1s"
)


def refusals(folder: Path, *steps: str, **options: object) -> list[str]:
    try:
        compiled(folder, timeline(*steps), **options)
    except InputError as error:
        return [problem.found for problem in error.problems]
    return []


def drawn(folder: Path, more: str, **options: object) -> list[TimelineStep]:
    return [step for step in compiled(folder, more, **options).timeline.steps if step.drawn]


def span(step: TimelineStep) -> tuple[float, float]:
    assert step.when.time_s is not None
    return step.when.time_s, step.when.time_s + (step.for_s or 0.0)


def apart(one: TimelineStep, other: TimelineStep) -> bool:
    (begin, end), (other_begin, other_end) = span(one), span(other)
    return end <= other_begin or other_end <= begin


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("at: 2s, fault: stream_error, on: a, for: 6s", "at: 7s, fault: stream_error, on: a-2, for: 3s"),
        ("at: 7s, fault: stream_error, on: a-2, for: 3s", "at: 2s, fault: stream_error, on: a"),
        ("at: 2s, fault: stream_error, on: any 3 of a", "at: 2s, fault: stream_error, on: a-2, for: 1s"),
        ("at: 2s, fault: kill, on: a", "at: 3s, fault: restart, on: a-1"),
        ("at: 2s, fault: kill, on: a", "at: 2s, fault: restart, on: a-1"),
        ("at: 2s, fault: restart, on: a", "at: 1s, fault: kill, on: all, for: 2s"),
    ],
)
def test_steps_that_overlap_on_a_node_are_refused(tmp_path: Path, first: str, second: str) -> None:
    (found,) = refusals(tmp_path, f"name: one, {first}", f"name: two, {second}")
    assert "one" in found
    assert "two" in found


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("at: 2s, fault: stream_error, on: a, for: 6s", "at: 8s, fault: stream_error, on: a"),
        ("at: 2s, fault: stream_error, on: a", "at: 3s, fault: stream_error, on: b"),
        ("at: 2s, fault: stream_error, on: a", "at: 3s, fault: clean_close, on: a"),
        ("at: 2s, fault: pause, on: a", "at: 3s, fault: pause, on: a"),
        ("at: 2s, fault: kill, on: a", "at: 3s, fault: kill, on: a"),
        ("at: 2s, fault: kill, on: a, for: 3s", "at: 5s, fault: restart, on: a"),
        ("at: 2s, fault: restart, on: a", "at: 3s, fault: restart, on: a"),
        ("at: 2s, fault: restart, on: a", "at: 3s, fault: kill, on: a"),
        ("at: 2s, fault: stream_error, on: lagging", "at: 3s, fault: stream_error, on: a"),
        ("at: 2s, fault: stream_error, on: any 1 of highest", "at: 3s, fault: stream_error, on: a"),
        ("at: 2s, fault: stream_error, on: 'a,lagging'", "at: 3s, fault: stream_error, on: b"),
        ("at: 2s, fault: stream_error, on: 'any 1 of a-1,lagging'", "at: 3s, fault: stream_error, on: a-1"),
        ("at: 2s, fault: stream_error, on: a", "at: {height: 9}, fault: stream_error, on: a"),
        ("at: 2s, fault: stream_error, on: a, for: 9s", "after: one, fault: stream_error, on: a"),
        ("every: 5s, fault: stream_error, on: a, for: 5s", "at: 0s, fault: stream_error, on: a, for: 5s"),
    ],
)
def test_steps_that_do_not_or_that_nobody_knows_of_are_not(tmp_path: Path, first: str, second: str) -> None:
    assert refusals(tmp_path, f"name: one, {first}", f"name: two, {second}") == []


@pytest.mark.parametrize(
    ("heal", "refused"),
    [
        ("at: 5s, heal: one", False),
        ("at: 5s, heal: all", False),
        ("at: 2s, every: 2s, heal: all", False),
        ("at: {height: 3}, heal: one", False),
        ("after: x, heal: all", False),
        ("at: 7s, heal: one", True),
        ("at: 2s, heal: one", True),
        ("at: 5s, heal: other", True),
        ("at: {height: 3}, heal: other", True),
    ],
)
def test_a_fault_ends_when_it_is_healed(tmp_path: Path, heal: str, refused: bool) -> None:
    """Where nobody knows when that is, nobody knows that they overlap."""
    one, two = f"name: one, at: 2s, {_ERRORS}, on: a", f"name: two, at: 6s, {_ERRORS}, on: a-1"
    more = ("name: other, at: 1s, fault: pause, on: b", "name: x, at: 1s, mark: x")
    assert bool(refusals(tmp_path, one, two, heal, *more)) is refused


def test_draws_overlap_by_the_seed(tmp_path: Path) -> None:
    """They are of the seed and the step's name, as when the net is up."""
    steps = [f"name: {name}, at: 2s, {_ERRORS}, on: any 1 of a" for name in ("one", "two")]
    found = [refusals(tmp_path, *steps, seed=seed) for seed in range(1, 40)]
    assert 5 < sum(map(bool, found)) < 25  # a third of them


def test_a_round_of_a_soak_is_drawn_though_steps_overlap_in_it(tmp_path: Path) -> None:
    """Nobody could mend the plan then; the agent refuses the step, and the round proves nothing."""
    steps = [f"name: {name}, at: 2s, {_ERRORS}, on: any 1 of a" for name in ("one", "two")]
    seed = next(seed for seed in range(1, 40) if not refusals(tmp_path, *steps, seed=seed))
    scenario = compiled(tmp_path, timeline(*steps), seed=seed)
    assert all(len(scenario.of_round(number).timeline.steps) == 2 for number in range(1, 20))


def test_repetitions_that_overlap_are_said_once(tmp_path: Path) -> None:
    (found,) = refusals(tmp_path, f"name: one, every: 2s, {_ERRORS}, on: a, for: 3s")
    assert found == "one#2 (4s to 7s) overlaps one#1 (2s to 5s) on a-1, a-2, a-3"


def test_faults_that_are_drawn_are_on_a_node_one_at_a_time(tmp_path: Path) -> None:
    for seed in range(20):
        steps = drawn(tmp_path, "set: {nodes.b.count: 2}\n" + _STORM, seed=seed)
        assert all(apart(*pair) for pair in combinations(steps, 2))
    assert drawn(tmp_path, _STORM, seed=1) == drawn(tmp_path, _STORM, seed=1) != []


def test_what_is_left_out_changes_nothing_of_the_others(tmp_path: Path) -> None:
    """Each keeps the name and the numbers that it has where nothing is in its way."""
    unlimited = _MIXED.replace("fault: stream_error", "fault: cpu, cpu: 0.1")
    every = {step.name: step for step in drawn(tmp_path, unlimited)}
    kept = drawn(tmp_path, _MIXED)
    assert 0 < len(kept) < len(every)
    for step in kept:
        whole = every[step.name]
        assert (step.when, step.for_s, step.targets) == (whole.when, whole.for_s, whole.targets)
    pauses = [name for name, step in every.items() if step.what == "pause"]
    assert [step.name for step in kept if step.what == "pause"] == pauses


def test_what_is_drawn_makes_room_for_what_is_written(tmp_path: Path) -> None:
    """For what comes later, too: the written step is done."""
    written = f"name: written, at: 9s, {_ERRORS}, on: a-2, for: 2s"
    free = [drawn(tmp_path, _STORM, seed=seed) for seed in range(20)]
    held = [drawn(tmp_path, timeline(written) + _STORM, seed=seed) for seed in range(20)]
    assert held != free
    assert all(span(step)[1] <= 9.0 or span(step)[0] >= 11.0 for steps in held for step in steps)
    assert any(span(step)[0] < 9.0 for steps in held for step in steps)


def test_a_restart_is_not_drawn_for_a_node_that_is_killed(tmp_path: Path) -> None:
    both = _random("1s", "fault: kill, on: all, for: 3s", "fault: restart, on: b, for: 1s")
    for seed in range(10):
        steps = drawn(tmp_path, both, seed=seed)
        kills = [span(step) for step in steps if step.what == "kill"]
        restarts = [span(step)[0] for step in steps if step.what == "restart"]
        assert kills
        assert not any(begin <= at < end for begin, end in kills for at in restarts)


def test_a_heal_that_may_come_at_any_moment_makes_no_room_for_draws(tmp_path: Path) -> None:
    steps = drawn(tmp_path, timeline("at: {height: 5}, heal: all") + _STORM)
    assert steps == drawn(tmp_path, _STORM)
