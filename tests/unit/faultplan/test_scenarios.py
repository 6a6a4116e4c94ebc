"""What a fault plan amounts to: its variants, its draws, its net."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stressnet.engine.run import machine
from stressnet.engine.run.scenario import Scenario, load_scenarios
from stressnet.errors import InputError
from stressnet.faultplan.timeline import Timeline
from stressnet.resources import folder

PLAN = """\
topology: {name: t, defaults: {kind: syncnode}, nodes: {a: {count: 3}, b: {}}}
duration: 60s
timeline:
  - {at: 5s, fault: pause, on: a-1, for: 2s}
  - {every: 10s, name: beat, fault: latency, from: a, to: b, latency: 50ms, for: 1s}
checks: [stuck, {name: again, stuck: {window: 12s}}, stuck]
"""
RANDOM = """\
random:
  every: 4s
  faults:
    - {fault: latency, from: any 1 of a, latency: 50ms to 300ms, for: 1s to 5s}
    - {fault: restart, on: b, for: 1s, weight: 1}
"""


def scenarios(folder: Path, more: str = "", **options: object) -> list[Scenario]:
    file = folder / "plan.yaml"
    file.write_text(PLAN + more)
    return load_scenarios(file, backend="netns", check=False, **options)  # type: ignore[arg-type]


def test_a_plan_without_variants_is_one_scenario_that_should_pass(tmp_path: Path) -> None:
    (one,) = scenarios(tmp_path)
    assert (one.name, one.variant, str(one.expected)) == ("plan", "", "pass")
    assert [step.name for step in one.timeline.steps] == ["pause", *(f"beat#{n}" for n in range(1, 6))]
    assert [step.when.time_s for step in one.timeline.steps[1:]] == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert [check["name"] for check in one.checks] == ["stuck", "again", "stuck-2"]


def test_a_variant_may_override_anything(tmp_path: Path) -> None:
    """Mappings are merged, lists replaced; the topology's values are put over those of `set`."""
    bug, fixed = scenarios(
        tmp_path,
        "set: {nodes.a.config.defects: [eof_spin]}\nvariants:\n  bug: {expect: fail}\n"
        "  fixed: {expect: pass, duration: 70s, set: {nodes.a.config: {defects: []}}, timeline: []}\n",
    )
    assert (bug.timeline.duration_s, fixed.timeline.duration_s) == (60.0, 70.0)
    assert (len(bug.timeline.steps), fixed.timeline.steps) == (6, ())
    configs = [one.plan.node("a-1").files[0].set["defects"] for one in (bug, fixed)]
    assert configs == [["eof_spin"], []]


def test_what_is_set_on_the_command_line_goes_before_what_variants_say(tmp_path: Path) -> None:
    """What is set of one variant is of that one alone."""
    variants = """\
variants:
  bug: {duration: 70s, set: {nodes.a.count: 4, nodes.a.config.defects: [eof_spin]}, expect: fail}
  fixed: {duration: 80s, expect: pass}
"""
    sets = (
        "duration=65s",
        "nodes.a.count=2",
        "nodes.a.config.defects=[context_leak]",
        "variants.fixed.observe=7s",
    )
    bug, fixed = scenarios(tmp_path, variants, sets=sets)
    assert [one.timeline.duration_s for one in (bug, fixed)] == [65.0, 65.0]
    assert [len(one.plan.nodes) for one in (bug, fixed)] == [3, 3]
    assert [one.plan.node("a-1").files[0].set["defects"] for one in (bug, fixed)] == [["context_leak"]] * 2
    assert [one.timeline.observe_s == 7.0 for one in (bug, fixed)] == [False, True]


@pytest.mark.parametrize(
    ("said", "paces"),
    [
        ("{}", (0.5, 2.0)),
        ("{closely: 1s}", (0.5, 1.0)),
        ("{every: 300ms}", (0.3, 2.0)),
        ("{every: 5s}", (5.0, 5.0)),
        ("{every: 3s, closely: 0s}", (3.0, 0.0)),
        ("{keep: 1h}", (0.5, 2.0)),
    ],
)
def test_nodes_are_looked_at_as_usual_for_a_run_where_the_topology_says_nothing(
    tmp_path: Path, said: str, paces: tuple[float, float]
) -> None:
    (one,) = scenarios(tmp_path, f"set: {{sampling: {said}}}\n")
    assert (one.plan.sampling.every_s, one.plan.sampling.closely_s) == paces


def test_a_run_without_samples_is_refused(tmp_path: Path) -> None:
    """Nothing could be judged."""
    with pytest.raises(InputError, match="never looked at") as refused:
        scenarios(tmp_path, "set: {sampling: off}\n")
    assert refused.value.problems[0].line == 1


def test_the_same_seed_draws_the_same_faults_and_another_draws_others(tmp_path: Path) -> None:
    same = [scenarios(tmp_path, RANDOM, seed=seed)[0].timeline for seed in (5, 5, 6)]
    assert same[0] == same[1] != same[2]
    drawn = [step for step in same[0].steps if step.drawn]
    assert len(drawn) > 5
    assert all(step.when.time_s is not None and step.when.time_s < 60.0 for step in drawn)
    assert all(step.for_s is None or 0 < step.for_s <= 5.0 for step in drawn)
    assert {step.what for step in drawn} == {"latency", "restart"}


