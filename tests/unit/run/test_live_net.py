"""What a run asks of the agent of a net that has been up for long."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from some_plan import some_plan

from stressnet.engine.faults import Wish
from stressnet.engine.run import net as nets
from stressnet.errors import AgentError
from stressnet.faults.fault import Fault
from stressnet.spec.targets import Targets


class Agent:
    """An agent, and the backend that leads to it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.silent = 0
        """How many calls find no agent."""

    async def connect(self) -> Agent:
        return self

    async def __aenter__(self) -> Agent:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def call(self, name: str, **parameters: Any) -> list[Any]:
        self.asked.append({"call": name, **parameters})
        if self.silent:
            self.silent -= 1
            raise AgentError("no agent answers")
        return []


def test_a_round_asks_for_its_own_faults_and_not_for_all_of_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first that it put on, whichever of several was answered first."""
    ids = iter(["f18", "f17"])

    async def add(*_: Any) -> Any:
        return Fault(next(ids), "pause", {}, (), ("us-1",), 0.0, "pause --on us-1"), ()

    monkeypatch.setattr(nets, "add", add)
    agent = Agent()
    net = nets.LiveNet(some_plan(), agent, tmp_path)  # type: ignore[arg-type]

    async def story() -> None:
        await net.standing()
        for _ in range(2):
            await net.put_on(Wish("pause", (), Targets(on="us-1")), 1)
        await net.standing()

    asyncio.run(story())
    assert agent.asked == [{"call": "fault_list", "first": 0}, {"call": "fault_list", "first": 17}]


@pytest.mark.parametrize(("silent", "heals"), [(3, True), (4, False)])
def test_healing_waits_for_an_agent_that_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silent: int, heals: bool
) -> None:
    """And not for ever."""
    monkeypatch.setattr(nets, "_TRY_AGAIN_S", 0.01)
    agent = Agent()
    agent.silent = silent
    net = nets.LiveNet(some_plan(), agent, tmp_path)  # type: ignore[arg-type]
    if heals:
        assert asyncio.run(net.take_off(["f1"])) == {}
    else:
        with pytest.raises(AgentError):
            asyncio.run(net.take_off(["f1"]))
