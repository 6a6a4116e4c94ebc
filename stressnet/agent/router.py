"""The rules of the net's router: what every packet between nodes passes, and no node can reach or change.

All links of nodes end in this network namespace (see `wiring`). So control is not in the nodes' own namespaces,
where a node's program could get around it, and where it would be gone after each restart of a container:

    guard       each packet as it comes in: sent from its own address? to a port that nobody listens at? on a
                link with a packet fault?
    redirect    a new connection from A to a p2p port of B: to the relay's listener for A, B and that port
    far, near   a connection that the relay makes to a *code*, an address that says A with a port that says B's
                port: to B, from A's own address
    cut         what a relay still has to send on a link that is cut; and which queue a packet goes into (see `traffic`)
    audit       a packet to a p2p port that comes through all the same: counted, and dropped

The rules are one table of nf_tables. Counters are per directed pair of addresses, and made by the first packet.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stressnet.agent import netlink
from stressnet.agent import nftables as nft
from stressnet.agent.conditions import CUT, TABLE, Lack, Pair, Ruled, chain, pair_key, way_of
from stressnet.agent.nfread import chains, counters
from stressnet.agent.wiring import FIRST_INDEX
from stressnet.faults.compose import Packet
from stressnet.plan import Node, Plan

_CODES = ipaddress.IPv4Network("240.0.0.0/8")
"""Reserved for ever (RFC 1112), so no net uses them; only the output chain ever sees one."""
_RELAYS = ipaddress.IPv4Network("241.0.0.0/8")
_FIRST_CODE_PORT = 1
LAST_CODE = 65535 - _FIRST_CODE_PORT
"""The greatest number of an endpoint: codes are told apart by a port."""
_TCP = b"\x06"
_SYN_ACK, _SYN = b"\x12", b"\x02"
_INVALID = struct.pack("=I", 1)

Endpoint = tuple[str, int]
"""Address and p2p port of a node."""

_SETS = (
    nft.Set("places", (nft.INTERFACE, nft.IPV4)),
    nft.Set("p2p", (nft.IPV4, nft.PORT)),
    nft.Set("listening", (nft.IPV4, nft.PORT)),
    nft.Set("links", (nft.IPV4, nft.IPV4, nft.PORT), (nft.IPV4, nft.PORT)),
    nft.Set("endpoints", (nft.PORT,), (nft.IPV4, nft.PORT)),
    nft.Set("sources", (nft.IPV4,), (nft.IPV4,)),
    nft.Set("conditions", (nft.IPV4, nft.IPV4), verdicts=True),
    nft.Set("classes", (nft.IPV4, nft.IPV4), (nft.MARK,)),
    nft.Set("cuts", (nft.IPV4, nft.IPV4), verdicts=True),
    nft.Set("spoofed", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("carried", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("controlled", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("connections", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("bypassed", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("offered", (nft.IPV4, nft.IPV4), counters=True),
    nft.Set("dropped", (nft.IPV4, nft.IPV4), counters=True),
)
COUNTERS = tuple(one.name for one in _SETS if one.counters)


@dataclass(slots=True)
class Count:
    """What one directed link has carried so far, in packets but for `connections`."""

    carried: int = 0
    """All that the source sent to the target, also what a fault then dropped."""
    bytes: int = 0
    """The same, with all headers above that of the link."""
    controlled: int = 0
    """To p2p ports, under control."""
    connections: int = 0
    """New TCP connections that went to a relay."""
    bypassed: int = 0
    """To p2p ports by another way; dropped."""
    offered: int = 0
    """That came while a packet fault was on."""
    dropped: int = 0
    """Dropped by it."""
    spoofed: int = 0
    """With a source address that is not the sender's; dropped."""


