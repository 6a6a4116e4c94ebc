"""Parameters of checks in a fault plan: their mistakes have places, and every one is described."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from some_plan import some_plan

from stressnet.checks.registry import CHECKS
from stressnet.checks.vocabulary import SelectsNodes
from stressnet.errors import InputError
from stressnet.faultplan.compile import compile_timeline
from stressnet.faultplan.read import read_fault_plan

ASKED = [check for check in CHECKS.values() if not check.always]
PAGE = Path(__file__).parents[3] / "docs" / "checks.md"
_PLAN = """\
topology: net.yaml
duration: 10s
checks:
  - stuck
  - {check}
"""


def mistakes(folder: Path, check: str) -> list[str]:
    """Return what is wrong with a plan that asks this check, from line 5 on."""
    file = folder / "plan.yaml"
    file.write_text(_PLAN.replace("{check}", check))
    try:
        compile_timeline(read_fault_plan(file)[""], some_plan(), 1)
    except InputError as error:
        return [str(problem).replace(str(folder), "") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    "check",
    [
        "agreement",
        "height: {reaches: 10, of: 'us-*, role:boot'}",
        "metric: {name: tasks, in: all, at_most: 5, for: 10s}",
        "metric: {name: tasks, take: rate, above: 0.5, of: any 2 of us}",
        "log: {pattern: '^panic', of: us}",
        "discovery_storm: {at_least: 5/s, during: [observe], counts: [streams]}",
        "in_sync_honesty: {lag: 5, for: 3s, queries: asked, per_call: 0.5}",
        "command: {run: [./own, --strict], timeout: 10s}",
        "differs: {of: us-1}",
        "differs: {of: us-1, from: 'us-2, eu', figures: {cpu: 1.5, lag: 3}, at_least: {cpu_per_block: 2ms}}",
        "differs: {of: us-1, figures: [cpu, blocks], times: 3, counts: [worse, better], during: [observe]}",
        "differs: {of: us-1, intended: [discoveries, opens], at_least: {opens: 1/s, fds: 5}}",
    ],
)
def test_a_check_may_be_asked_so(tmp_path: Path, check: str) -> None:
    assert mistakes(tmp_path, check) == []


@pytest.mark.parametrize(
    ("check", "mistake"),
    [
        (
            "height: {reaches: 10, of: uss}",
            "plan.yaml:5:31: checks.1.height.of: no node or group is called 'uss'; allowed: boot, us, eu, late, "
            "their nodes, or a glob such as eu-* (did you mean 'us'?)",
        ),
        (
            "metric: {name: x, at_most: 1, of: highest}",
            "plan.yaml:5:39: checks.1.metric.of: 'highest' means nodes by what is observed, which changes; allowed: "
            "nodes by the plan, as in us-*, role:validator or any 2 of eu",
        ),
        ("log: {pattern: x, of: rest}", "'rest' without another side"),
        ("discovery_storm: {of: 'role:none'}", "no node has the role 'none'"),
        ("in_sync_honesty: {of: peers of us-9}", "no node is called 'us-9'"),
        (
            "discovery_storm: {at_least: 5}",
            "plan.yaml:5:33: checks.1.discovery_storm.at_least: 5; allowed: how often",
        ),
        ("metric: {name: x}", "no bound; allowed: one of above, below, at_least, at_most"),
        ("log: {pattern: '('}", "is no regular expression"),
        ("log: {pattern: x, at_least: 3, at_most: 2}", "at_least 3 above at_most 2"),
        ("in_sync_honesty: {for: 5}", "5 has no unit"),
        ("command: {run: own}", "allowed: a list"),
        (
            "differs: {of: us-1, from: us}",
            "plan.yaml:5:31: checks.1.differs.from: 'us' means us-1 too, of 'us-1'; allowed: nodes not in `of`",
        ),
        (
            "differs: {of: boot}",
            "differs.of: 'boot' leaves no other node of its kind and role to compare with; allowed: fewer nodes, or",
        ),
        ("differs: {of: us-1, from: ue}", "no node or group is called 'ue'"),
        ("differs: {of: us-1, figures: [cpus]}", "'cpus'; allowed: blocks, lag, cpu, "),
        ("differs: {of: us-1, figures: [cpus]}", "(did you mean 'cpu'?)"),
        ("differs: {of: us-1, intended: [discovery]}", "(did you mean 'discoveries'?)"),
        ("differs: {of: us-1, figures: {cpu: 1}}", "allowed: a number above 1"),
        (
            "differs: {of: us-1, times: 0.5}",
            "0.5; allowed: a number above 1: so many times as much, or as little",
        ),
        ("differs: {of: us-1, at_least: {memory: 5}}", "memory: 5"),
        ("differs: {of: us-1, at_least: {fds: 0}}", "fds: 0; allowed: more than zero"),
        ("differs: {of: us-1, figures: [cpu], intended: [cpu]}", "cpu among both `figures` and `intended`"),
        ("differs: {}", "differs.of: is missing"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, check: str, mistake: str) -> None:
    (found,) = mistakes(tmp_path, check)
    assert mistake in found
    assert "plan.yaml:5:" in found


@pytest.mark.parametrize("check", ASKED, ids=lambda check: check.name)
def test_every_parameter_is_described(check: object) -> None:
    body = check.parameters.model_json_schema(by_alias=True)  # type: ignore[attr-defined]
    assert body["description"]
    assert all(one.get("description") for one in body.get("properties", {}).values())


@pytest.mark.parametrize("check", ASKED, ids=lambda check: check.name)
def test_whatever_selects_nodes_is_held_against_the_net(check: object) -> None:
    """By convention selectors of nodes are called `of`."""
    field = check.parameters.model_fields.get("of")  # type: ignore[attr-defined]
    assert field is None or any(isinstance(mark, SelectsNodes) for mark in field.metadata)


def test_the_page_names_every_check() -> None:
    text = PAGE.read_text()
    for check in CHECKS.values():
        assert f"`{check.name}`" in text


def test_the_example_of_the_page_is_right(tmp_path: Path) -> None:
    """Each check of it, as it stands there."""
    shown = re.findall(r"```yaml\nchecks:\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    for line in shown.splitlines():
        assert mistakes(tmp_path, line.strip().removeprefix("- ")) == []
