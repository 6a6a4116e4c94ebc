"""A soak on a net in memory, by a clock that jumps, in a folder of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from some_plan import some_plan

from stressnet.checks.expectation import Expectation
from stressnet.engine.run.phases import Limits
from stressnet.engine.run.scenario import Scenario, Settling
from stressnet.engine.run.stages import Asked
from stressnet.engine.run.timeline import TimelineRun
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.folder import new_soak
from stressnet.engine.soak.order import Order, write_order
from stressnet.engine.soak.soak import Soak
from stressnet.errors import EnvironmentProblem, StageError
from stressnet.faultplan.timeline import Timeline, TimelineStep, When
from stressnet.plan import Plan
from stressnet.record import runs
from stressnet.record.journal import RunJournal
from stressnet.record.rows import HostSample, NodeSample
from stressnet.record.samples import Samples
from stressnet.spec.targets import Targets
from stressnet.testing import MemoryNet, run_virtual

BEGUN = 1_000_000_000.0
"""Unix time of second 0."""


STANDS_STILL = {"name": "processes that run", "unit": "count", "asked": 0, "found": 0, "of": 1, "holds": True}
"""What an agent finds of a node that is paused."""


def small_plan() -> Plan:
    """Two nodes are enough to soak."""
    plan = some_plan()
    return replace(plan, nodes=tuple(plan.node(name) for name in ("us-1", "us-2")), backend="netns")


def small_scenario(duration_s: float = 60.0) -> Scenario:
    """A fault that pauses a node, drawn with its length from the round's own seed; a height must be reached."""
    plan = small_plan()

    def drawn(seed: int) -> Timeline:
        step = TimelineStep(
            "stop", When(time_s=1.0), "fault", "pause", (), Targets(on="us-1"), 1.0 + seed % 10
        )
        return Timeline((step,), duration_s, 0.0)

    return Scenario(
        name="small",
        variant="",
        expected=Expectation("pass"),
        description="",
        file="small.yaml",
        seed=plan.seed,
        time_scale=None,
        plan=plan,
        timeline=drawn(plan.seed),
        settling=Settling(10.0, None, False, 0.0),
        checks=({"name": "height", "check": "height", "parameters": {"reaches": 5}},),
        redraw=drawn,
    )