def test_a_net_of_a_run_has_a_name_of_its_own_and_the_same_nodes(tmp_path: Path) -> None:
    """Two runs of a plan do not meet."""
    (one,), (other,) = scenarios(tmp_path, mark="ra"), scenarios(tmp_path, mark="rb")
    assert {one.plan.net, other.plan.net} == {"plan-ra", "plan-rb"}
    assert [node.name for node in one.plan.nodes] == [node.name for node in other.plan.nodes]


def test_time_scale_is_given_to_all_nodes(tmp_path: Path) -> None:
    (one,) = scenarios(tmp_path, "time_scale: 25\n")
    assert [node.files[0].set["time_scale"] for node in one.plan.nodes] == [25] * 4
    assert one.plan.nodes[0].recovery_s == pytest.approx(100.0 / 25)


def test_a_timeline_comes_back_from_the_record_as_it_was(tmp_path: Path) -> None:
    (one,) = scenarios(tmp_path, RANDOM)
    assert Timeline.from_raw(json.loads(json.dumps(one.timeline.to_raw()))) == one.timeline


@pytest.mark.parametrize("file", sorted(folder("faults").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_plans_that_come_with_stressnet_are_right(file: Path) -> None:
    """They have a variant that shows the bug and one that does not, and say what they are for."""
    found = load_scenarios(Path(file.stem), backend="netns", check=False)
    assert all(one.description for one in found)
    seconds = [one.settling.baseline_s + one.timeline.duration_s + one.timeline.observe_s for one in found]
    assert max(seconds) <= 175


def test_a_topology_within_a_plan_may_include_others(tmp_path: Path) -> None:
    """What it says itself wins, and paths are relative to the plan."""
    (tmp_path / "base.yaml").write_text(
        "defaults: {kind: syncnode, config: {time_scale: 3, sync.tick: 5s}}\n"
    )
    (tmp_path / "plan.yaml").write_text(
        "topology: {include: [base.yaml], name: t, nodes: {a: {config: {time_scale: 4}}}}\n"
        "duration: 5s\nchecks: [stuck]\n"
    )
    (one,) = load_scenarios(tmp_path / "plan.yaml", backend="netns", check=False)
    settings = one.plan.nodes[0].files[0].set
    assert (settings["time_scale"], settings["sync.tick"]) == (4, "5s")
    (tmp_path / "base.yaml").unlink()
    with pytest.raises(InputError, match=r"plan.yaml:1:\d+: include: .*base.yaml: cannot be read"):
        load_scenarios(tmp_path / "plan.yaml", backend="netns", check=False)


def test_a_time_scale_goes_to_the_key_that_a_kind_names(tmp_path: Path) -> None:
    """A kind that has none is refused: its nodes would not be faster."""
    kind = tmp_path / "kinds" / "other"
    kind.mkdir(parents=True)
    text = (
        "name: other\nbinary: sleep\nports: {p2p: 9000/tcp}\nfiles: {c.toml: {patch: toml, config: true}}\n"
    )
    (tmp_path / "plan.yaml").write_text(
        "topology: {name: t, nodes: {a: {kind: other}}}\ntime_scale: 8\nduration: 5s\nchecks: [stuck]\n"
    )
    options = {"kinds": [tmp_path / "kinds"], "backend": "netns", "check": False}
    (kind / "kind.yaml").write_text(text)
    with pytest.raises(InputError, match=r"plan\.yaml:2:13: time_scale: the kind 'other' has no time scale"):
        load_scenarios(tmp_path / "plan.yaml", **options)  # type: ignore[arg-type]
    (kind / "kind.yaml").write_text(f"{text}time_scale: speed\nrecovery_timers:\n  retry: 80s\n")
    (one,) = load_scenarios(tmp_path / "plan.yaml", **options)  # type: ignore[arg-type]
    assert one.plan.nodes[0].files[0].set == {"speed": 8}
    assert one.plan.nodes[0].recovery_s == 10.0


def test_what_this_machine_cannot_do_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written or drawn, with its place; on Docker the engine's machine is the one that counts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "_abilities", lambda: {"clock": "no breakpoints here", "nft": ""})
    Path("plan.yaml").write_text(
        "topology: {name: t, defaults: {kind: syncnode}, nodes: {a: {count: 2}}}\n"
        "duration: 9s\n"
        "timeline: [{at: 1s, fault: partition, from: a-1, for: 1s}, {at: 1s, fault: clock, on: a-1, offset: 5s}]\n"
        "random: {every: 2s, faults: [{fault: clock, on: all, offset: 5s, for: 1s}]}\n"
        "checks: [agreement]\n"
    )
    with pytest.raises(InputError) as refused:
        load_scenarios(Path("plan.yaml"), backend="netns")
    found = [(one.line, one.path, one.found) for one in refused.value.problems]
    words = "clock cannot be done on this machine: no breakpoints here"
    assert found == [(3, "timeline.1.fault", words), (4, "random.faults.0.fault", words)]
    monkeypatch.setattr(machine, "_abilities", lambda: {"clock": "", "nft": ""})
    assert load_scenarios(Path("plan.yaml"), backend="netns")
