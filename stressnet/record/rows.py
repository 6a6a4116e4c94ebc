"""What is known of nodes, links and the machine at one moment: the columns of `samples.db`.

`at` is Unix seconds; `monotonic` does not jump when a clock is set. Counters count from the start of the node's
process, or of its namespace. None is what was not looked at, or cannot be had here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class NodeSample:
    """One node at one moment."""

    at: float
    monotonic: float
    node: str
    state: str
    pid: int
    starts: int
    """How often it has been started in this net."""
    height: int | None = None
    peers: int | None = None
    """As the node says itself."""
    processes: int | None = None
    cpu_s: float | None = None
    """CPU seconds since the start, of all its processes and those that they have waited for."""
    rss_bytes: int | None = None
    pss_bytes: int | None = None
    """Resident, with what is shared divided among those who share it; slow looks only."""
    threads: int | None = None
    fds: int | None = None
    established: int | None = None
    """TCP connections that are open."""
    sockets: int | None = None
    """TCP sockets in any state but those below."""
    time_wait: int | None = None
    opens: int | None = None
    """TCP connections that it tried to open, whatever became of them."""
    accepts: int | None = None
    failed_opens: int | None = None
    resets: int | None = None
    """Open connections that were reset."""
    retransmits: int | None = None
    listening: int | None = None
    """This and the next six: sockets by state; slow looks only."""
    syn_sent: int | None = None
    syn_received: int | None = None
    fin_wait: int | None = None
    close_wait: int | None = None
    closing: int | None = None
    """LAST_ACK and CLOSING."""
    p2p: int | None = None
    """Open connections of which either end is a p2p port."""
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    rx_packets: int | None = None
    tx_packets: int | None = None
    throttled_s: float | None = None
    """Time that its control group was kept from running by a limit of CPU."""
    oom_kills: int | None = None
    cpu_pressure_s: float | None = None
    """Time in which some task of its control group waited for a CPU; only version 2 counts this and the next two."""
    memory_pressure_s: float | None = None
    io_pressure_s: float | None = None
    cpu_wait_s: float | None = None
    """Time in which the first thread of its main process was ready to run, and had no CPU."""


@dataclass(slots=True)
class LinkSample:
    """One directed link: what it has carried since the net came up."""

    at: float
    source: str
    target: str
    packets: int
    """All that the source sent to the target."""
    bytes: int
    connections: int
    """That the source opened to a p2p port of the target."""
    dropped: int
    """Packets, by a fault."""
    bypassed: int
    """Packets to a p2p port that were not under control; they were dropped."""


@dataclass(slots=True)
class HostSample:
    """The machine at one moment: a sick host must not be blamed on a node."""

    at: float
    monotonic: float
    late_s: float
    """How much later than due the look itself was."""
    clock_jump_s: float
    """How much further the wall clock went than the monotonic one since the look before."""
    cpus: int
    busy_s: float
    """CPU seconds since the machine's start; this and the next four are counters."""
    steal_s: float
    """Taken by the machine's own host."""
    iowait_s: float
    cpu_pressure_s: float | None
    memory_pressure_s: float | None
    io_pressure_s: float | None
    load: float
    memory_free_bytes: int
    """What could be had without swapping."""
    disk_free_bytes: int
    """Where this file lies."""
    agent_cpu_s: float
    """Of the agent itself."""
    agent_rss_bytes: int
    relays_cpu_s: float
    relays_rss_bytes: int

    @property
    def harness_cpu_s(self) -> float:
        """CPU seconds of agent and relays; less than before where another agent has begun."""
        return self.agent_cpu_s + self.relays_cpu_s
