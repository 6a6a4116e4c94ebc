"""What the agent measures of loss, duplicates, damage and overtaking is what netem does, and that it does not where it
was taken away."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kernel.apart import HERE, INDEX, THERE, Pair, apart
from needs import require_kernel

from stressnet.agent import kernel, netlink, qdisc
from stressnet.agent.kept import Kept, State
from stressnet.agent.measure import Meter
from stressnet.agent.traffic import Traffic
from stressnet.faults.compose import Packet, packets
from stressnet.faults.expect import Holding
from stressnet.faults.fault import Fault

FAULTS: list[tuple[str, str, dict[str, float]]] = [
    ("loss", "lost or damaged", {"probability": 0.1}),
    ("loss", "lost or damaged", {"probability": 0.2, "correlation": 0.5}),
    ("duplicate", "arrived twice", {"probability": 0.05}),
    ("corrupt", "arrived damaged", {"probability": 0.2}),
    ("reorder", "overtook", {"probability": 0.15, "delay": 0.03}),
]
AT = {"a": HERE, "b": THERE}


@pytest.fixture(autouse=True)
def _emulator() -> None:
    missing = apart(lambda pair: None)
    require_kernel(f"netem ({missing})", missing is None)


class Link:
    """Faults on the link from `a` to `b`, put into the kernel and measured by what does so in the agent.

    It stands for the keeper and the supervisor of a net, whose router needs nft tables of IPv4: the kernel of
    scripts/vm has none. What the router's rule would do, sockets do: they say which class their packets go into.
    """

    def __init__(self, pair: Pair) -> None:
        self._networks = pair.networks
        self._traffic = Traffic(lambda address: INDEX)
        self._traffic.adopt({THERE: None})
        self._class = 0
        self._faults: list[Kept] = []
        self.moved, self.changing = asyncio.Event(), False
        self.holding, self.counted = Holding(), dict[Any, Any]()
        nodes = {name: SimpleNamespace(name=name, address=address) for name, address in AT.items()}
        self.plan = SimpleNamespace(seed=1, node=nodes.__getitem__)
        self.observed = dict.fromkeys(AT, SimpleNamespace(pid=1))

    def put(self, kind: str, **given: float) -> Kept:
        name = f"f{len(self._faults) + 1}"
        self._faults.append(Kept(Fault(name, kind, given, (("a", "b"),)), "on", time.time()))
        self._apply()
        return self._faults[-1]

    def heal(self, kept: Kept) -> None:
        kept.state = "healed"
        self._apply()

    def close(self) -> None:
        self._traffic.close()

    def _apply(self) -> None:
        self.holding = Holding(packets(kept.fault for kept in self._faults if kept.on))
        wanted = {
            (AT[source], AT[target]): packet for (source, target), packet in self.holding.packets.items()
        }
        self._class = self._traffic.put(wanted).get((HERE, THERE), 0)
        self._traffic.clear(wanted)
        self.moved.set()

    def kept(self) -> list[Kept]:
        return self._faults

    def measured(self, kept: Kept, achieved: dict[str, Any], state: State) -> None:
        kept.achieved, kept.state = achieved, state

    def inside(self, name: str, work: Callable[[], socket.socket]) -> socket.socket:
        here, there = self._networks
        with kernel.inside_network(here if name == "a" else there, here):
            made = work()
        if name == "a":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, self._class)
        return made


def measure(story: Callable[[Link], Awaitable[None]]) -> None:
    """Run a story while faults are measured; where measuring ends, so does the story."""

    async def run(pair: Pair) -> None:
        link: Any = Link(pair)
        try:
            async with asyncio.TaskGroup() as group:
                meter = group.create_task(Meter(link, link, link, link, link, lambda *_, **__: None).run())
                await story(link)
                meter.cancel()
        finally:
            link.close()

    apart(lambda pair: asyncio.run(run(pair)))


async def until(question: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := question()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)
    return answer


async def figure(kept: Kept, state: State, *, since: float = 0.0) -> dict[str, Any]:
    """Wait until a fault was measured after this moment and is in this state; return the figure."""

    def found() -> Any:
        there = kept.achieved.get("after") if state == "healed" else kept.achieved
        return there if there and there["at"] > since and kept.state == state else None

    achieved = await until(found)
    assert achieved["figures"], achieved["not_measured"]
    return dict(achieved["figures"][0])


@pytest.mark.parametrize(("kind", "name", "given"), FAULTS)
def test_a_fault_that_is_there_holds_and_one_that_is_not_does_not(
    kind: str, name: str, given: dict[str, float]
) -> None:
    """Its queue is deleted behind the agent's back, and it is not achieved; healed, it is gone."""

    async def story(link: Link) -> None:
        fault = link.put(kind, **given)
        there = await figure(fault, "on")
        print("there:", there)
        assert (there["name"], there["holds"]) == (name, True)
        assert there["asked"] == pytest.approx(given["probability"], rel=0.05)
        with netlink.Route() as route:
            route.send([qdisc.remove_tree(INDEX)])
        taken = await figure(fault, "not achieved", since=time.time() + 1)
        print("taken away:", taken)
        assert (taken["found"], taken["holds"]) == (0.0, False)
        link.heal(fault)
        gone = await figure(fault, "healed")
        assert (gone["asked"], gone["found"], gone["holds"]) == (0.0, 0.0, True)

    measure(story)


def test_another_share_than_asked_is_not_achieved() -> None:
    """A third of the duplicates; and when they are what was asked again, it is on again."""

    async def story(link: Link) -> None:
        fault = link.put("duplicate", probability=0.2)
        assert (await figure(fault, "on"))["holds"]
        with netlink.Route() as route:
            route.send([qdisc.emulate(INDEX, 1, Packet(duplicate=0.067))])
            print("a third:", await figure(fault, "not achieved"))
            route.send([qdisc.emulate(INDEX, 1, Packet(duplicate=0.2))])
            await figure(fault, "on", since=time.time())

    measure(story)


def test_a_fault_that_is_left_over_is_not_gone() -> None:
    """What somebody else has put on the link stays when the fault is healed."""

    async def story(link: Link) -> None:
        fault, other = link.put("corrupt", probability=0.1), link.put("duplicate", probability=0.05)
        await figure(fault, "on")
        with netlink.Route() as route:
            link.heal(fault)
            route.send([qdisc.emulate(INDEX, 1, Packet(corrupt=0.1, duplicate=0.05))])
            left = await figure(fault, "healed")
        print("left over:", left)
        assert (left["asked"], left["holds"]) == (0.0, False)
        assert other.on

    measure(story)


def test_faults_on_one_link_are_measured_together_and_end_one_by_one() -> None:
    """Each is compared with what all of them amount to; of one that is healed nothing is left."""

    async def story(link: Link) -> None:
        together = [one for one in FAULTS if "correlation" not in one[2]]  # of which a link has one
        faults = {kind: link.put(kind, **given) for kind, _, given in together}
        all_on = time.time()
        for fault in faults.values():
            print("together:", await figure(fault, "on", since=all_on))
        assert faults["loss"].achieved["figures"][0]["asked"] == pytest.approx(0.268, abs=2e-3)
        for fault in reversed(faults.values()):
            link.heal(fault)
            gone = await figure(fault, "healed")
            assert (gone["asked"], gone["found"]) == (0.0, 0.0), fault.fault.kind

    measure(story)
