"""An estimate adds up what kinds say, and warns of what the machine lacks."""

from __future__ import annotations

from stressnet.compile import compile_plan
from stressnet.estimate import Machine, estimate, this_machine
from stressnet.resources import topology
from stressnet.spec.kinds import Kinds
from stressnet.spec.load import load

MIB = 2**20
KINDS = Kinds()


def test_memory_and_files_are_added_up_and_a_limit_caps_memory() -> None:
    plan = compile_plan(load(topology("cometbft"), ["nodes.late.memory=10MiB"]), KINDS)
    needed = estimate(plan, KINDS)
    assert needed.memory == (4 * 60 + 10) * MIB
    assert needed.files == 5 * (200 + 4)
    assert needed.files_each == 204


def test_a_disk_counts_whole_and_beside_a_limit_of_memory() -> None:
    sets = ["nodes.late.memory=10MiB", "nodes.late.disk=64MiB", "nodes.validator.disk=1MiB"]
    plan = compile_plan(load(topology("cometbft"), sets), KINDS)
    assert estimate(plan, KINDS).memory == (4 * (60 + 1) + 10 + 64) * MIB
    assert plan.warnings == (
        "the disk of late lies in memory: a node that fills it goes over its limit of memory before",
    )


def test_containers_take_more() -> None:
    loaded = load(topology("cometbft"))
    netns, docker = (estimate(compile_plan(loaded, KINDS, backend=one), KINDS) for one in ("netns", "docker"))
    assert docker.memory > netns.memory


def test_what_the_machine_lacks_is_warned_of() -> None:
    needed = estimate(compile_plan(load(topology("cometbft")), KINDS), KINDS)
    assert needed.warnings(Machine(10**12, 10**6, 10**6)) == []
    assert len(needed.warnings(Machine(1, 1, 1))) == 3


def test_this_machine_has_something() -> None:
    machine = this_machine()
    assert machine.memory > 0
    assert machine.files > 0
    assert machine.files_each > 0
