"""Begin a soak, or go on with the one that was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stressnet.engine.run.scenario import Scenario, unique_mark
from stressnet.engine.soak import folder as folders
from stressnet.engine.soak.livenet import MARGIN_S, round_s
from stressnet.engine.soak.order import Order, asked_digest, renew_order, write_order
from stressnet.errors import UsageError
from stressnet.record import runs

Load = Callable[[str], Scenario]
"""Return the scenario, with this mark behind the name of its net."""
Wish = Callable[[Scenario], Order]


@contextmanager
def begun(load: Load, order_of: Wish, root: Path, *, resume: bool) -> Iterator[tuple[Path, Order]]:
    """Hold the folder of a soak, with what is to be done; one that was left is gone on with only if `resume`.

    How long, how often to say how it stands, and the budget are what is asked now. UsageError where another process
    does it, or where the plan has changed since it was begun.
    """
    mark = unique_mark()
    order = order_of(_lasting(load(mark), order_of))
    one = order.scenario
    left = folders.unfinished(root, one.name, one.variant, time.time()) if resume else None
    if left is None:
        path = folders.new_soak(root, one.name, time.time())
        with folders.locked(path):
            write_order(path, order, mark, time.time())
            yield path, order
        return
    with folders.locked(left):
        order = order_of(_lasting(load(str(runs.read_json(left / folders.SOAK)["mark"])), order_of))
        _check_same(left, order.scenario)
        renew_order(left, order)
        yield left, order


def _lasting(scenario: Scenario, order_of: Wish) -> Scenario:
    """Let the net live for the whole soak, and a while longer."""
    ttl_s = order_of(scenario).for_s + round_s(scenario) + MARGIN_S
    return replace(scenario, plan=replace(scenario.plan, ttl_s=ttl_s))


def _check_same(soak: Path, scenario: Scenario) -> None:
    """What was begun with one fault plan is not gone on with with another."""
    if runs.read_json(soak / folders.SOAK).get("asked") != asked_digest(scenario):
        raise UsageError(
            f"the fault plan, its topology, --set, --seed, --kinds or --backend have changed since {soak} was begun",
            hints=("--for, --every and --budget may change", "without --resume a new soak begins"),
        )
