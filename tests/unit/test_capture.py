"""How much is kept of packets is bounded, and what is refused changes nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.capture import CaptureRefused, Captures
from stressnet.agent.runtime import NoSuchNode


def captures(error: Exception) -> Captures:
    def inside(name: str, work: Any) -> Any:
        raise error

    return Captures(SimpleNamespace(plan=some_plan(), inside=inside))  # type: ignore[arg-type]


NAMES = [node.name for node in some_plan().nodes]


def test_all_nodes_together_have_a_bound() -> None:
    """What is kept already counts, once."""
    ours = captures(NoSuchNode("x"))
    ours.keep(NAMES[:4], 60)
    ours.keep(NAMES[:4], 64)
    with pytest.raises(CaptureRefused, match="that is 257 MiB in all: at most 256"):
        ours.keep(NAMES[4:5], 1)
    ours.keep(NAMES[:1], 0)
    ours.keep(NAMES[4:5], 64)


@pytest.mark.parametrize("mib", [65, -1, 0.5, True, "1"])
def test_what_is_no_size_is_refused(mib: Any) -> None:
    with pytest.raises(CaptureRefused, match="0 to 64"):
        captures(NoSuchNode("x")).keep(NAMES[:1], mib)


def test_a_node_that_the_kernel_keeps_to_itself_is_not_kept() -> None:
    """Its error is told, and later ends and starts of the node do not matter."""
    ours = captures(PermissionError(1, "Operation not permitted"))
    with pytest.raises(PermissionError):
        ours.keep(NAMES[:1], 1)
    ours.ended(NAMES[0])
    ours.wired(NAMES[0])
