"""The table of a net's nodes: which columns it has."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console

from stressnet.cli.table import table
from stressnet.engine.status import NetStatus, NodeStatus

NODE = NodeStatus(
    node="a",
    kind="mine",
    role="full",
    region="",
    address="10.0.0.1",
    state="ready",
    tells_height=True,
    height=7,
    lag=0,
    peers=3,
    streams=None,
    cpu=0.5,
    rss_bytes=2**20,
    age_s=60.0,
    starts=1,
    exit_code=None,
    reason="",
)


def shown(*nodes: NodeStatus) -> list[list[str]]:
    """Return the words of each line."""
    console = Console(width=120)
    with console.capture() as said:
        console.print(table(NetStatus("net", "netns", nodes)))
    return [line.split() for line in said.get().splitlines()]


def test_streams_have_a_column_where_any_node_tells_of_them() -> None:
    head, told, silent = shown(replace(NODE, streams=4), replace(NODE, node="b"))
    assert told[head.index("STREAMS")] == "4"
    assert silent[head.index("STREAMS")] == "–"
    assert head.index("STREAMS") == head.index("PEERS") + 1


def test_no_column_for_streams_where_no_kind_names_them() -> None:
    head, row = shown(NODE)
    assert "STREAMS" not in head
    assert len(row) == len(head)
