"""Squeezes are put back whatever dies or fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stressnet.agent.squeezing import Squeezing
from stressnet.faults.squeeze import Limits

NODES = ("a", "b", "c")
CPU = Limits(cpu=0.5)


class Machine:
    """A runtime that fails on demand, as a kernel without memory to spare does."""

    def __init__(self) -> None:
        self.on: dict[str, Limits] = {}
        self.calls = 0
        self.refuses: set[str] = set()

    async def squeeze(self, name: str, limits: Limits) -> None:
        self.calls += 1
        if name in self.refuses:
            raise OSError(16, f"{name} uses more")
        await asyncio.sleep(0)
        self.on[name] = limits


def hold(squeezing: Squeezing, **wanted: Limits) -> None:
    asyncio.run(squeezing.hold(wanted, NODES))


def made(machine: Any, folder: Path) -> Squeezing:
    return Squeezing(machine, folder)


def changed(machine: Machine) -> Mapping[str, Limits]:
    return {name: limits for name, limits in machine.on.items() if limits != Limits()}


def test_only_what_differs_is_done(tmp_path: Path) -> None:
    """Of nodes that nobody squeezes nothing is asked."""
    machine = Machine()
    squeezing = made(machine, tmp_path)
    hold(squeezing, a=CPU)
    hold(squeezing, a=CPU)
    assert (machine.on, machine.calls) == ({"a": CPU}, 1)
    hold(squeezing, b=CPU)
    assert (machine.on, machine.calls) == ({"a": Limits(), "b": CPU}, 3)


def test_what_an_agent_left_behind_is_put_back_by_the_next(tmp_path: Path) -> None:
    """Also where it died before anything was known of the fault: the names were written before."""
    machine = Machine()
    hold(made(machine, tmp_path), a=CPU, b=CPU)
    hold(made(machine, tmp_path), b=CPU)
    assert changed(machine) == {"b": CPU}
    hold(made(machine, tmp_path))
    assert changed(machine) == {}
    calls = machine.calls
    hold(made(machine, tmp_path))
    assert machine.calls == calls


def test_after_a_refusal_all_of_it_goes_back(tmp_path: Path) -> None:
    """The others are done by then, and nobody knows what is on the one that refused: all are asked again."""
    machine = Machine()
    squeezing = made(machine, tmp_path)
    hold(squeezing, c=CPU)
    machine.refuses = {"a"}
    with pytest.raises(OSError, match="a uses more"):
        hold(squeezing, a=CPU, b=CPU, c=Limits(cpu=0.1))
    machine.refuses = set()
    hold(squeezing, c=CPU)
    assert machine.on == {"a": Limits(), "b": Limits(), "c": CPU}


def test_a_node_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """Its fault may still be on; if it comes back, it is squeezed as it starts."""
    machine = Machine()
    squeezing = made(machine, tmp_path)
    asyncio.run(squeezing.hold({"gone": CPU, "a": CPU}, NODES))
    assert machine.on == {"a": CPU}
