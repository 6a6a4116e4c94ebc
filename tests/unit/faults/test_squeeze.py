"""What several squeezes leave to a node, whatever their order."""

from __future__ import annotations

from itertools import permutations

from stressnet.faults.fault import Fault
from stressnet.faults.squeeze import Limits, fillings, squeezes

FAULTS = (
    Fault("f1", "cpu", {"cpu": 0.5}, nodes=("a", "b")),
    Fault("f2", "cpu", {"cpu": 0.2}, nodes=("a",)),
    Fault("f3", "memory", {"memory": 64.0 * 2**20}, nodes=("a", "c")),
    Fault("f4", "memory", {"memory": 32.0 * 2**20}, nodes=("c",)),
    Fault("f5", "pause", {}, nodes=("d",)),
)


def test_the_narrowest_wins_of_each_resource() -> None:
    """The order does not matter, and other faults on nodes squeeze nothing."""
    for order in permutations(FAULTS):
        assert squeezes(order) == {
            "a": Limits(0.2, 64 * 2**20),
            "b": Limits(0.5, 0),
            "c": Limits(0.0, 32 * 2**20),
        }


def test_healing_one_leaves_exactly_the_others() -> None:
    assert squeezes(FAULTS[:1])["a"] == Limits(0.5, 0)


def test_no_limit_is_no_narrow_limit() -> None:
    """0 stands for none, also where the other has one."""
    assert Limits(0.5, 0).within(Limits(0.0, 2**20)) == Limits(0.5, 2**20)
    assert Limits(0.5, 2**20).within(Limits(2.0, 2**30)) == Limits(0.5, 2**20)
    assert Limits().within(Limits()) == Limits()


def test_of_several_faults_on_a_disk_the_one_that_leaves_least_wins() -> None:
    """Without a parameter nothing is left, and nothing is not the same as no fault."""
    full, some = (
        Fault("f1", "disk_full", {}, nodes=("a",)),
        Fault("f2", "disk_full", {"free": 4096.0}, nodes=("a", "b")),
    )
    for order in permutations((full, some, *FAULTS)):
        assert fillings(order) == {"a": 0, "b": 4096}
    assert fillings([some]) == {"a": 4096, "b": 4096}
    assert fillings(FAULTS) == {}