class AtOnce(ThreadPoolExecutor):
    """Does at once what threads would do: a clock that jumps waits for none."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class MemoryPlace:
    """Where rounds are done to a net in memory. A test says how each is: good (""), fail, broken, gone or unsettled."""

    def __init__(self, plan: Plan, bad: Callable[[int], str] = lambda _: "") -> None:
        self._plan = plan
        self._bad = bad
        self.net: MemoryNet | None = None
        self.refuses = 0
        """So many times the net will not come up."""
        self.refusal: Exception = StageError("it does not come up")
        self.unknown = 0
        """So many times nobody will say whether it is up."""
        self.stays = False
        """Whether it cannot be taken down."""
        self.settle_s = 0.0
        """How long the net takes to settle, or is waited for."""
        self.done: list[str] = []
        self.steps = 0
        self.log_bytes = 0
        """What each node writes in a round."""
        self.row_count = 3
        self.breaks: Exception = ConnectionResetError("the agent is gone")
        """What a round ends with that is `broken`."""
        self.claim = 0
        """Bytes that it asks for before it writes the samples of a round."""

    async def find(self) -> bool:
        if self.unknown:
            self.unknown -= 1
            raise EnvironmentProblem("the engine does not answer")
        return self.net is not None

    async def make(self) -> None:
        self.done.append("make")
        if self.refuses:
            self.refuses -= 1
            raise self.refusal
        self.net = MemoryNet(self._plan)
        self.net.figures = (STANDS_STILL,)

    async def calm(self) -> None:
        self.done.append("calm")

    async def remove(self) -> None:
        self.done.append("remove")
        if self.stays:
            raise StageError("it does not go")
        self.net = None

    async def do(self, scenario: Scenario, path: Path, limits: Limits, *, fresh: bool, settled: bool) -> None:
        self.steps += 1
        self.done.append("fresh" if fresh else "again")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        how = self._bad(int(path.name))
        with closing(RunJournal(path / runs.JOURNAL, lambda: (BEGUN + loop.time(), loop.time()))) as journal:
            try:
                await self._phases(scenario, journal, how, settled=settled)
            except asyncio.CancelledError:
                journal.note("stopped", why="interrupted")
            journal.note("phase", phase="over")
            self._sample(path, limits, begun, loop.time(), height=1 if how in ("fail", "unsettled") else 10)
            journal.note("collected")

    async def _phases(self, scenario: Scenario, journal: RunJournal, how: str, *, settled: bool) -> None:
        assert self.net is not None
        journal.note("phase", phase="settle")
        await asyncio.sleep(self.settle_s)
        if how == "unsettled" and not settled:
            journal.note("stopped", why="us-1 had not reached height 8")
            return
        journal.note("phase", phase="baseline")
        journal.note("phase", phase="timeline")
        if how == "broken":
            raise self.breaks
        if how == "gone":
            self.net = None
            journal.note("stopped", why="there is no net")
            return
        await TimelineRun(scenario.timeline, self.net, journal, scenario.seed, _no_calls).run()
        journal.note("phase", phase="observe")

    def _sample(self, path: Path, limits: Limits, begun: float, ended: float, height: int) -> None:
        rows = sample_rows(self._plan, begun, ended, self.row_count, height)
        if limits.room(max(self.claim, len(rows) * 300)):
            with closing(Samples(path / runs.SAMPLES, "net")) as samples:
                samples.write(rows)
        for node in self._plan.nodes:
            (path / runs.LOGS / f"{node.name}.log").write_bytes(b"x" * min(self.log_bytes, limits.log_bytes))


async def _no_calls(step: TimelineStep, nodes: Sequence[str], seconds: float) -> Mapping[str, Any]:
    return {"calls": {}}


def sample_rows(plan: Plan, begun: float, ended: float, count: int, height: int) -> list[Any]:
    """Return looks at all nodes and the machine, evenly over a time."""
    rows: list[Any] = []
    for place in range(count):
        at = begun + (ended - begun) * place / (count - 1)
        for node in plan.nodes:
            look = NodeSample(BEGUN + at, at, node.name, "ready", 42, 1, height=height)
            rows.append(replace(look, rss_bytes=20 << 20, fds=20, cpu_s=at / 100, p2p=4))
        rows.append(
            HostSample(
                BEGUN + at, at, 0.0, 0.0, 2, at / 10, 0.0, 0.0, None, None, None, 0.1, 1 << 33, 1 << 33, at / 100,
                1 << 24, 0.0, 0,
            )
        )  # fmt: skip
    return rows


class Trial:
    """One soak in a folder of the test's own."""

    def __init__(self, root: Path, **place: Any) -> None:
        self.root = root
        self.scenario = small_scenario()
        self.place = MemoryPlace(self.scenario.plan, **place)
        self.said: list[str] = []
        self.say: Callable[[str], None] = self.said.append
        self.for_s = 600.0
        """Ten rounds."""
        self.every_s = 300.0
        self.budget = 64 << 20
        self.folder = new_soak(root, "small", BEGUN)
        self.begun_at = BEGUN
        write_order(self.folder, self.order, "", BEGUN)

    @staticmethod
    def scenario_of(duration_s: float) -> Scenario:
        return small_scenario(duration_s)

    @property
    def order(self) -> Order:
        asked = Asked(self.root, ("stressnet", "run", "small.yaml", "--seed", "7"), "name: small\n")
        return Order(self.scenario, asked, self.for_s, self.every_s, self.budget)

    def soak(self) -> Soak:
        loop = asyncio.get_running_loop()
        begun = self.begun_at
        return Soak(self.order, self.folder, self.place, self.say, lambda: begun + loop.time())

    def run(self, beside: Callable[[asyncio.Task[Amount]], Any] | None = None) -> Amount:
        """Do it to its end; `beside` is a coroutine function that may do something to the task."""

        async def main() -> Amount:
            asyncio.get_running_loop().set_default_executor(AtOnce())
            task = asyncio.create_task(self.soak().run())
            other = asyncio.create_task(beside(task)) if beside else None
            amount = await task
            if other:
                await other
            return amount

        return run_virtual(main)
