"""The network of a net in containers: the agent's own namespace is the router, wired to each container's.

The same wiring as in a world of namespaces (see `wiring`), into namespaces that an engine made empty. Not the
engine's bridge: engines before 28 miscount the endpoints of a bridge that many containers join at once, and
then never remove it (seen in most nets of 100); every net would need a subnet of its own; and a bridge takes
longer than all the rest of a container's start.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from stressnet.agent import kernel, netlink, wiring
from stressnet.plan import Node, Plan


class ContainerWiring(wiring.Wiring):
    """Wires the namespaces of containers to this process's own."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, "")

    def wire(self, node: Node, namespace: int) -> None:
        """Set up an open descriptor's namespace completely, also one that was left half-way."""
        with netlink.Route() as router:
            # Usually nothing was wired for this node yet, or it went with its namespace.
            with contextlib.suppress(OSError):
                router.send([netlink.delete_link(wiring.FIRST_INDEX + self._place(node))])
            with kernel.inside_network(namespace, self._world), netlink.Route() as inside:
                inside.send(self._inside(node))
            router.send(self._outside(node))


def hosts_text(nodes: Iterable[Node]) -> bytes:
    """Return the file /etc/hosts that knows all nodes of a net."""
    lines = ["127.0.0.1 localhost", *(f"{node.address} {node.name}" for node in nodes)]
    return ("\n".join(lines) + "\n").encode()


def write_hosts(pid: int, text: bytes) -> None:
    """Write the /etc/hosts of a process's container, whose root may have been laid with traps: no link is followed."""
    folder = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC)
    opened = [root]
    try:
        opened.append(os.open("etc", os.O_PATH | folder, dir_fd=root))
        opened.append(
            os.open("hosts", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=opened[-1])
        )
        if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
            raise OSError("its /etc/hosts is no file")
        os.ftruncate(opened[-1], 0)
        os.write(opened[-1], text)
    finally:
        for descriptor in opened:
            os.close(descriptor)
