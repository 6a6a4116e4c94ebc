"""What the agent knows of a node: for how long it holds what a node said, and what is left of it when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.agent.probes import ProbeFailed
from stressnet.agent.sampler import Sampler
from stressnet.agent.supervisor import Supervisor
from stressnet.plan import Probe, Start
from stressnet.testing import run_virtual


class Answering:
    """Asks a node that answers each question at once, as the test says."""

    def __init__(self) -> None:
        self.facts: dict[str, int | Exception] = {"height": 12, "peers": 3}

    async def ready(self) -> None:
        pass

    async def numbers(self, probes: Mapping[str, Probe]) -> dict[str, int | Exception]:
        return {fact: self.facts[fact] for fact in probes}

    def close(self) -> None:
        pass


class Trial:
    """A net of us-1, which runs, and of late, which waits until us-1 has block 10."""

    def __init__(self, folder: Path) -> None:
        plan = some_plan()
        late = replace(plan.node("late"), start=Start(height=10, of=("us-1",)))
        self.plan = replace(plan, nodes=(plan.node("us-1"), late))
        self.released: list[str] = []
        self.node = Answering()
        runtime = SimpleNamespace(release=self._release, remove=self._remove)
        self.supervisor = Supervisor(self.plan, runtime, folder, lambda _: None, None)  # type: ignore[arg-type]
        self.supervisor.prober = lambda _: self.node  # type: ignore[assignment, method-assign, return-value]
        links: Any = SimpleNamespace()
        self._sampler = Sampler(self.supervisor, runtime, links, folder, lambda *_, **__: None)

    async def _release(self, name: str) -> None:
        self.released.append(name)

    async def _remove(self, names: Sequence[str]) -> None:
        pass

    def run(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            self.supervisor.settle()
            self.supervisor.held("us-1")
            self.supervisor.held("late")
            self.supervisor.gate.set()
            self.supervisor.running("us-1", 0, 0.0)
            await asyncio.sleep(0.5)
            await story()
            await self.supervisor.close()

        run_virtual(whole)

    def sampled(self) -> tuple[int | None, int | None]:
        """Return the height and the peers of us-1, as they are written down now."""
        row = self._sampler._look_at(self.plan.node("us-1"), closely=False)
        return row.height, row.peers


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_what_a_node_tells_no_more_is_soon_not_written_down(trial: Trial) -> None:
    """An answer may be lost; and each fact is for itself. It is back with the next answer."""

    async def story() -> None:
        assert trial.sampled() == (12, 3)
        trial.node.facts["height"] = ProbeFailed("no answer")
        await asyncio.sleep(2.0)
        assert trial.sampled() == (12, 3)
        await asyncio.sleep(2.0)
        assert trial.sampled() == (None, 3)
        trial.node.facts["height"] = 20
        await asyncio.sleep(1.0)
        assert trial.sampled() == (20, 3)

    trial.run(story)


def test_a_node_that_hangs_soon_has_no_height_either(trial: Trial) -> None:
    """It lets each question wait until its time is over."""

    async def hangs(_: Mapping[str, Probe]) -> dict[str, int | Exception]:
        await asyncio.sleep(1000)
        return {}

    async def story() -> None:
        trial.node.numbers = hangs  # type: ignore[assignment, method-assign]
        await asyncio.sleep(4.0)
        assert trial.sampled() == (None, None)

    trial.run(story)


def test_whoever_asks_what_a_node_was_like_still_hears_the_last(trial: Trial) -> None:
    """Who hangs lags: a step of a timeline may wait for that."""

    async def story() -> None:
        trial.node.facts["height"] = ProbeFailed("no answer")
        await asyncio.sleep(60.0)
        now = trial.supervisor.status()["nodes"]["us-1"]
        assert (now["height"], now["reason"]) == (12, "height: no answer")

    trial.run(story)


def test_a_node_that_has_ended_has_no_height(trial: Trial) -> None:
    async def story() -> None:
        trial.supervisor.exited("us-1", 1, "")
        now = trial.supervisor.observed["us-1"]
        assert (now.state, now.height, now.peers) == ("exited", None, None)
        assert trial.sampled() == (None, None)

    trial.run(story)


@pytest.mark.parametrize(("height", "starts"), [(12, True), (9, False)])
def test_a_late_node_starts_though_who_came_to_its_height_has_ended(
    trial: Trial, height: int, starts: bool
) -> None:
    """It waits until they have been there, not for them to be there together with it."""
    trial.node.facts["height"] = height

    async def story() -> None:
        trial.supervisor.exited("us-1", 1, "")
        await trial.supervisor.release(["late"])
        assert trial.released == ["late"] * starts

    trial.run(story)


def test_a_node_that_was_taken_out_has_reached_nothing(trial: Trial) -> None:
    """Another of its name begins anew."""

    async def story() -> None:
        await trial.supervisor.forget(["us-1"])
        await trial.supervisor.release(["late"])
        assert trial.released == []

    trial.run(story)
