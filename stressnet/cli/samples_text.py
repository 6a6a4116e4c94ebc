"""How figures over time are shown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from stressnet.cli.terminal import size
from stressnet.engine.samples import HostSummary, NodeSummary, Summary

_WORDS = ("NODE", "STATE")
_NUMBERS = (
    *(
        "CPU",
        "RSS",
        "THREADS",
        "FDS",
        "TCP",
        "P2P",
        "OPENS",
        "FAILED",
        "RESETS",
        "IN",
        "OUT",
        "THROTTLED",
        "OOM",
    ),
)
_LATE_S = 0.25
_JUMP_S = 0.1
_STEAL = 0.05
_PRESSED = 0.5
"""From here on what is wrong with the machine is shown in red."""


def host_lines(net: str, summary: Summary) -> Iterator[Text]:
    """Return two lines: how the machine was, and what stressnet itself took of it."""
    host = summary.host
    line = Text.assemble((net, "bold"), f" over {summary.ended_at - summary.begun_at:.0f} s · machine: ")
    line.append(f"{host.busy:.0%} of {host.cpus} CPUs busy")
    line.append(f" · steal {host.steal:.0%}", style="red" if host.steal > _STEAL else "")
    for resource, share in host.pressure.items():
        line.append(f" · {share:.0%} waited for {resource}", style="red" if share > _PRESSED else "")
    line.append(f" · free: {host.memory_free_bytes / 2**30:.1f}GiB memory")
    line.append(f", {host.disk_free_bytes / 2**30:.1f}GiB disk")
    yield line
    yield _own(host)


def _own(host: HostSummary) -> Text:
    line = Text(f"agent: {host.agent_cpu:.1%} of a CPU, {size(host.agent_rss_bytes)}")
    line.append(f" · relays: {host.relays_cpu:.1%}, {size(host.relays_rss_bytes)}")
    line.append(
        f" · looks at most {host.late_s * 1000:.0f}ms late", style="red" if host.late_s > _LATE_S else ""
    )
    if abs(host.clock_jump_s) > _JUMP_S:
        line.append(f" · the clock was set by {host.clock_jump_s:+.1f}s", style="red")
    return line


def nodes_table(summary: Summary) -> RenderableType:
    """Return a row for each node; rates are per second."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in _WORDS:
        made.add_column(title, no_wrap=True)
    for title in _NUMBERS:
        made.add_column(title, justify="right", no_wrap=True)
    for node in summary.nodes:
        made.add_row(*_cells(node))
    return made


def _cells(node: NodeSummary) -> Iterator[str]:
    yield node.node
    yield node.state
    yield "–" if node.cpu is None else f"{node.cpu:.1%}"
    yield size(node.rss_bytes)
    for number in (node.threads, node.fds, node.established, node.p2p):
        yield "–" if number is None else str(number)
    for counter in ("opens", "failed_opens", "resets"):
        yield _rate(node.rates.get(counter), "/s")
    for counter in ("rx_bytes", "tx_bytes"):
        told = node.rates.get(counter)
        yield _rate(None if told is None else told / 1024, "KiB/s")
    yield "–" if node.throttled is None else f"{node.throttled:.0%}"
    yield "–" if node.oom_kills is None else str(node.oom_kills)


def _rate(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f}{unit}"


def metrics_table(summary: Summary) -> RenderableType:
    """Return a row for each series of each node."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("NODE", "SERIES"):
        made.add_column(title, overflow="fold")
    made.add_column("VALUE", justify="right", no_wrap=True)
    for node, series in summary.metrics.items():
        for name, value in sorted(series.items()):
            made.add_row(node, Text(name), f"{value:g}")
    return made
