"""The toxics on the listeners of a net's links: what is there, and how it becomes what should be there.

A relay that does not answer is started again with what should hold, so nothing waits for it longer than a moment. What
keeps a relay waiting is mostly a node that takes no data (paused, partitioned, busy): its links are left as they are
until it does, for nothing gets through them anyway, and a relay that waits for it can do nothing else on them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from stressnet.agent.complaints import complain
from stressnet.agent.diagnosis import Backlog, backlogs, open_diagnosis
from stressnet.agent.listeners import Listener, latest
from stressnet.agent.relay import PATIENCE_S, Relay, RelayError, RelayStuck
from stressnet.faults.compose import Link, Toxic
from stressnet.faults.row import Round, Row, Step, after, rounds

_SETTLE_S = 0.05
"""Between two rounds: what was held goes on, and connections that have ended go."""
_LOOK_S = 0.05
"""Between two looks at what a node has taken. One that makes room within it is not waited for."""
_SLOWLY_S = 1.0
"""A straggler is taken in hand when its node makes room within this time."""
_PAUSE_S = 0.25
"""Between two looks at a straggler."""
_LONG_PATIENCE_S = 10.0
"""For one that has been taken in hand; the API gives up after 25 s."""


class Streams:
    """Keeps the toxics of one net. Calls that change anything must not overlap."""

    def __init__(
        self, revive: Callable[[Relay, str], Awaitable[None]], give_up: Callable[[Relay, str], None]
    ) -> None:
        """`revive` starts a relay again, for a reason, with what should be on it; `give_up` has it done later."""
        self._revive = revive
        self._give_up = give_up
        self._listeners: dict[str, Listener] = {}
        self._rows: dict[str, Row] = {}
        self._wanted: dict[Link, Row] = {}
        self.stragglers: dict[str, asyncio.Task[None]] = {}
        """Listeners that have still to be brought in line, and who does it."""

    def carried(self, listeners: Iterable[Listener]) -> None:
        """Take note of all listeners that there are now."""
        self._listeners = {listener.name: listener for listener in listeners}
        links = {listener.link for listener in self._listeners.values()}
        self._rows = {name: row for name, row in self._rows.items() if name in self._listeners}
        self._wanted = {link: row for link, row in self._wanted.items() if link in links}

    def emptied(self, relay: Relay) -> None:
        """Take note that a relay has begun anew, without toxics."""
        for listener in self._of(relay):
            self._rows.pop(listener.name, None)
            if task := self.stragglers.pop(listener.name, None):
                task.cancel()

    def since(self, link: Link) -> int:
        """Return since which fault connections of a link must be for all that is wanted there to hit them."""
        return latest(self._wanted.get(link, ()))

    def _of(self, relay: Relay) -> list[Listener]:
        return [listener for listener in self._listeners.values() if listener.relay is relay]

    async def learn(self, relays: Iterable[Relay]) -> None:
        """Ask relays what is on their listeners."""
        self._rows = {}
        for relay in relays:
            try:
                found = await relay.listeners()
            except RelayStuck as error:
                await self._revive(relay, str(error))
            else:
                self._rows |= {
                    name: toxics for name, (_, toxics) in found.items() if toxics and name in self._listeners
                }

    async def hold(self, wanted: Mapping[Link, Sequence[Toxic]]) -> None:
        """Have these toxics on the listeners of links and no others; OSError where a relay refuses, and then all
        is as it was before."""
        before = self._wanted
        self._wanted = {link: tuple(row) for link, row in wanted.items() if row}
        try:
            await self.settle()
        except BaseException:
            self._wanted = before
            with contextlib.suppress(OSError):
                await self.learn({listener.relay for listener in self._listeners.values()})
                await self.settle()
            raise

    async def settle(self) -> None:
        """Bring listeners in line with what should be on them; those of nodes that take no data follow when they do."""
        plans = {
            name: plan
            for name, listener in self._listeners.items()
            if name not in self.stragglers and (plan := self._plan(listener))
        }
        while plans:
            now = {name: plan[0] for name, plan in plans.items()}
            busy = await self._busy(now)
            for name in busy:
                self.stragglers[name] = asyncio.ensure_future(self._follow(name))
            revived = await self._take({name: steps for name, steps in now.items() if name not in busy})
            plans = {
                name: plan[1:]
                for name, plan in plans.items()
                if plan[1:] and name not in busy and self._listeners[name].relay not in revived
            }
            if plans:
                await asyncio.sleep(_SETTLE_S)

    async def fill(self, relay: Relay) -> None:
        """Put on a relay that has begun anew what should be on it."""
        steps = {listener.name: plan[0] for listener in self._of(relay) if (plan := self._plan(listener))}
        self._done(steps, await relay.change(steps))

    def _plan(self, listener: Listener) -> list[Round]:
        row = self._rows.get(listener.name, ())
        wanted = listener.row(self._wanted.get(listener.link, ()))
        return [] if row == wanted else rounds(row, wanted)

    async def _take(self, steps: Mapping[str, Round]) -> set[Relay]:
        """Have each relay do its part; return which had to be started again. OSError of the first that refused."""
        parts: dict[Relay, dict[str, Round]] = {}
        for name, some in steps.items():
            parts.setdefault(self._listeners[name].relay, {})[name] = some
        done = await asyncio.gather(
            *(self._take_part(relay, part) for relay, part in parts.items()), return_exceptions=True
        )
        for error in done:
            if isinstance(error, BaseException):
                raise error
        return {relay for relay, well in zip(parts, done, strict=True) if not well}

    async def _take_part(self, relay: Relay, steps: Mapping[str, Round]) -> bool:
        try:
            failures = await relay.change(steps, PATIENCE_S + self._longest_reset_s(steps))
        except RelayStuck as error:
            await self._revive(relay, str(error))
            return False
        self._done(steps, failures)
        return True

    def _done(self, steps: Mapping[str, Round], failures: Mapping[str, str]) -> None:
        for name, some in steps.items():
            if name not in failures:
                self._rows[name] = after(self._rows.get(name, ()), some)
        for name, why in failures.items():
            raise RelayError(f"{name}: {why}")

    def _longest_reset_s(self, names: Iterable[str]) -> float:
        """Return how long a reset may wait there, which nothing can interrupt."""
        rows = (self._rows.get(name, ()) for name in names)
        waits = (toxic.attributes["timeout"] for row in rows for toxic in row if toxic.type == "reset_peer")
        return max(waits, default=0) / 1e3

    # Who takes no data.

    async def _busy(self, steps: Mapping[str, Sequence[Step]]) -> set[str]:
        """Return those of these listeners where a relay would have to wait for a node.

        What is only to be removed does nothing any more, so that can wait for a quiet moment.
        """
        first = await asyncio.to_thread(self._full, frozenset(steps))
        busy = {name for name, _ in first.values() if all(step.verb == "remove" for step in steps[name])}
        others = {name for name, _ in first.values()} - busy
        return busy | await self._slow(others, _LOOK_S)

    async def _slow(self, names: set[str], within_s: float) -> set[str]:
        """Return those of these listeners that have a connection which will not make room within this time."""
        first = await asyncio.to_thread(self._full, frozenset(names)) if names else {}
        if not first:
            return set()
        await asyncio.sleep(_LOOK_S)
        second = await asyncio.to_thread(self._full, frozenset(names))
        return {
            name
            for ends, (name, now) in second.items()
            if ends in first
            and (now.acknowledged - first[ends][1].acknowledged) * within_s / _LOOK_S < now.room / 3
        }

    async def _follow(self, name: str) -> None:
        """Bring one listener in line when its node takes data again; until then nothing is asked of it."""
        try:
            while (listener := self._listeners.get(name)) and (plan := self._plan(listener)):
                if await self._slow({name}, _SLOWLY_S):
                    await asyncio.sleep(_PAUSE_S)
                    continue
                pid = listener.relay.pid
                try:
                    failures = await listener.relay.change({name: plan[0]}, _LONG_PATIENCE_S)
                except RelayStuck as error:
                    if listener.relay.pid == pid:
                        self._give_up(listener.relay, str(error))
                    return
                self._done({name: plan[0]}, failures)
                await asyncio.sleep(_SETTLE_S)
        except OSError as error:
            complain(f"{error}")
        finally:
            if self.stragglers.get(name) is asyncio.current_task():
                del self.stragglers[name]

    def close(self) -> None:
        """Bring nothing more in line."""
        for task in self.stragglers.values():
            task.cancel()

    def _full(self, names: frozenset[str]) -> dict[tuple[str, str], tuple[str, Backlog]]:
        """Return the connections of these listeners that take nothing more, by their ends."""
        wanted = [self._listeners[name] for name in names]
        dialled = {listener.code: listener.name for listener in wanted}
        accepted = {listener.place: listener.name for listener in wanted}
        with open_diagnosis() as diagnosis:
            return {
                (near, far): (name, backlog)
                for near, far, backlog in backlogs(diagnosis)
                if backlog.full and (name := dialled.get(far) or accepted.get(near))
            }
