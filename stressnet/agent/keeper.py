"""Which faults are on: adds them, ends them in time, and after a restart of the agent goes on where it was.

What holds on every link and node is always computed anew from the list of faults, and then put in place of what
was. So healing one leaves exactly the others, in whatever order they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stressnet.agent.admission import Admission, FaultRefused
from stressnet.agent.complaints import complain
from stressnet.agent.hooks import Hooks
from stressnet.agent.interposition import Counts, Interposition
from stressnet.agent.journal import Note
from stressnet.agent.kept import Kept, State, read, write
from stressnet.agent.lastlook import LastLook
from stressnet.agent.nodefaults import NodeFaults
from stressnet.faults.compose import Incompatible, packets, toxics
from stressnet.faults.expect import Holding
from stressnet.faults.fault import Fault
from stressnet.faults.figure import Figure
from stressnet.plan import Plan

_FILE = "faults.json"
_RETRY_S = 0.5


class NoSuchFault(LookupError):
    """No fault of this id is on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Keeper:
    """Keeps the faults of one net."""

    def __init__(
        self, plan: Plan, directory: Path, links: Interposition, nodes: NodeFaults, hooks: Hooks, note: Note
    ) -> None:
        self._path = directory / _FILE
        self._links = links
        self._nodes = nodes
        self._hooks = hooks
        self._admission = Admission(plan, links, nodes, hooks)
        self._last_look = LastLook(links, nodes, hooks, self._admission.layer)
        self._note = note
        self._lock = asyncio.Lock()
        self._changed = asyncio.Event()
        self._kept: list[Kept] = []
        self.holding = Holding()
        """All that is on links."""
        self.counted: Counts = {}
        """What links had counted when that began."""
        self.moved = asyncio.Event()
        """Set whenever that has changed; whoever waits for it clears it."""
        self._next = 1
        self._behind = False
        """Whether the file says less than is so, because it could not be written."""
        self.replan(plan)

    def replan(self, plan: Plan) -> None:
        """Go on with a changed plan; `settle` brings links and nodes in line with it."""
        self._plan = plan
        self._admission.replan(plan)

    async def start(self) -> None:
        """Take up the faults that an earlier agent had on, and end what nobody asked for or has run out."""
        self._next, self._kept = read(self._path)
        if self._links.problem and not any(kept.on for kept in self._kept):
            return
        self._next = max(self._next, await self._links.adopt() + 1)
        self._hooks.adopt(fault for fault in self.on() if self._admission.layer(fault) == "protocol")
        await self.settle()

    async def settle(self) -> None:
        """Put in place what the faults that are on amount to."""
        async with self._lock:
            await self._apply(self.on())
            self.moved.set()

    def on(self) -> list[Fault]:
        """Return the faults that are on."""
        return [kept.fault for kept in self._kept if kept.on]

    @property
    def changing(self) -> bool:
        """Whether faults are just being put on or taken off: relays may have the one and not yet the other."""
        return self._lock.locked()

    async def add(self, faults: Sequence[Fault], lease_s: float = 0.0) -> tuple[list[str], list[str]]:
        """Put faults on, all or none; return their ids, and what there is to say about how they are done.

        With a lease they end after so many seconds unless `renew` comes before: whoever asked may die meanwhile.
        FaultRefused says why not.
        """
        async with self._lock:
            done, notes = await self._admission.admit(faults, self.on())
            named = [replace(fault, id=f"f{self._next + place}") for place, fault in enumerate(done)]
            self._next += len(named)  # also where it fails: relays may have listeners named after these
            before = self.on()
            momentary = [fault for fault in named if self._admission.kinds[fault.kind].momentary]
            try:
                await self._apply([*before, *(fault for fault in named if fault not in momentary)])
                self._check_taken(named)
                for fault in momentary:
                    await self._nodes.restart(fault)
            except (Incompatible, OSError) as error:
                if not isinstance(error, Incompatible):
                    await self._apply(before)
                raise FaultRefused(str(error)) from error
            now = time.time()
            kept = [Kept.begun(fault, now, self.counted, lease_s) for fault in named]
            for one in kept:
                if one.fault in momentary:
                    one.is_over("ended", now)
            await self._remember(kept, before)
            self.moved.set()
        for fault in named:
            self._note("fault on", **{**fault.to_raw(), "lease_s": lease_s})
        self._changed.set()
        return [fault.id for fault in named], notes

    async def _remember(self, fresh: Sequence[Kept], before: list[Fault]) -> None:
        """Write new faults down, or take them off again: what is not in the file would not outlive the agent."""
        was = list(self._kept)
        self._kept += fresh
        try:
            self._write()
        except OSError as error:
            self._kept = was
            await self._apply(before)
            raise FaultRefused(f"it cannot be written down: {error.strerror}") from error

    async def renew(self, ids: Sequence[str], lease_s: float) -> None:
        """Let faults with a lease go on for so many seconds from now. NoSuchFault for one that is not on."""
        async with self._lock:
            on = {kept.fault.id: kept for kept in self._kept if kept.on}
            for unknown in [one for one in ids if one not in on]:
                raise NoSuchFault(unknown)
            for one in ids:
                on[one].lease_ends_at = time.time() + lease_s
            self._write()
        self._changed.set()

    def _check_taken(self, faults: Iterable[Fault]) -> None:
        """OSError where a node has not taken one of these on."""
        failed = [f"{node}: {why}" for fault in faults for node, why in self._failures(fault).items()]
        if failed:
            raise OSError("; ".join(failed[:3]) + (f" and {len(failed) - 3} more" if failed[3:] else ""))

    def _failures(self, fault: Fault) -> dict[str, str]:
        return self._nodes.clocks.failures(fault) if fault.kind == "clock" else self._hooks.failures(fault)

    async def heal(self, ids: Sequence[str], state: State = "healed") -> list[str]:
        """Take faults off; return which. NoSuchFault for one that is not on, and then nothing is healed."""
        async with self._lock:
            on = {fault.id for fault in self.on()}
            for unknown in [one for one in ids if one not in on]:
                raise NoSuchFault(unknown)
            return await self._heal(set(ids), state)

    async def heal_all(self) -> list[str]:
        """Take off everything that is on."""
        async with self._lock:
            return await self._heal({fault.id for fault in self.on()}, "healed")

    async def _look_at(self, gone: set[str]) -> None:
        """See what is there of faults that are about to be taken off; only the first time, for what an attempt that
        failed has left of them says nothing."""
        fresh = [kept for kept in self._kept if kept.fault.id in gone and not kept.at_heal]
        found = await self._last_look.at([kept.fault for kept in fresh], self.holding)
        for kept in fresh:
            kept.at_heal = found[kept.fault.id].to_raw()

    async def _heal(self, gone: set[str], state: State) -> list[str]:
        await self._look_at(gone)
        await self._apply([fault for fault in self.on() if fault.id not in gone])
        by = {kept.fault.id: kept.ended_by for kept in self._kept if state == "ended"}
        for kept in self._kept:
            if kept.fault.id in gone:
                kept.is_over(state, time.time(), self._hits(kept, self.counted))
        try:
            self._write()
        except OSError as error:  # a full disk keeps nothing from being healed
            complain(f"what was healed is not written down yet: {error}")
            self._behind = True
            self._changed.set()
        self.moved.set()
        for one in sorted(gone):
            self._note(f"fault {state}", id=one, **({"by": by[one]} if one in by else {}))
        return sorted(gone, key=lambda name: int(name[1:]))

    def kept(self) -> list[Kept]:
        """Return the faults that are on, and the latest that were, in the order they came."""
        return list(self._kept)

    def measured(self, kept: Kept, achieved: dict[str, Any], state: State) -> None:
        """Keep what a fault was found to achieve, and what that makes of it."""
        kept.achieved, kept.state = achieved, state
        with contextlib.suppress(
            OSError
        ):  # a full disk: it is measured again, and the fault stands in the file
            self._write()

    def listed(self, first: int = 0) -> list[dict[str, Any]]:
        """Return the faults that are on, and the latest that were from this number on, in the order they came."""
        counted = self._links.counted()
        wanted = [kept for kept in self._kept if kept.on or kept.fault.number >= first]
        for kept in wanted:
            if kept.on:
                kept.hits = self._hits(kept, counted)
            if self._admission.layer(kept.fault) == "protocol":
                self._ask_hooks(kept)
            if kept.fault.kind == "clock":
                self._ask_clocks(kept)
        return [kept.to_raw() for kept in wanted]

    def _ask_hooks(self, kept: Kept) -> None:
        """Say how many nodes do what a declared fault asks, and why the others do not."""
        failures = self._hooks.failures(kept.fault)
        have, of = self._hooks.holders(kept.fault), len(kept.fault.nodes)
        if kept.on:
            kept.state = "failed" if failures else "on"
            taken = Figure("taken by nodes", "count", of, have, of, of, of)
            kept.achieved = {"figures": [taken.to_raw()], "failed": failures}
        else:
            kept.achieved = {"failed": failures} if failures else {}

    def _ask_clocks(self, kept: Kept) -> None:
        """Say what the clocks of its nodes are, until they are known to be right again after it."""
        after = kept.achieved.get("after")
        if not kept.on and after and not after["failed"] and all(one["holds"] for one in after["figures"]):
            return
        found = self._nodes.clocks.achieved(kept.fault)
        if kept.on:
            holds = not found["failed"] and all(one["holds"] for one in found["figures"])
            kept.achieved, kept.state = found, "on" if holds else "not achieved"
        else:
            kept.achieved = {**kept.achieved, "after": found}

    async def run(self) -> None:
        """End faults when their time has come, until cancelled."""
        while True:
            pause: float | None
            try:
                async with self._lock:
                    due = {kept.fault.id for kept in self._kept if kept.on and 0 < kept.end <= time.time()}
                    if due:
                        await self._heal(due, "ended")
                    elif self._behind:
                        self._write()
            except OSError as error:  # a relay that is just being restarted, a disk that is still full
                if due:
                    complain(f"faults cannot be ended yet: {error}")
                pause = _RETRY_S
            else:
                ends = [kept.end for kept in self._kept if kept.on and kept.end]
                pause = max(0.0, min(ends) - time.time()) if ends else None
                pause = min(pause or _RETRY_S, _RETRY_S) if self._behind else pause
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                continue

    async def _apply(self, faults: list[Fault]) -> None:
        everything = [*region_faults(self._plan, by_packets=not self._links.lacks.get("netem")), *faults]
        there = {node.name for node in self._plan.nodes}
        of_links = [
            _within(fault, there)
            for fault in everything
            if self._admission.layer(fault) in ("packet", "stream")
        ]
        on_packets, on_streams = packets(of_links), toxics(of_links)
        if not self._links.streams_problem:
            await self._links.relays.hold(on_streams)
        if not self._links.problem:
            self._links.condition(on_packets)
        self.holding, self.counted = Holding(on_packets, on_streams), self._links.counted()
        of_nodes = [fault for fault in faults if self._admission.layer(fault) == "node"]
        await self._nodes.hold(of_nodes, [node.name for node in self._plan.nodes])
        await self._hooks.hold([fault for fault in faults if self._admission.layer(fault) == "protocol"])

    def _hits(self, kept: Kept, counted: Counts) -> int:
        what = "dropped" if self._admission.layer(kept.fault) == "packet" else "connections"
        hits = 0
        for link in kept.fault.links:
            if link in counted:
                before = kept.before.get(link)
                hits += getattr(counted[link], what) - (getattr(before, what) if before else 0)
        return hits

    def _write(self) -> None:
        self._kept = write(self._path, self._next, self._kept)
        self._behind = False


def region_faults(plan: Plan, *, by_packets: bool) -> list[Fault]:
    """Return the latencies between regions as faults that never end: on packets, else on streams."""
    members: dict[str, list[str]] = {}
    for node in plan.nodes:
        if node.region:
            members.setdefault(node.region, []).append(node.name)
    return [
        Fault(
            id=f"{latency.source}-{latency.target}",
            kind="delay" if by_packets else "latency",
            parameters={"delay" if by_packets else "latency": latency.delay_s, "jitter": latency.jitter_s},
            links=tuple(
                (source, target)
                for source in members.get(latency.source, ())
                for target in members.get(latency.target, ())
                if source != target
            ),
        )
        for latency in plan.latencies
        if latency.delay_s
    ]


def _within(fault: Fault, there: set[str]) -> Fault:
    """A fault without the links of nodes that are no longer in the net."""
    return replace(fault, links=tuple(link for link in fault.links if there.issuperset(link)))
