"""The live net of a soak: found by its registration, or made; rounds are done to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from stressnet import state
from stressnet.engine.choose import backend_for, found_nets
from stressnet.engine.faults import heal
from stressnet.engine.links import look_at_links
from stressnet.engine.run.phases import Before, Limits, Screen, live
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.up import up
from stressnet.errors import StressnetError
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal

MARGIN_S = 1800.0
"""How much longer than asked a net may live: time in which nobody does the soak."""
_SETTLE_S = 30.0
"""How long a net that has settled before may take to: time-outs of plans are long because nets have to start."""


def round_s(scenario: Scenario) -> float:
    """Return how long a round takes at most, seconds."""
    settling, timeline = scenario.settling, scenario.timeline
    return settling.timeout_s + settling.baseline_s + timeline.duration_s + timeline.observe_s


class LivePlace:
    """One net after the other, of one plan."""

    def __init__(self, scenario: Scenario, screen: Screen) -> None:
        """The plan of the scenario says how long the net may live."""
        self._plan: Plan = scenario.plan
        self._round_s = round_s(scenario)
        self._screen = screen
        self._backend = backend_for(self._plan.backend, self._plan.net)

    async def find(self) -> bool:
        """Tell whether the net is up, and will be until a round is over; else what is left of it is removed.

        An engine that is slow to answer has not lost the net.
        """
        nets = await asyncio.to_thread(found_nets, (self._plan.backend,), patient=True)
        found = [net for net in nets if net.name == self._plan.net]
        if any(net.complete and not self._ends_soon(net.expires_at) for net in found):
            return True
        if found:
            await self.remove()
        return False

    def _ends_soon(self, at: float) -> bool:
        return bool(at) and at < time.time() + self._round_s

    async def make(self) -> None:
        """Bring the net up."""
        await up(self._plan, self._backend, self._screen)

    async def calm(self) -> None:
        """Heal all faults that are on: those of a round that was cut short."""
        await heal(self._backend, [], everything=True)

    async def do(self, scenario: Scenario, path: Path, limits: Limits, *, fresh: bool, settled: bool) -> None:
        """Do a round; a net that does not answer any more is noted as what stopped it."""
        if settled:
            settling = replace(scenario.settling, timeout_s=min(_SETTLE_S, scenario.settling.timeout_s))
            scenario = replace(scenario, settling=settling)
        with closing(RunJournal(path / runs.JOURNAL)) as journal:
            before = None
            if not fresh:
                try:
                    before = await self._before([node.name for node in scenario.plan.nodes], settled)
                except StressnetError as error:
                    journal.note("stopped", why=error.message)
                    journal.note("phase", phase="over")
                    return
            await live(scenario, self._backend, path, journal, self._screen, before=before, limits=limits)

    async def _before(self, names: Sequence[str], settled: bool) -> Before:
        links = (await look_at_links(self._backend)).links
        bypassed = {f"{one.source} > {one.target}": one.bypassed for one in links if one.bypassed}
        logs = {name: self._backend.log_end(name) for name in names}
        return Before(time.time(), logs, bypassed, settled)

    async def remove(self) -> None:
        """Take the net down, with what its nodes keep."""
        await self._backend.destroy(data=True)
        state.forget(self._plan.net)
