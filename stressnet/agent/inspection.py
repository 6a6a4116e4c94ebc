"""What the kernel shows of a process's network namespace, and whether it is as the plan says.

Read from /proc/PID/net, which shows the namespace of that process: no need to enter it, and no way for a
container to colour the answer.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from stressnet.agent import kernel
from stressnet.plan import Node, Plan


def addresses(pid: int) -> set[str]:
    """Return the IPv4 addresses that the namespace has for itself, without those of the loopback net."""
    found: set[str] = set()
    prefix = ""
    for line in Path(f"/proc/{pid}/net/fib_trie").read_text().splitlines():
        words = line.split()
        if words[0] == "|--":
            prefix = words[1]
        elif words == ["/32", "host", "LOCAL"] and not prefix.startswith("127."):
            found.add(prefix)
    return found


def ipv6_interfaces(pid: int) -> set[str]:
    """Return the interfaces with an IPv6 address; the loopback's own does not count."""
    try:
        lines = Path(f"/proc/{pid}/net/if_inet6").read_text().splitlines()
    except FileNotFoundError:
        return set()  # a kernel without IPv6
    return {line.split()[-1] for line in lines} - {"lo"}


def default_routes(pid: int) -> int:
    """Count the routes that lead out of the net."""
    lines = Path(f"/proc/{pid}/net/route").read_text().splitlines()[1:]
    fields = (line.split() for line in lines)
    return sum(field[1] == "00000000" and field[7] == "00000000" for field in fields)


def owner(pid: int, plan: Plan) -> str | None:
    """Return the node that a container is, by its host name: one without capabilities cannot change that."""
    name = hostname(pid)
    return name if any(node.name == name for node in plan.nodes) else None


def hostname(pid: int) -> str:
    """Return the host name that a process sees."""
    home = os.open("/proc/thread-self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
    inside = os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.setns(inside, kernel.CLONE_NEWUTS)
        name = socket.gethostname()
        kernel.setns(home, kernel.CLONE_NEWUTS)
    finally:
        os.close(inside)
        os.close(home)
    return name


def faults(pid: int, node: Node, *, egress: bool) -> str:
    """Return what is not as the plan says, empty where all is well."""
    found = []
    own = addresses(pid)
    if own != {node.address}:
        found.append(f"its address is {', '.join(sorted(own)) or 'missing'}, not {node.address}")
    if interfaces := ipv6_interfaces(pid):
        found.append(f"IPv6 is on at {', '.join(sorted(interfaces))}")
    if default_routes(pid) and not egress:
        found.append("it has a route out of the net")
    return "; ".join(found)
