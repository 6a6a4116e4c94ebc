"""What holds a link's packets back on their way to the target: rates and emulation, in queues of the router.

A target's interface gets a tree of classes, one for each source with something on its link; a rule of the router
says which class a packet belongs to. All other packets go straight through.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from stressnet.agent import kernel, qdisc
from stressnet.agent.netlink import LOOPBACK, QueueNews, Route
from stressnet.faults.compose import Packet

Pair = tuple[str, str]
"""Source and target address of a directed link."""


class Traffic:
    """The queues on the router's interfaces, in the namespace that the calling thread is in."""

    def __init__(self, interface_of: Callable[[str], int]) -> None:
        """`interface_of` is the index of the interface that leads to an address."""
        self._interface_of = interface_of
        self._route = Route()
        self._news = QueueNews()
        self._of_others = 0
        self._held: dict[Pair, Packet] = {}
        self._numbers: dict[Pair, int] = {}
        self._trees: set[str] = set()

    def put(self, wanted: Mapping[Pair, Packet]) -> dict[Pair, int]:
        """Make queues for these links, and return the class of each; `clear` takes away the others.

        OSError where the kernel refuses one; what was made until then does no harm, for nothing is led there.
        """
        queued = {pair: packet for pair, packet in wanted.items() if qdisc.is_queued(packet)}
        for pair, packet in queued.items():
            if self._held.get(pair) != packet:
                self._route.send(self._messages(pair, packet))
                self._trees.add(pair[1])
                self._held[pair] = packet
        return {pair: qdisc.class_id(self._numbers[pair]) for pair in queued}

    def classes(self, pairs: Iterable[Pair]) -> dict[Pair, int]:
        """Return the class of each of these links that has a queue."""
        return {pair: qdisc.class_id(self._numbers[pair]) for pair in pairs if pair in self._numbers}

    def lacking(self, wanted: Mapping[Pair, Packet]) -> dict[Pair, str]:
        """Return what queues of these links are not there as `put` made them, in words; a target whose interface has
        gone needs none."""
        queued = {pair: packet for pair, packet in wanted.items() if qdisc.is_queued(packet)}
        places = {pair: self._interface_of(pair[1]) for pair in queued if self._is_there(pair[1])}
        if not places:
            return {}
        there = qdisc.Queues(self._route, places.values())
        return {
            pair: there.lack(interface, self._numbers.get(pair, 0), queued[pair])
            for pair, interface in places.items()
        }

    def _is_there(self, target: str) -> bool:
        try:
            return bool(socket.if_indextoname(self._interface_of(target)))
        except OSError:
            return False

    def _messages(self, pair: Pair, packet: Packet) -> list[bytes]:
        interface, number = self._interface_of(pair[1]), self._number(pair)
        messages = [] if pair[1] in self._trees else [qdisc.tree(interface)]
        before = self._held.get(pair)
        if before and qdisc.has_emulation(before) and not qdisc.has_emulation(packet):
            messages.append(qdisc.remove_class(interface, number))
        messages.append(qdisc.limit(interface, number, packet.rate))
        if qdisc.has_emulation(packet):
            messages.append(qdisc.emulate(interface, number, packet))
        elif packet.rate:
            messages.append(qdisc.queue(interface, number, packet.rate))
        return messages

    def _number(self, pair: Pair) -> int:
        if pair not in self._numbers:
            taken = {number for (_, target), number in self._numbers.items() if target == pair[1]}
            self._numbers[pair] = next(
                number for number in range(1, qdisc.MOST_CLASSES) if number not in taken
            )
        return self._numbers[pair]

    def clear(self, wanted: Mapping[Pair, Packet]) -> None:
        """Take away the queues of all links but these."""
        kept = {pair for pair, packet in wanted.items() if qdisc.is_queued(packet)}
        targets = {target for _, target in kept}
        for target in self._trees - targets:
            with contextlib.suppress(OSError):  # the interface may have gone with its node
                self._route.send([qdisc.remove_tree(self._interface_of(target))])
        for pair in self._held.keys() - kept:
            if pair[1] in targets:
                with contextlib.suppress(OSError):
                    self._route.send([qdisc.remove_class(self._interface_of(pair[1]), self._numbers[pair])])
            del self._held[pair], self._numbers[pair]
        self._trees &= targets

    def renew(self, target: str) -> None:
        """Make the queues of a target anew: its interface is a new one."""
        mine = {pair: packet for pair, packet in self._held.items() if pair[1] == target}
        self._trees.discard(target)
        for pair in mine:
            del self._held[pair]
        self.put(mine)

    def adopt(self, targets: Mapping[str, object]) -> None:
        """Take away what an earlier agent has left on the interfaces of these targets."""
        for target in targets:
            with contextlib.suppress(OSError):
                self._route.send([qdisc.remove_tree(self._interface_of(target))])

    def of_others(self) -> int:
        """Return how often anybody else has changed queues here since this was made."""
        self._of_others += self._news.by_others(self._route.port)
        return self._of_others

    def close(self) -> None:
        """Close the sockets; the queues stay."""
        self._route.close()
        self._news.close()


def abilities() -> dict[str, str]:
    """Say what this kernel has, tried in a namespace that goes with a thread of its own."""
    found: dict[str, str] = {}

    def attempt() -> None:
        kernel.unshare(kernel.CLONE_NEWNET)
        found.update(tried())

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    return found or dict.fromkeys(("tc", "netem"), "there is no namespace to try it in")


def tried() -> dict[str, str]:
    """Try queues on the loopback of this namespace: by "tc" and "netem" why it is not there, empty where it is."""
    packet = Packet(delay_s=0.001)
    with Route() as route:
        return {
            "tc": _outcome(route, [qdisc.tree(LOOPBACK), qdisc.limit(LOOPBACK, 1, 1e6)]),
            "netem": _outcome(route, [qdisc.emulate(LOOPBACK, 1, packet)]),
        }


def _outcome(route: Route, messages: Sequence[bytes]) -> str:
    try:
        route.send(messages)
    except FileNotFoundError:
        return "the kernel does not have it"
    except OSError as error:
        return str(error)
    return ""
