"""Which faults may be put on now, and in which form: what cannot be done here is refused before anything is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from stressnet.agent.hooks import Hooks
from stressnet.agent.interposition import Interposition
from stressnet.agent.nodefaults import NodeFaults
from stressnet.faults.declared import with_declared
from stressnet.faults.fallback import by_relay
from stressnet.faults.fault import Fault
from stressnet.faults.kind import FaultKind, Layer
from stressnet.plan import Plan, shorten


class FaultRefused(ValueError):
    """The fault cannot be done here, or not with those that are on; nothing of it was applied."""


class Admission:
    """Says what may be put on in one net."""

    def __init__(self, plan: Plan, links: Interposition, nodes: NodeFaults, hooks: Hooks) -> None:
        self._links = links
        self._nodes = nodes
        self._hooks = hooks
        self.kinds: dict[str, FaultKind] = {}
        self.replan(plan)

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; kinds of fault that were declared stay known, for faults that are on."""
        self._plan = plan
        self.kinds |= with_declared(plan.faults)

    async def admit(self, faults: Sequence[Fault], on: Sequence[Fault]) -> tuple[list[Fault], list[str]]:
        """Return these faults as they can be done beside those that are on, and what there is to say about it.

        FaultRefused says why one cannot be.
        """
        self._check(faults, on)
        for fault in faults:
            if why := await self._nodes.problem(fault):
                raise FaultRefused(f"{fault.kind} cannot be done here: {why}")
        return self._as_possible(faults)

    def _check(self, faults: Sequence[Fault], on: Sequence[Fault]) -> None:
        known = {node.name for node in self._plan.nodes}
        for place, fault in enumerate(faults):
            kind = self.kinds.get(fault.kind)
            if kind is None:
                raise FaultRefused(f"this agent knows no fault {fault.kind!r}")
            if kind.layer == "packet" and self._links.problem:
                raise FaultRefused(f"links are not under control: {self._links.problem}")
            if kind.layer == "stream" and self._links.streams_problem:
                raise FaultRefused(f"streams are not under control: {self._links.streams_problem}")
            for name in {*fault.nodes, *(name for link in fault.links for name in link)} - known:
                raise FaultRefused(f"the net has no node {name!r}")
            if kind.layer == "protocol":
                self._check_declared(fault, [*on, *faults[:place]])
            if kind.name == "restart":
                self._check_alive(fault, [*on, *faults[:place]])

    def _check_declared(self, fault: Fault, others: Iterable[Fault]) -> None:
        """FaultRefused where nodes do not know a fault, or have one of its kind: a node has one of each."""
        if lacking := self._hooks.lacking(fault):
            raise FaultRefused(f"the kind of {shorten(lacking)} declares no fault {fault.kind!r}")
        for other in others:
            both = [name for name in fault.nodes if name in other.nodes and fault.kind == other.kind]
            if both:
                which = (
                    f"{other.id} ({other.asked or other.kind})" if other.id else "another that is to be added"
                )
                raise FaultRefused(f"{shorten(both)}: {fault.kind} is on already, by {which}")

    def _check_alive(self, restart: Fault, others: Iterable[Fault]) -> None:
        """FaultRefused where a node is to stay dead: to start it would end what another fault asks for."""
        for other in others:
            both = [name for name in restart.nodes if name in other.nodes and other.kind == "kill"]
            if both:
                raise FaultRefused(
                    f"{shorten(both)}: killed by {other.id or 'another'}, until that is healed"
                )

    def _as_possible(self, faults: Iterable[Fault]) -> tuple[list[Fault], list[str]]:
        """What this kernel cannot do, as the relay can; with the words that say so."""
        done, notes = [], []
        for fault in faults:
            needs = self.kinds[fault.kind].needs
            if self._links.lacks.get(needs):
                if self._links.streams_problem or needs == "tc":
                    raise FaultRefused(f"{fault.kind} needs {needs}: {self._links.lacks[needs]}")
                try:
                    fault = by_relay(fault)
                except ValueError as error:
                    raise FaultRefused(str(error)) from error
                notes.append("there is no netem here: the relays delay streams instead; UDP is not delayed")
            if self.layer(fault) == "stream":
                notes += self._untouched(fault)
            if fault.kind == "memory":
                notes += self._uncounted(fault)
            if self.layer(fault) == "protocol" and (later := self._hooks.later(fault)):
                notes.append(f"{shorten(later)}: as soon as ready")
            done.append(fault)
        return done, notes

    def _untouched(self, fault: Fault) -> list[str]:
        """Say what a fault on streams does not reach; FaultRefused where it would reach nothing."""
        talkers = {name for link in fault.links for name in link}
        deaf = sorted(name for name in talkers if not self._plan.node(name).p2p_ports())
        for source, target in fault.links:
            if source in deaf and target in deaf:
                raise FaultRefused(
                    f"neither {source} nor {target} has a TCP port called p2p, so no stream goes between"
                )
        datagrams = sorted(name for name in talkers if self._plan.node(name).p2p_ports("udp"))
        if not datagrams:
            return []
        return [
            f"{shorten(datagrams)} also talk by UDP, which faults on streams do not touch; those on packets do"
        ]

    def _uncounted(self, fault: Fault) -> list[str]:
        """Say whose memory is not all counted: control groups count what is allocated by who is in them."""
        if self._plan.backend != "netns":
            return []
        free = [name for name in fault.nodes if not self._plan.node(name).memory]
        told = f"{shorten(free)} began without a limit of memory: what is in use there already is not counted"
        return [f"{told} until the next start"] if free else []

    def layer(self, fault: Fault) -> Layer:
        """Return the layer of a fault. Only faults that a kind declared can have left the plan together with it."""
        kind = self.kinds.get(fault.kind)
        return kind.layer if kind else "protocol"
