"""The network of a net on this machine: a namespace for each node, wired to a router in the world.

Routed, not bridged: a node has an address of its own (/32) and sends the whole subnet through the router, the
world's own namespace, which forwards to the veth of the address. Every neighbour is pinned. So there is no
broadcast, no learning, no limit of 1,024 ports, and the machine-wide table of neighbours stays empty.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

from stressnet.agent import kernel, netlink
from stressnet.plan import Node, Plan

FIRST_INDEX = 1000
"""An end in the world has this plus the address's place in the subnet as its index: no look-up is needed."""
_ETH0 = 2
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a route, not a listener


class Wiring:
    """Makes and removes the namespaces of nodes. Every method blocks; call it from a thread of its own.

    A thread that calls `make` or `remove` is moved between namespaces and comes back to the world's.
    """

    def __init__(self, plan: Plan, folder: str) -> None:
        self._folder = folder
        self._subnet = ipaddress.IPv4Network(plan.subnet)
        self._gateway = plan.gateway
        self._egress = plan.egress
        self._world = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def path(self, name: str) -> str:
        """Where a node's namespace is held by a mount."""
        return f"{self._folder}/{name}"

    def existing(self) -> set[str]:
        """Return the nodes whose namespaces are held by a mount."""
        return {name for name in os.listdir(self._folder) if os.path.ismount(self.path(name))}

    def prepare_world(self) -> None:
        """Switch the router on. Doing it twice changes nothing."""
        with netlink.Route() as router:
            router.send([netlink.link_up(netlink.LOOPBACK)])
            try:
                router.send([netlink.address(netlink.LOOPBACK, self._gateway)])
            except FileExistsError:
                return

    def make(self, node: Node) -> None:
        """Make a node's namespace, completely set up, in place of what there was of it."""
        path = self.path(node.name)
        if os.path.exists(path):  # made first and removed last: without it there is nothing of the node
            self.remove(node)
        Path(path).touch()
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            kernel.mount("/proc/thread-self/ns/net", path, "", kernel.MS_BIND)
            _switch_off_ipv6()
            with netlink.Route() as inside:
                inside.send(self._inside(node))
        finally:
            kernel.setns(self._world, kernel.CLONE_NEWNET)
        with netlink.Route() as router:
            router.send(self._outside(node))

    def _place(self, node: Node) -> int:
        return int(ipaddress.IPv4Address(node.address)) - int(self._subnet.network_address)

    def _inside(self, node: Node) -> list[bytes]:
        gateway = _hardware(self._gateway)
        return [
            netlink.veth(
                name="eth0",
                index=_ETH0,
                hardware=_hardware(node.address),
                peer=f"v{self._place(node)}",
                peer_index=FIRST_INDEX + self._place(node),
                peer_hardware=gateway,
                peer_namespace=self._world,
            ),
            netlink.link_up(netlink.LOOPBACK),
            netlink.link_up(_ETH0),
            netlink.address(_ETH0, node.address),
            netlink.neighbour(_ETH0, self._gateway, gateway),
            netlink.route(
                _ETH0,
                str(self._subnet.network_address),
                self._subnet.prefixlen,
                gateway=self._gateway,
                source=node.address,
            ),
            *([netlink.route(_ETH0, _EVERYWHERE, 0, gateway=self._gateway)] if self._egress else []),
        ]

    def _outside(self, node: Node) -> list[bytes]:
        index = FIRST_INDEX + self._place(node)
        return [
            netlink.link_up(index),
            netlink.neighbour(index, node.address, _hardware(node.address)),
            netlink.route(index, node.address, 32),
        ]

    def remove(self, node: Node) -> None:
        """Remove what there is of a node's namespace; nothing is fine too."""
        try:
            with netlink.Route() as router:
                router.send([netlink.delete_link(FIRST_INDEX + self._place(node))])
        except OSError:
            pass  # no such interface: the usual case, before `make`
        path = self.path(node.name)
        if os.path.ismount(path):
            kernel.unmount(path)
        Path(path).unlink(missing_ok=True)


def _hardware(address: str) -> bytes:
    """A hardware address that says the IP address; the first byte marks it as locally administered."""
    return b"\x02\x00" + socket.inet_aton(address)


def _switch_off_ipv6() -> None:
    try:
        # For what is there and, the kernel writes `default` itself, for what is to come.
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")
    except FileNotFoundError:
        return  # a kernel without IPv6 has nothing to switch off
