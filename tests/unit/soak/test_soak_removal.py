"""The net of a soak is removed to its end, and who is told to stop meanwhile learns when that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from soaking import Trial

from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.folder import SUMMARY
from stressnet.errors import StageError


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("stays", [False, True])
def test_being_told_to_stop_while_the_net_is_removed(tmp_path: Path, times: int, stays: bool) -> None:
    trial = Trial(tmp_path)
    removing = asyncio.Event()
    removed: list[str] = []

    async def remove() -> None:
        removing.set()
        await asyncio.sleep(10)
        if stays:
            raise StageError("it does not go")
        removed.append("net")

    async def stop(task: asyncio.Task[Amount]) -> None:
        await removing.wait()
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(1)

    trial.place.remove = remove  # type: ignore[method-assign]
    assert trial.run(stop).outcome == "pass"
    assert bool(removed) is not stays
    said = f"`stressnet down {trial.scenario.plan.net}` does it: it does not go"
    assert (said in (trial.folder / SUMMARY).read_text()) is stays