class Router:
    """The rules in the namespace that the calling thread is in. Calls are short and block."""

    def __init__(self, plan: Plan) -> None:
        self._nft = nft.Nftables()
        self._chains: set[str] = set()
        self._conditions: dict[Pair, str] = {}
        self._cuts: set[Pair] = set()
        self._classes: dict[Pair, int] = {}
        self._inherited: tuple[str, ...] = ()
        """Maps in which an earlier agent has left something: emptied by the transaction that fills them again."""
        self._listening: set[Endpoint] = set()
        self.replan(plan)

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; `prepare` and `control` put it in place."""
        self._plan = plan
        self._subnet = ipaddress.IPv4Network(plan.subnet)
        self._base = int(self._subnet.network_address)

    def _place(self, node: Node) -> int:
        return int(ipaddress.IPv4Address(node.address)) - self._base

    def interface_of(self, address: str) -> int:
        """Return the index of the router's interface that leads to a node's address."""
        return FIRST_INDEX + int(ipaddress.IPv4Address(address)) - self._base

    def relay_address(self, number: int) -> str:
        """Return the address that a relay listens on."""
        return str(_RELAYS[number + 1])

    def code(self, source: Node, endpoint: int) -> str:
        """Return what a relay dials to reach an endpoint (by its number in the plan) from a node's address."""
        return f"{_CODES[self._place(source)]}:{_FIRST_CODE_PORT + endpoint}"

    def prepare(self, relays: int) -> bool:
        """Put the rules in place, complete but for the links; return whether they were there already, and stay."""
        with netlink.Route() as route:
            # The relays' addresses, and a way for codes: the output chain changes them before anything is sent.
            for message in (
                netlink.link_up(netlink.LOOPBACK),
                *(netlink.address(netlink.LOOPBACK, self.relay_address(number)) for number in range(relays)),
                netlink.route(netlink.LOOPBACK, str(_CODES.network_address), _CODES.prefixlen),
            ):
                with contextlib.suppress(FileExistsError):
                    route.send([message])
        self._chains = chains(self._nft, TABLE)
        inherited = bool(self._chains)
        # Also with a changed plan: what is emptied is then filled again as a whole.
        self._take_for_unknown()
        self._inherited = self._inherited if inherited else ()
        messages = [] if inherited else list(self._table())
        messages.append(nft.flush(TABLE, "places"))
        places = [
            (struct.pack("=I", FIRST_INDEX + self._place(node)) + _packed(node.address), b"")
            for node in self._plan.nodes
        ]
        self._nft.commit([*messages, *nft.add(TABLE, "places", places)])
        self._chains = chains(self._nft, TABLE)
        return inherited

    def _table(self) -> Iterable[bytes]:
        yield nft.table(TABLE)
        for number, wanted in enumerate(_SETS, 1):
            yield nft.new_set(TABLE, wanted, number)
        yield nft.chain(TABLE, "guard", "filter", "prerouting", -300)
        yield nft.chain(TABLE, "redirect", "nat", "prerouting", -100)
        yield nft.chain(TABLE, "far", "nat", "output", -100)
        yield nft.chain(TABLE, "near", "nat", "postrouting", 100)
        yield nft.chain(TABLE, "cut", "filter", "postrouting", 150)
        yield nft.chain(TABLE, "audit", "filter", "forward", 0)
        yield from self._guard()
        pair = (nft.source(0), nft.destination(1))
        tcp = (nft.meta(0, nft.PROTOCOL), nft.compare(0, _TCP))
        to_p2p = (nft.destination(0), nft.target_port(1), nft.within("p2p"))
        yield nft.rule(TABLE, "redirect", *tcp, *to_p2p, *pair, nft.count("connections"))
        yield nft.rule(
            TABLE,
            "redirect",
            *tcp,
            *pair,
            nft.target_port(2),
            nft.look_up("links"),
            nft.translate("dnat", port=True),
        )
        yield nft.rule(
            TABLE,
            "far",
            nft.payload(0, 1, 16, 1),
            nft.compare(0, _CODES.network_address.packed[:1]),
            *tcp,
            nft.target_port(0),
            nft.look_up("endpoints"),
            nft.translate("dnat", port=True),
        )
        yield nft.rule(
            TABLE,
            "near",
            nft.conntrack(0, nft.ORIGINAL_TARGET, original=True),
            nft.look_up("sources"),
            nft.translate("snat", port=False),
        )
        yield from self._last()
        # A late packet of a connection that is over belongs to nothing; it goes nowhere, and proves nothing.
        invalid = (nft.conntrack(0, nft.STATE), nft.mask(0, _INVALID), nft.compare(0, bytes(4), 1))
        yield nft.rule(TABLE, "audit", *tcp, *invalid, nft.drop())
        yield nft.rule(TABLE, "audit", *tcp, *to_p2p, *pair, nft.count("bypassed"), nft.drop())

    def _guard(self) -> Iterable[bytes]:
        pair = (nft.source(0), nft.destination(1))
        from_node = (nft.interface(0), nft.compare(0, struct.pack(">I", FIRST_INDEX), 5))
        known = (nft.meta(0, nft.INCOMING), nft.source(1), nft.within("places", inverted=True))
        yield nft.rule(TABLE, "guard", *from_node, *known, *pair, nft.count("spoofed"), nft.drop())
        for ours in (_CODES, _RELAYS):
            first = (nft.payload(0, 1, 16, 1), nft.compare(0, ours.network_address.packed[:1]))
            yield nft.rule(TABLE, "guard", *from_node, *first, nft.drop())
        # Only what stays in the net: with a way out, any address of the internet would have its counter.
        inside = (nft.destination(0), nft.mask(0, self._subnet.netmask.packed))
        stays = (*inside, nft.compare(0, self._subnet.network_address.packed))
        yield nft.rule(TABLE, "guard", *from_node, *stays, *pair, nft.count("carried"))
        yield nft.rule(TABLE, "guard", *pair, nft.follow("conditions"))
        tcp = (nft.meta(0, nft.PROTOCOL), nft.compare(0, _TCP))
        endpoint = (nft.destination(0), nft.target_port(1))
        yield nft.rule(TABLE, "guard", *tcp, *endpoint, nft.within("p2p"), *pair, nft.count("controlled"))
        opening = (nft.payload(0, 2, 13, 1), nft.mask(0, _SYN_ACK), nft.compare(0, _SYN))
        yield nft.rule(
            TABLE,
            "guard",
            *tcp,
            *opening,
            *endpoint,
            nft.within("p2p"),
            nft.within("listening", inverted=True),
            nft.reset(),
        )

    def _last(self) -> Iterable[bytes]:
        pair = (nft.source(0), nft.destination(1))
        yield nft.rule(TABLE, "cut", *pair, nft.follow("cuts"))
        yield nft.rule(TABLE, "cut", *pair, nft.look_up("classes"), nft.set_priority())

    def control(
        self, endpoints: Iterable[Endpoint], listeners: Mapping[tuple[str, Endpoint], tuple[str, int]]
    ) -> None:
        """Lead links through relays: by source address and endpoint, where the listener is. Whatever was before goes.

        `endpoints` are all p2p ports of the plan in its order, which is what `code` counts by.
        """
        numbered = list(enumerate(endpoints, _FIRST_CODE_PORT))
        links = [
            (_packed(source) + _key(endpoint), nft.value(_key(listener)))
            for (source, endpoint), listener in listeners.items()
        ]
        sources = [
            (_CODES[self._place(node)].packed, nft.value(_packed(node.address))) for node in self._plan.nodes
        ]
        there = {endpoint for _, endpoint in numbered}
        self._listening &= there
        self._nft.commit(
            [
                *(nft.flush(TABLE, name) for name in ("p2p", "links", "endpoints", "sources", "listening")),
                *nft.add(TABLE, "p2p", ((_key(endpoint), b"") for _, endpoint in numbered)),
                *nft.add(
                    TABLE,
                    "endpoints",
                    ((nft.port_number(number), nft.value(_key(endpoint))) for number, endpoint in numbered),
                ),
                *nft.add(TABLE, "sources", sources),
                *nft.add(TABLE, "links", links),
                *nft.add(TABLE, "listening", ((_key(endpoint), b"") for endpoint in self._listening)),
            ]
        )

    def lead(self, source: Node, endpoint: Endpoint, number: int, listener: Endpoint) -> None:
        """Lead what a node opens to one more endpoint through a listener, until `unlead` or `control`; `number` is
        what its `code` counts by."""
        self._nft.commit(
            [
                *nft.add(
                    TABLE,
                    "endpoints",
                    [(nft.port_number(_FIRST_CODE_PORT + number), nft.value(_key(endpoint)))],
                ),
                *nft.add(
                    TABLE, "links", [(_packed(source.address) + _key(endpoint), nft.value(_key(listener)))]
                ),
            ]
        )

    def redirect(self, listeners: Mapping[tuple[str, Endpoint], Endpoint]) -> None:
        """Lead what is opened from now on, by source address and endpoint, through other listeners; all at one moment.

        What is open stays where it is: the kernel translates a connection as it did its first packet.
        """
        links = {_packed(source) + _key(end): _key(listener) for (source, end), listener in listeners.items()}
        self._nft.commit(
            [
                *nft.remove(TABLE, "links", links),
                *nft.add(TABLE, "links", ((key, nft.value(to)) for key, to in links.items())),
            ]
        )

    def unlead(self, source: Node, endpoint: Endpoint, number: int) -> None:
        """Take back `lead`; what `control` has taken back already is fine."""
        with contextlib.suppress(FileNotFoundError):
            self._nft.commit(
                [
                    *nft.remove(TABLE, "endpoints", [nft.port_number(_FIRST_CODE_PORT + number)]),
                    *nft.remove(TABLE, "links", [_packed(source.address) + _key(endpoint)]),
                ]
            )

    def assume_listening(self, endpoints: Iterable[Endpoint]) -> None:
        """Say who listens before `control` is called the first time."""
        self._listening |= set(endpoints)

    def listen(self, endpoints: Iterable[Endpoint], *, listening: bool) -> None:
        """Say that these endpoints accept connections from now on, or that nobody listens there any more."""
        changed = set(endpoints) - self._listening if listening else set(endpoints) & self._listening
        keys = [_key(endpoint) for endpoint in changed]
        if listening:
            self._nft.commit(nft.add(TABLE, "listening", ((key, b"") for key in keys)))
            self._listening |= changed
        else:
            self._nft.commit(nft.remove(TABLE, "listening", keys))
            self._listening -= changed

    def condition(self, wanted: Mapping[Pair, Packet], classes: Mapping[Pair, int]) -> None:
        """Put packet faults on these pairs of addresses, and on no others: all of them at one moment, or none.

        `classes` says into which queue the packets of a pair go.
        """
        try:
            self._condition(wanted, classes)
        except FileNotFoundError:
            # Somebody else has removed what was to go: without this, nothing could be healed.
            self._take_for_unknown()
            self._condition(wanted, classes)

    def _take_for_unknown(self) -> None:
        """Have the next transaction empty the maps of packet faults, and fill them again as a whole."""
        self._inherited = ("conditions", "cuts", "classes")
        self._conditions, self._cuts, self._classes = {}, set(), {}

    def _condition(self, wanted: Mapping[Pair, Packet], classes: Mapping[Pair, int]) -> None:
        conditions = {pair: way for pair, packet in wanted.items() if (way := way_of(packet))}
        cuts = {pair for pair, way in conditions.items() if way == CUT}
        made = set(conditions.values()) | ({CUT} if cuts else set())
        fresh = made - self._chains
        gone = [pair for pair, way in self._conditions.items() if conditions.get(pair) != way]
        come = [(pair, way) for pair, way in conditions.items() if self._conditions.get(pair) != way]
        self._nft.commit(
            [
                *(nft.flush(TABLE, name) for name in self._inherited),
                *(
                    message
                    for name in sorted(fresh)
                    for message in chain(name, _share(name, wanted, conditions))
                ),
                *nft.remove(TABLE, "conditions", map(pair_key, gone)),
                *nft.add(TABLE, "conditions", ((pair_key(pair), nft.jump(way)) for pair, way in come)),
                *nft.remove(TABLE, "classes", map(pair_key, self._classes.keys() - classes.keys())),
                *nft.add(
                    TABLE,
                    "classes",
                    (
                        (pair_key(pair), nft.value(struct.pack("=I", number)))
                        for pair, number in classes.items()
                        if pair not in self._classes
                    ),
                ),
                *nft.remove(TABLE, "cuts", map(pair_key, self._cuts - cuts)),
                *nft.add(TABLE, "cuts", ((pair_key(pair), nft.jump(CUT)) for pair in cuts - self._cuts)),
            ]
        )
        self._chains |= fresh
        self._conditions, self._cuts, self._classes = conditions, cuts, dict(classes)
        self._inherited = ()

    def lacking(self, wanted: Mapping[Pair, Packet], classes: Mapping[Pair, int]) -> dict[Pair, Lack]:
        """Return, for these pairs of addresses, what is not there of what `condition` should have put in place."""
        there = Ruled(self._nft, {"guard": len(list(self._guard())), "cut": len(list(self._last()))})
        return {pair: there.lack(pair, packet, classes.get(pair, 0)) for pair, packet in wanted.items()}

    def counts(self) -> dict[Pair, Count]:
        """Return what links have carried, by addresses; those that carried nothing are left out."""
        found: dict[Pair, Count] = {}
        for name in COUNTERS:
            for key, counter in counters(self._nft, TABLE, name).items():
                pair = socket.inet_ntoa(key[:4]), socket.inet_ntoa(key[4:])
                count = found.setdefault(pair, Count())
                setattr(count, name, counter.packets)
                if name == "carried":
                    count.bytes = counter.bytes
        return found

    def of_others(self) -> int:
        """Return how often anybody else has changed rules here since this was made."""
        return self._nft.of_others()

    def close(self) -> None:
        """Close the socket; the rules stay."""
        self._nft.close()


def _packed(address: str) -> bytes:
    return socket.inet_aton(address)


def _key(endpoint: Endpoint) -> bytes:
    return _packed(endpoint[0]) + nft.port_number(endpoint[1])


def _share(name: str, wanted: Mapping[Pair, Packet], ways: Mapping[Pair, str]) -> float:
    return next(packet.drop for pair, packet in wanted.items() if ways.get(pair) == name)
