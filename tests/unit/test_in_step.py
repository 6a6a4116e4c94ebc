"""Whether the nodes of a net are in step, as `status --until synced` and the settling of a run ask it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_nodes_table import NODE

from stressnet.engine.status import NetStatus, NodeStatus, behind

LEVEL, BELOW, FAR = NODE, replace(NODE, height=5, lag=2), replace(NODE, node="far", height=4, lag=3)
SILENT = replace(NODE, node="silent", height=None, lag=None)
MUTE = replace(SILENT, node="mute", tells_height=False)


@pytest.mark.parametrize(
    ("nodes", "synced", "late"),
    [
        ((LEVEL, BELOW), True, []),
        ((LEVEL, FAR), False, ["far"]),
        ((LEVEL, SILENT), False, ["silent"]),
        ((LEVEL, MUTE), True, []),
        ((MUTE,), False, []),
        ((LEVEL, replace(BELOW, state="starting")), False, []),
        ((replace(LEVEL, height=0), replace(LEVEL, height=0)), False, []),
    ],
)
def test_who_has_a_height_to_tell_and_tells_none_is_behind(
    nodes: tuple[NodeStatus, ...], synced: bool, late: list[str]
) -> None:
    """Who has none to tell is not waited for."""
    status = NetStatus("net", "netns", nodes)
    assert (status.synced(), behind(status.nodes)) == (synced, late)
