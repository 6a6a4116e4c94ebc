"""What faults achieve: measured when one goes on, again and again while it is on, and when it is over.

A figure is measured or there is none: where nodes do not run, or another fault is in the way, the reason is kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import random
import time
from collections.abc import Sequence
from typing import Any

from stressnet.agent.datagramfigures import treated
from stressnet.agent.datagramprobe import SILENCE_S, datagrams, numbered
from stressnet.agent.disks import Disks
from stressnet.agent.interposition import Counts, Interposition, Name
from stressnet.agent.journal import Note
from stressnet.agent.keeper import Keeper
from stressnet.agent.kept import Kept
from stressnet.agent.linkfigures import WORK, NotMeasured, Talk, in_place
from stressnet.agent.linkprobe import line
from stressnet.agent.listeners import Listener
from stressnet.agent.nodemeter import NodeMeter
from stressnet.agent.router import Count
from stressnet.agent.supervisor import Supervisor
from stressnet.faults.arrivals import Arrivals
from stressnet.faults.compose import Packet
from stressnet.faults.expect import MEASURES, Holding
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure, share_of
from stressnet.faults.kinds import KINDS
from stressnet.faults.row import Row

_EVERY_S = 5.0
_SOONEST_S = 1.0
"""Until it is that old, a fault is measured again when it has been on for twice as long as the last time: whenever it
ends, it was measured in the second half of its time, or a second before."""
_REST_S = 0.5
"""Between two faults, so that many of them take no more of a core than a few."""
_SAMPLE = 8
"""Links of one fault that are probed at the most."""
_AT_ONCE = 4
_ATTEMPTS = 3
"""A time or a rate that is outside is measured again: a busy machine disturbs one probe, and a wrong fault all."""
_LOOKS_AFTER = 3
"""At a fault that is over and seems not to be gone: a busy machine is gone sooner than a wrong healing."""
_DATAGRAMS = 20
_OF_NODES = ("node", "free space")


class Meter:
    """Measures the faults of one net in turn."""

    def __init__(
        self,
        keeper: Keeper,
        links: Interposition,
        supervisor: Supervisor,
        disks: Disks,
        nodes: NodeMeter,
        note: Note,
    ) -> None:
        self._keeper = keeper
        self._links = links
        self._supervisor = supervisor
        self._disks = disks
        self._nodes = nodes
        self._note = note
        self._round = 0
        self._looked: dict[str, float] = {}
        """When each fault that is on was measured, by the monotonic clock: minus infinity before the first time."""
        self._begun: dict[str, float] = {}
        """When each of them was first seen here, by the same clock."""
        self._after: dict[str, int] = {}
        """How often each fault that is over has been looked at since, and was not found gone."""
        self._before: dict[Name, tuple[Packet, Counts]] = {}
        """What counters said when the packets of a link came to be treated as they are now."""

    async def run(self) -> None:
        """Measure whatever is due, until cancelled: nodes beside links, of which a probe may take seconds."""
        async with asyncio.TaskGroup() as group:
            for of_nodes in (False, True):
                group.create_task(self._run(of_nodes))

    async def _run(self, of_nodes: bool) -> None:
        while True:
            self._keeper.moved.clear()
            self._take_up()
            kept = self._due(of_nodes)
            if kept is None:
                await self._wait(of_nodes)
                continue
            fresh = self._looked.get(kept.fault.id) == -math.inf
            await self._measure(kept)
            await asyncio.sleep(0 if fresh else _REST_S)

    async def _wait(self, of_nodes: bool) -> None:
        next_look = min(map(self._due_at, self._here(of_nodes)), default=math.inf)
        pause = None if next_look == math.inf else max(0.0, next_look - time.monotonic())
        try:
            await asyncio.wait_for(self._keeper.moved.wait(), pause)
        except TimeoutError:
            return

    def _take_up(self) -> None:
        there = self._keeper.kept()
        for kept in there:
            if kept.on and kept.fault.kind in MEASURES:
                self._looked.setdefault(kept.fault.id, -math.inf)
                self._begun.setdefault(kept.fault.id, time.monotonic())
        for forgotten in self._looked.keys() - {kept.fault.id for kept in there}:
            del self._looked[forgotten]
            self._after.pop(forgotten, None)
        for over in self._begun.keys() - self._looked.keys():
            del self._begun[over]
        now = self._keeper.holding
        for link in self._before.keys() - now.packets.keys():
            del self._before[link]
        for link, packet in now.packets.items():
            if link not in self._before or self._before[link][0] != packet:
                self._before[link] = packet, self._keeper.counted

    def _here(self, of_nodes: bool) -> list[Kept]:
        return [
            kept
            for kept in self._keeper.kept()
            if kept.fault.id in self._looked and (MEASURES[kept.fault.kind] in _OF_NODES) == of_nodes
        ]

    def _due(self, of_nodes: bool) -> Kept | None:
        """The fault that is to be measured now: one that is over, else the one that has waited longest."""
        now = time.monotonic()
        due = [
            kept
            for kept in self._here(of_nodes)
            if self._due_at(kept) <= now or not (kept.on or kept.fault.id in self._after)
        ]
        return min(due, key=lambda kept: (kept.on, self._looked[kept.fault.id]), default=None)

    def _due_at(self, kept: Kept) -> float:
        looked = self._looked[kept.fault.id]
        if looked == -math.inf:
            return looked
        age = looked - self._begun[kept.fault.id]
        return looked + (min(_EVERY_S, max(_SOONEST_S, age)) if kept.on else _EVERY_S)

    async def _measure(self, kept: Kept) -> None:
        was_on, holding = kept.on, self._keeper.holding
        links = self._sample(kept.fault)
        first = self._looked[kept.fault.id] == -math.inf
        self._round += 1
        for left in reversed(range(_ATTEMPTS)):
            figures, reasons = await self._attempt(kept.fault, links, holding)
            moved = kept.on != was_on or not holding.same(self._keeper.holding, links)
            if moved or (self._keeper.changing and KINDS[kept.fault.kind].layer == "stream"):
                return  # something else holds by now, or is about to; it is due still
            found = _found(links, figures, reasons)
            if not left or not any(one.unit in ("duration", "rate") for one, _ in figures if not one.holds):
                break
            if was_on:  # it may be over before the next attempt is
                self._keeper.measured(kept, found, kept.state)
        self._looked[kept.fault.id] = time.monotonic()
        holds = all(figure["holds"] for figure in found["figures"])
        state = kept.state
        if was_on:
            kept_now, state = found, "on" if holds else "not achieved"
        else:
            kept_now = {**kept.achieved, "after": found}
            self._after[kept.fault.id] = self._after.get(kept.fault.id, 0) + 1
            if holds or self._after[kept.fault.id] == _LOOKS_AFTER:
                del self._looked[kept.fault.id], self._after[kept.fault.id]
        if first or not was_on or state != kept.state:
            self._note("fault measured", id=kept.fault.id, on=was_on, state=state, **found)
        self._keeper.measured(kept, kept_now, state)

    def _sample(self, fault: Fault) -> list[Name]:
        """Links that are probed: of those whose nodes run, always the same by the seed."""
        links = sorted(fault.links)
        random.Random(f"{self._supervisor.plan.seed} {fault.id}").shuffle(links)  # noqa: S311 - it is to be the same again
        return [link for link in links if all(map(self._runs, link))][:_SAMPLE]

    def _runs(self, name: str) -> bool:
        now = self._supervisor.observed.get(name)
        return bool(now and now.pid)

    async def _attempt(
        self, fault: Fault, links: Sequence[Name], holding: Holding
    ) -> tuple[list[tuple[Figure, str]], list[str]]:
        """Measure once; return figures with the link or node that each is of, and why there are none of others."""
        if MEASURES[fault.kind] == "node":
            return await self._nodes.figures(fault)
        if MEASURES[fault.kind] == "free space":
            return self._disks.figures(fault.nodes)
        limit = asyncio.Semaphore(_AT_ONCE)
        figures: list[tuple[Figure, str]] = []
        reasons: list[str] = [] if links else [self._who_is_down(fault)]
        sent = arrived = 0
        counted = MEASURES[fault.kind] in ("packets", "datagrams")

        async def probe(link: Name) -> None:
            nonlocal sent, arrived
            async with limit:
                try:
                    if counted:
                        went, came = await self._datagrams(link)
                        sent, arrived = sent + went, arrived + came
                    elif MEASURES[fault.kind] == "arrivals":
                        figures.append(
                            (await self._arrivals(fault, link, holding, len(links)), " > ".join(link))
                        )
                    else:
                        found = await self._stream(fault, link, holding)
                        figures.extend((figure, " > ".join(link)) for figure in found)
                except NotMeasured as why:
                    reasons.append(str(why))
                except (OSError, LookupError) as error:
                    reasons.append(f"the probe of {' > '.join(link)} failed: {error or type(error).__name__}")

        await asyncio.gather(*map(probe, links))
        if counted:
            try:
                figures.extend((figure, "") for figure in self._counted(fault, holding, sent, arrived))
            except NotMeasured as why:
                reasons.append(str(why))
        return figures, reasons

    def _who_is_down(self, fault: Fault) -> str:
        down = sorted({name for link in fault.links for name in link if not self._runs(name)})
        return f"{down[0]} does not run" if len(down) == 1 else f"{len(down)} nodes do not run"

    # Packets: what becomes of datagrams, and what was counted; there are datagrams so that there is something to count.

    async def _arrivals(self, fault: Fault, link: Name, holding: Holding, among: int) -> Figure:
        nodes = self._supervisor.plan.node(link[0]), self._supervisor.plan.node(link[1])
        packet = holding.packets.get(link, Packet())

        async def send(count: int, patience_s: float) -> Arrivals:
            return await numbered(self._supervisor.inside, *nodes, count, patience_s)

        return await treated(fault, packet, among, send)

    async def _datagrams(self, link: Name) -> tuple[int, int]:
        nodes = self._supervisor.plan.node(link[0]), self._supervisor.plan.node(link[1])
        delay = self._keeper.holding.packets.get(link, Packet()).delay_s
        return await datagrams(self._supervisor.inside, *nodes, _DATAGRAMS, SILENCE_S + delay)

    def _counted(self, fault: Fault, holding: Holding, sent: int, arrived: int) -> list[Figure]:
        """What became of all packets on the fault's links since they are treated as they are now."""
        now = self._links.counted()
        offered = dropped = through = 0
        expected = 0.0
        for link in fault.links:
            if link in self._before and link in now:
                packet, counted = self._before[link]
                before = counted.get(link, Count())
                came = now[link].offered - before.offered
                offered += came
                expected += came * packet.drop
                dropped += now[link].dropped - before.dropped
                through += now[link].controlled - before.controlled
        treated = [holding.packets[link] for link in fault.links if link in holding.packets]
        shut = [one for one in treated if one.reject or one.drop >= 1]
        if not sent + offered + through:
            raise NotMeasured("no packets came")
        if shut and len(shut) < len(fault.links):
            raise NotMeasured("another fault cuts some of its links")
        if shut:
            # Two witnesses that are not the rule itself: the next rule's counter, and the far end of the probes.
            return [Figure("packets passed", "count", 0.0, arrived + through, 0.0, 0.0, offered + through)]
        if any(one.drop for one in treated):
            under = Figure("packets under the rule", "count", sent, min(offered, sent), sent, None, sent)
            return [share_of("dropped", expected, dropped, offered), under] if offered else [under]
        return [Figure("packets lost", "count", 0.0, float(sent - arrived), 0.0, 0.0, sent)]

    # Streams: what becomes of a connection of ours, and what the relay says of the nodes' listeners.

    async def _stream(self, fault: Fault, link: Name, holding: Holding) -> list[Figure]:
        plan = self._supervisor.plan
        openings = [pair for pair in (link, (link[1], link[0])) if plan.node(pair[1]).p2p_ports()]
        if not openings:
            raise NotMeasured(f"neither {link[0]} nor {link[1]} has a p2p port")
        if self._links.streams_problem:
            raise NotMeasured("streams are not under control")
        of_streams = KINDS[fault.kind].layer == "stream"
        rows = await self._rows(openings)
        work = WORK.get(MEASURES[fault.kind])
        if work is None:
            return [in_place(rows, holding)] if of_streams else []
        opener, acceptor = openings[self._round % len(openings)]
        up, down = holding.ways(opener, acceptor)
        along, back = (up, down) if opener == link[0] else (down, up)
        if up.silent or down.silent:
            raise NotMeasured("another fault lets no packets pass")
        # Every toxic is to hit the probe, whatever share of connections it hits.
        row = [dataclasses.replace(one, toxicity=1.0) for one in rows[opener, acceptor][0][1] if one.toxicity]
        inside, nodes = self._supervisor.inside, (plan.node(opener), plan.node(acceptor))

        async def on_line(talk: Talk) -> Figure:
            async with line(inside, self._links.relays, *nodes, row) as made:
                return await talk(made, opener == link[0])

        found = await work(fault, along, back, on_line)
        # The line has toxics of its own, and took seconds: what counts is what the nodes' listeners have after it.
        return [found, in_place(await self._rows(openings), holding)] if of_streams else [found]

    async def _rows(self, links: Sequence[Name]) -> dict[Name, list[tuple[Listener, Row]]]:
        return {pair: await self._links.relays.rows(pair) for pair in links}


def _found(
    links: Sequence[Name], figures: Sequence[tuple[Figure, str]], reasons: Sequence[str]
) -> dict[str, Any]:
    """Return what one attempt says: of each figure the worst, or why there is none."""
    worst: dict[str, tuple[Figure, str]] = {}
    for figure, place in figures:
        if figure.name not in worst or figure.far > worst[figure.name][0].far:
            worst[figure.name] = figure, place
    return {
        "at": time.time(),
        "links": [" > ".join(link) for link in links],
        "figures": [{**figure.to_raw(), "link": place} for figure, place in worst.values()],
        "not_measured": "" if figures else "; ".join(dict.fromkeys(reasons)),
    }
