"""Samples summed up: rates over one life of a node, and what is wrong with the machine in sight."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from stressnet.cli.samples_text import host_lines, nodes_table
from stressnet.engine.samples import Summary, of_host, of_node
from stressnet.record.samples import HostSample, NodeSample

FIRST = NodeSample(
    100.0, 10.0, "a", "ready", 42, 1, cpu_s=1.0, rss_bytes=2**20, opens=5, rx_bytes=0, throttled_s=0.0, p2p=3
)
HOST = HostSample(
    100.0, 10.0, 0.0, 0.0, 2, 1.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.1, 2**30, 2**33, 0.1, 2**20, 0.0, 0
)


def later(row: NodeSample, seconds: float, **changed: object) -> NodeSample:
    return replace(row, at=row.at + seconds, monotonic=row.monotonic + seconds, **changed)  # type: ignore[arg-type]


def test_rates_are_per_second() -> None:
    last = later(FIRST, 4.0, cpu_s=3.0, opens=25, rx_bytes=8192, throttled_s=1.0, rss_bytes=2**19, p2p=None)
    found = of_node("a", [FIRST, last])
    assert found.cpu == 0.5
    assert found.rates == {"opens": 5.0, "rx_bytes": 2048.0}
    assert found.throttled == 0.25
    assert (found.rss_bytes, found.rss_max_bytes) == (2**19, 2**20)
    assert found.p2p == 3  # of the latest closer look


def test_a_restart_begins_anew() -> None:
    """Counters of two processes are never subtracted."""
    restarted = later(FIRST, 4.0, pid=43, starts=2, cpu_s=0.1, opens=1)
    found = of_node("a", [FIRST, restarted])
    assert (found.cpu, found.rates, found.span_s) == (None, {}, 0.0)
    found = of_node("a", [FIRST, restarted, later(restarted, 1.0, cpu_s=0.3, opens=2)])
    assert found.cpu == pytest.approx(0.2)
    assert found.rates["opens"] == 1.0


def test_a_node_that_does_not_run_has_no_figures() -> None:
    gone = NodeSample(104.0, 14.0, "a", "exited", 0, 1)
    found = of_node("a", [FIRST, gone])
    assert (found.state, found.cpu, found.rss_bytes) == ("exited", None, None)


def test_a_sick_machine_is_seen() -> None:
    last = replace(
        HOST,
        at=114.0,
        monotonic=20.0,
        steal_s=10.0,
        cpu_pressure_s=9.0,
        late_s=0.9,
        clock_jump_s=-4.0,
        busy_s=11.0,
    )
    host = of_host([HOST, last])
    assert (host.busy, host.steal) == (0.5, 0.5)
    assert host.pressure == {"cpu": 0.5, "memory": 0.0, "io": 0.0}
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        summary = Summary(100.0, 114.0, (of_node("a", [FIRST]),), host, {})
        console.print(*host_lines("net", summary), nodes_table(summary), sep="\n")
    text = capture.get()
    for words in (
        "steal 50%",
        "50% waited for cpu",
        "looks at most 900ms late",
        "the clock was set by -4.0s",
    ):
        assert words in text
