"""Read the Prometheus pages of nodes, one after the other, spread over the time between two closer looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from stressnet.agent.metricspage import Page, Series
from stressnet.agent.probes import LOOPBACK
from stressnet.agent.supervisor import Supervisor
from stressnet.plan import Node

if TYPE_CHECKING:
    from stressnet.agent.http import Session

Value = tuple[float, str, str, float]
"""When (Unix seconds), of which node, which series, and how much."""

_PATIENCE_S = 3.0
_IDLE_S = 1.0
"""Between two looks whether there is anybody to ask by now."""
_MOST = 200_000
"""Values that wait to be taken, where nobody can write them."""


class Scraper:
    """Asks the nodes of one net."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._sessions: dict[str, Session] = {}
        self._pages: dict[str, Page] = {}
        self._values: list[Value] = []

    def take(self) -> list[Value]:
        """Return what was read since the last call."""
        values, self._values = self._values, []
        return values

    async def run(self) -> None:
        """Ask in step until cancelled."""
        try:
            while True:
                await self._round()
        finally:
            for session in self._sessions.values():
                session.close()

    async def _round(self) -> None:
        pace = self._supervisor.plan.sampling
        nodes = [node for node in self._supervisor.plan.nodes if node.metrics]
        if not nodes or not pace.every_s or not pace.closely_s:
            await asyncio.sleep(_IDLE_S)
            return
        for node in nodes:
            begun = time.monotonic()
            now = self._supervisor.observed.get(node.name)
            if now is not None and now.state == "ready":
                await self._ask(node)
            await asyncio.sleep(max(0.0, pace.closely_s / len(nodes) - (time.monotonic() - begun)))

    async def _ask(self, node: Node) -> None:
        from stressnet.agent.http import Session

        assert node.metrics is not None
        name = node.name
        if name not in self._sessions:
            self._sessions[name] = Session(
                lambda: self._supervisor.open_socket(name), (LOOPBACK, node.address), node.metrics.port
            )
        # A node may answer anything: then there are no metrics of it, and watching it goes on.
        with suppress(OSError, LookupError, ValueError):
            status, page = await self._sessions[name].ask("GET", node.metrics.path, timeout=_PATIENCE_S)
            if status == 200 and len(self._values) < _MOST:
                at = time.time()
                series = self._pages.setdefault(name, Page()).read(page.decode())
                self._values += [(at, name, one, value) for one, value in series]
                now = self._supervisor.observed[name]
                if now.state == "ready":  # it may have ended since it answered
                    now.streams = _streams(node, series)


def _streams(node: Node, series: Sequence[Series]) -> int | None:
    """Return how many streams a node has open, over all labels; None where it does not tell."""
    wanted = node.series.get("streams")
    told = [value for one, value in series if wanted and one.partition("{")[0] == wanted]
    return round(sum(told)) if told else None
