"""What is really there of faults at the moment before they are taken off: rules, queues, toxics, the state of nodes.

A probe tells what a fault does, and takes seconds; this tells whether it is in place, and takes milliseconds. So what
somebody has taken away since the last probe is found, and what was on too briefly to be probed is known to have been.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence

from stressnet.agent.hooks import Hooks
from stressnet.agent.interposition import Interposition
from stressnet.agent.linkfigures import alike
from stressnet.agent.nodefaults import NodeFaults
from stressnet.faults.compose import Link
from stressnet.faults.expect import Holding
from stressnet.faults.fault import Fault
from stressnet.faults.kind import Layer
from stressnet.faults.presence import NO_ANSWER, Presence
from stressnet.faults.row import Row

_PATIENCE_S, _EACH_S = 0.25, 0.003
"""How long healing waits for a look at the most, and how much longer for each node that the faults concern. With ten
nodes a look takes 2 to 6 ms of CPU, and on a machine with a load of 9 one of 360 took longer than 0.13 s."""
_BY_RULE = ("drop", "partition", "reject")
"""Kinds that a rule does; what the others do to packets is done in a queue."""

Found = dict[str, Presence]


class LastLook:
    """Looks at faults that are about to end."""

    def __init__(
        self, links: Interposition, nodes: NodeFaults, hooks: Hooks, layer: Callable[[Fault], Layer]
    ) -> None:
        self._links = links
        self._hooks = hooks
        self._layer = layer
        self._looks: dict[Layer, Callable[[Sequence[Fault], Holding], Awaitable[Found]]] = {
            "packet": self._packets,
            "stream": self._streams,
            "node": lambda faults, _: nodes.look(faults),
            "protocol": self._declared,
        }

    async def at(self, faults: Sequence[Fault], holding: Holding) -> Found:
        """Return what is there of each of these faults; `holding` is what all that are on amount to on links.

        What fails, or takes too long, is only not looked at.
        """
        layers: dict[Layer, list[Fault]] = {}
        for fault in faults:
            layers.setdefault(self._layer(fault), []).append(fault)
        parts = await asyncio.gather(*(self._part(layer, some, holding) for layer, some in layers.items()))
        return {name: found for part in parts for name, found in part.items()}

    async def _part(self, layer: Layer, faults: Sequence[Fault], holding: Holding) -> Found:
        nodes = {
            name
            for fault in faults
            for name in (*fault.nodes, *(end for link in fault.links for end in link))
        }
        try:
            async with asyncio.timeout(_PATIENCE_S + _EACH_S * len(nodes)):
                return await self._looks[layer](faults, holding)
        except TimeoutError:
            why = NO_ANSWER
        except Exception as error:  # whatever it is, it keeps nothing from being healed
            why = str(error) or type(error).__name__
        return {fault.id: Presence(unseen=(why,)) for fault in faults}

    async def _packets(self, faults: Sequence[Fault], holding: Holding) -> Found:
        if self._links.problem:
            raise LookupError(self._links.problem)
        links = {link for fault in faults for link in fault.links} & holding.packets.keys()
        lacks = self._links.lacking({link: holding.packets[link] for link in links})
        return {
            fault.id: Presence(
                [
                    f"{' > '.join(link)}: {words}"
                    for link in fault.links
                    if link in lacks and (words := getattr(lacks[link], _place(fault)))
                ]
            )
            for fault in faults
        }

    async def _streams(self, faults: Sequence[Fault], holding: Holding) -> Found:
        if self._links.streams_problem:
            raise LookupError(self._links.streams_problem)
        links = {pair for fault in faults for pair in _either_way(fault)}
        rows: dict[Link, list[tuple[Row, Row]]] = {}
        for listener, row in (await self._links.relays.toxics(links)).items():
            wanted = listener.row(holding.row(*listener.link))
            rows.setdefault(listener.link, []).append((wanted, row))
        return {fault.id: _toxics(fault, rows) for fault in faults}

    async def _declared(self, faults: Sequence[Fault], _: Holding) -> Found:
        return {fault.id: self._hooks.look(fault) for fault in faults}


def _place(fault: Fault) -> str:
    return "rule" if fault.kind in _BY_RULE else "queue"


def _either_way(fault: Fault) -> Iterator[Link]:
    """Yield the pairs of opener and acceptor whose connections a fault concerns."""
    for source, target in dict.fromkeys(tuple(sorted(link)) for link in fault.links):
        yield from ((source, target), (target, source))


def _toxics(fault: Fault, rows: dict[Link, list[tuple[Row, Row]]]) -> Presence:
    missing, compared = [], 0
    for link in _either_way(fault):
        for wanted, row in rows.get(link, ()):
            there = {toxic.name: toxic for toxic in row}
            for toxic in wanted:
                if toxic.name.startswith(f"{fault.id}."):
                    compared += 1
                    if toxic.name not in there or not alike(there[toxic.name], toxic):
                        missing.append(f"{' > '.join(link)}: no {toxic.type} {toxic.stream}")
    return Presence(missing, () if compared else ("nothing can be said of its links just now",))
