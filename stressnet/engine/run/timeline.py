"""Stage 4: what is done to the net, step by step, each at its time or when what it waits for has come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from stressnet.engine.faults import LEASE_S, RENEW_S, Standing, Wish
from stressnet.engine.run.net import Net
from stressnet.engine.run.waiting import Missed, wait_for
from stressnet.errors import AgentError, StressnetError
from stressnet.faultplan.draw import own_seed
from stressnet.faultplan.timeline import Timeline, TimelineStep
from stressnet.faults.fault import Fault
from stressnet.record.journal import RunJournal
from stressnet.spec.selectors import SelectorError, resolve

_LOOK_S = 0.5
_SEEN_S = 2.0
"""Between two notes of a fault's figures, unless its state has changed."""
_TRIES, _TRY_AGAIN_S = 3, 1.0
"""An agent that has died is started again within a second."""
_TO_TELL_S = 0.1
"""A load ends so much before the timeline, which waits for nobody: what became of its calls must be told."""

_TOO_LATE = "the agent had not said that it is on when the timeline ended"

CallNodes = Callable[[TimelineStep, Sequence[str], float], Awaitable[Mapping[str, Any]]]
"""Send requests to nodes for so many seconds; return what became of them."""


class TimelineRun:
    """Does what a timeline says."""

    def __init__(
        self, timeline: Timeline, net: Net, journal: RunJournal, seed: int, call_nodes: CallNodes
    ) -> None:
        self._timeline = timeline
        self._net = net
        self._journal = journal
        self._seed = seed
        self._call_nodes = call_nodes
        self._over = {step.name: asyncio.Event() for step in timeline.steps}
        self._waiting: set[str] = set()
        self.on: dict[str, TimelineStep] = {}
        """The faults that are on, by id."""
        self.achieved: dict[str, Mapping[str, Any]] = {}
        """The last that was measured of each of them."""
        self._healing: set[str] = set()
        self._some_on = asyncio.Event()
        self._until: dict[str, float] = {}
        self._noted: dict[str, tuple[float, Any]] = {}
        self._origin: float | None = None
        self._act = {"fault": self._fault, "load": self._load, "mark": self._mark, "heal": self._heal_step}

    @property
    def elapsed_s(self) -> float:
        """How long the timeline has gone on."""
        return 0.0 if self._origin is None else asyncio.get_running_loop().time() - self._origin

    async def run(self, elapsed_s: float = 0.0, done: Collection[str] = ()) -> None:
        """Do every step but those that are done, from a time of the timeline on, and heal what is on at its end.

        A step that comes after one that is done is missed, unless it has a time of its own by now: `resume.rest_of`.
        Whatever interrupts it, faults are healed, here or when their leases have run out.
        """
        self._origin = asyncio.get_running_loop().time() - elapsed_s
        steps = [step for step in self._timeline.steps if step.name not in done]
        async with asyncio.TaskGroup() as group:
            keeping = [group.create_task(self._renew()), group.create_task(self._look())]
            doing = [group.create_task(self._step(step), name=step.name) for step in steps]
            try:
                left = max(0.0, self._timeline.duration_s - self.elapsed_s)
                if doing:
                    await asyncio.wait(doing, timeout=left)
                await asyncio.sleep(max(0.0, self._timeline.duration_s - self.elapsed_s))
                self._give_up_waiting()
            finally:
                for task in doing:
                    task.cancel()
                await self._heal(list(self.on), "end")
                for task in keeping:
                    task.cancel()

    # One step.

    async def _step(self, step: TimelineStep) -> None:
        self._waiting.add(step.name)
        try:
            asked_s = await self._moment(step)
        except Missed as missed:
            self._journal.note("step missed", step=step.name, why=str(missed))
            return
        finally:
            self._waiting.discard(step.name)
        drift_s = round(self.elapsed_s - asked_s, 4)
        heals = {"heals": self._meant(step)} if step.action == "heal" else {}
        self._journal.note(
            "step", step=step.name, action=step.action, asked_s=round(asked_s, 3), drift_s=drift_s, **heals
        )
        try:
            await self._act[step.action](step)
        except (StressnetError, SelectorError) as error:
            self._journal.note("step failed", step=step.name, why=_words(error))
            return
        except asyncio.CancelledError:
            if step.action == "fault":
                self._journal.note("step failed", step=step.name, why=_TOO_LATE)
            raise
        if step.action != "fault" or step.momentary:
            self._over[step.name].set()

    async def _moment(self, step: TimelineStep) -> float:
        """Wait for a step's moment; return the time that it was due at. Missed says what did not come."""
        when = step.when
        if when.time_s is not None:
            await asyncio.sleep(max(0.0, when.time_s - self.elapsed_s))
            return when.time_s
        if when.after:
            await self._over[when.after].wait()
            due = self.elapsed_s + when.wait_s
            await asyncio.sleep(when.wait_s)
            return due
        await wait_for(when, self._net, self._seed)
        return self.elapsed_s

    def _give_up_waiting(self) -> None:
        for step in self._timeline.steps:
            if step.name in self._waiting:
                self._journal.note(
                    "step missed", step=step.name, why="its moment had not come by the timeline's end"
                )

    async def _fault(self, step: TimelineStep) -> None:
        held = not step.momentary
        wish = Wish(
            step.what, step.parameters, step.targets, 0.0 if step.momentary else self._for_s(step), held
        )
        fault, notes = await self._put_on(wish, own_seed(self._seed, step.name))
        self._journal.note(
            "fault on",
            id=fault.id,
            step=step.name,
            layer=self._net.layer(fault.kind),
            fault=fault.to_raw(),
            notes=notes,
        )
        if step.momentary:
            self._journal.note("fault over", id=fault.id, step=step.name, by="itself")
            return
        self.on[fault.id] = step
        self._some_on.set()
        self._until[fault.id] = fault.ends_at

    def _for_s(self, step: TimelineStep) -> float:
        left = max(0.05, self._timeline.duration_s - self.elapsed_s)
        return left + LEASE_S if step.for_s is None else min(step.for_s, left)

    async def _put_on(self, wish: Wish, seed: int) -> tuple[Fault, tuple[str, ...]]:
        for left in reversed(range(_TRIES)):
            try:
                return await self._net.put_on(wish, seed)
            except AgentError:
                if not left:
                    raise
                await asyncio.sleep(_TRY_AGAIN_S)
        raise AssertionError("the last try returns or raises")

    async def _load(self, step: TimelineStep) -> None:
        seen = await self._net.look(connections=step.targets.asks_connections())
        nodes = resolve(step.targets.on, self._net.plan, seen.observation, own_seed(self._seed, step.name))
        if not nodes:
            raise StressnetError(f"{step.targets.on!r} means no node now")
        left = max(0.0, self._timeline.duration_s - self.elapsed_s - _TO_TELL_S)
        seconds = left if step.for_s is None else min(step.for_s, left)
        self._journal.note("load on", step=step.name, nodes=list(nodes), for_s=round(seconds, 3))
        done = await self._call_nodes(step, nodes, seconds)
        self._journal.note("load over", step=step.name, **done)

    async def _mark(self, step: TimelineStep) -> None:
        self._journal.note("mark", step=step.name, text=step.what)

    async def _heal_step(self, step: TimelineStep) -> None:
        await self._heal(self._meant(step), "plan")

    def _meant(self, step: TimelineStep) -> list[str]:
        """Return the faults that a step heals, of those that are on."""
        return [
            one for one, by in self.on.items() if step.what in ("all", by.name, by.name.partition("#")[0])
        ]

    # All faults that are on.

    async def _heal(self, ids: Sequence[str], by: str) -> None:
        """Heal faults, and note the last that was measured of them."""
        ids = [one for one in ids if one in self.on]
        if not ids:
            return
        self._healing.update(ids)
        try:
            await self._try(self._look_once())
            there = await self._net.take_off(ids)
        finally:
            self._healing.difference_update(ids)
        for one in ids:
            self._end(one, by, there.get(one, {}))

    def _end(self, name: str, by: str, at_heal: Mapping[str, Any]) -> None:
        step = self.on.pop(name, None)
        self.achieved.pop(name, None)
        if not self.on:
            self._some_on.clear()
        if step is not None:
            self._journal.note("fault over", id=name, step=step.name, by=by, **at_heal)
            self._over[step.name].set()

    async def _renew(self) -> None:
        while await self._some_on.wait():
            await self._try(self._net.renew(list(self.on)))
            await asyncio.sleep(RENEW_S)

    async def _look(self) -> None:
        while await self._some_on.wait():
            await asyncio.sleep(_LOOK_S)
            await self._try(self._look_once())

    async def _look_once(self) -> None:
        for one in await self._net.standing():
            name = one.fault.id
            if name not in self.on:
                continue
            self._note_seen(one, at_once=name in self._healing or one.over)
            if one.over and name not in self._healing:  # who heals it says so when all of them are healed
                asked = self._until.get(name, 0.0)
                self._end(name, "time" if one.until >= asked - 1.0 else "agent", one.at_heal)

    def _note_seen(self, one: Standing, *, at_once: bool) -> None:
        """Note what was measured of a fault where that is news."""
        self.achieved[one.fault.id] = one.achieved
        now = asyncio.get_running_loop().time()
        before_at, before = self._noted.get(one.fault.id, (-_SEEN_S, None))
        state = _last_state(one) if at_once else one.state
        news = (state, dict(one.achieved), one.hits)
        if news == before or (now < before_at + _SEEN_S and not at_once and before and state == before[0]):
            return
        self._noted[one.fault.id] = now, news
        self._journal.note(
            "fault seen", id=one.fault.id, state=state, achieved=dict(one.achieved), hits=one.hits
        )

    async def _try(self, call: Awaitable[None]) -> None:
        """An agent that has died is started again: what is asked of it again and again may fail once."""
        try:
            await call
        except AgentError:
            return


def _words(error: StressnetError | SelectorError) -> str:
    if isinstance(error, StressnetError):
        return error.message
    return "; ".join(problem.found for problem in error.problems)


def _last_state(one: Standing) -> str:
    """Return the state in which a fault ends: of one that is over an agent says only that, and of one that it is about
    to measure once more, that it is on."""
    if one.state in ("not achieved", "failed"):
        return one.state
    if one.achieved.get("failed"):
        return "failed"
    holds = all(figure.get("holds", True) for figure in one.achieved.get("figures", ()))
    return "on" if holds else "not achieved"
