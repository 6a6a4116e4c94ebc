"""Whether the streams of a net go through relays."""

from __future__ import annotations

from collections.abc import Sequence

from stressnet.plan import Backend, Node
from stressnet.spec.topology import Topology

MOST_LINKS = 20_000
"""Links that `interpose: auto` puts under control: a listener each, 13 kB and 40 us; 140 nodes that all may talk."""


def relay_for(
    topology: Topology, nodes: Sequence[Node], backend: Backend, relay: str | None
) -> tuple[str, list[str]]:
    """Return the program that carries streams, empty where they go directly, and what a user should know of it.

    `relay` is the program, empty where there is none, None where nobody has looked.
    """
    links = sum(len(node.p2p_ports()) for node in nodes) * (len(nodes) - 1)
    if not links:
        return "", []
    if topology.interpose == "none":
        distant = any(others for others in topology.regions.values())
        words = "interpose: none: regions have a latency only where the kernel has netem"
        return "", [words] if distant else []
    if backend == "docker" and topology.egress:
        # They cross a bridge of the engine.
        return "", ["egress on docker: links are not under control, so regions have no latency"]
    if topology.interpose == "auto" and links > MOST_LINKS:
        more = f"{links} links are more than {MOST_LINKS}: streams go directly, without latencies of regions"
        return "", [f"{more}; `interpose: all` puts all of them under control"]
    if relay == "":
        missing = "no Toxiproxy (`stressnet install toxiproxy`)"
        return "", [f"{missing}: regions have no latency, streams take no faults"]
    return relay or "", []
