"""The listeners of relays: one for each link that they carry, and which connections go through which of them.

What Toxiproxy has on a listener hits all its connections. So when a fault begins that is for new connections alone, its
links get a further listener each, to which the router leads what is opened from then on; what is open stays with the
one before, which goes when its last connection has gone. The name of such a listener ends with the number of the fault,
so that it can be told, also by the next agent, which faults its connections are younger than.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from stressnet.agent.diagnosis import connections, open_diagnosis
from stressnet.agent.relay import Relay
from stressnet.agent.router import Endpoint
from stressnet.faults.compose import Link, Toxic
from stressnet.plan import Node, Port


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener of a relay."""

    name: str
    link: Link
    """Who opens connections through it, and who accepts them."""
    relay: Relay
    port: int
    code: str
    """What the relay dials, as `ADDRESS:PORT`."""
    since: int = 0
    """Number of the fault with which it was made, 0 for the first of its link."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it takes connections."""
        return self.relay.address, self.port

    @property
    def place(self) -> str:
        """The same as the kernel's sockets are told by, `ADDRESS:PORT`."""
        return f"{self.relay.address}:{self.port}"

    def row(self, wanted: Iterable[Toxic]) -> tuple[Toxic, ...]:
        """Return which of the toxics that are wanted on its link are for its connections."""
        return tuple(toxic for toxic in wanted if toxic.since <= self.since)


def latest(toxics: Iterable[Toxic]) -> int:
    """Return since which fault connections must have been opened to be hit by all of these toxics."""
    return max((toxic.since for toxic in toxics), default=0)


def listener_name(source: Node, target: Node, port: Port, since: int = 0) -> str:
    """Name the listener for what is opened since a fault."""
    return renamed(f"{source.name}.{target.name}.{port.name}", since)


def renamed(first: str, since: int) -> str:
    """Name a further listener beside the first one of the same link and port."""
    return f"{first}.{since}" if since else first


def parsed(name: str) -> tuple[str, int]:
    """Return the name of the first listener of the same link and port, and since which fault this one is there."""
    first, _, last = name.rpartition(".")
    return (first, int(last)) if name.count(".") == 3 and last.isdecimal() else (name, 0)


def without_connections(listeners: Iterable[Listener]) -> set[Listener]:
    """Return those of all listeners through which nothing goes.

    What the listeners of one link dial has one address, so all of it must be accounted for by what they accepted: one
    whose node has gone may still hold data for the other end.
    """
    with open_diagnosis() as diagnosis:
        near, far = connections(diagnosis)
    accepted = {one: near[one.place] for one in listeners}
    by_code: Counter[str] = Counter()
    for one, count in accepted.items():
        by_code[one.code] += count
    return {one for one, count in accepted.items() if not count and far[one.code] <= by_code[one.code]}
