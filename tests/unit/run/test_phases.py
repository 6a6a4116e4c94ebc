"""A run goes through its phases, whatever becomes of what goes on beside them; on a net whose agent never answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.records import BEGUN, STUCK, make_record
from unit.run.some_scenario import some_scenario

from stressnet.engine.links import LinksStatus
from stressnet.engine.run import answers, phases, watch
from stressnet.engine.run.phases import View, live
from stressnet.engine.run.resume import Progress
from stressnet.engine.run.scenario import Scenario
from stressnet.errors import AgentError
from stressnet.faultplan.timeline import Timeline
from stressnet.record.journal import RunJournal, read_journal

_LOST = ("log lost", "blocks lost")
HONEST = {"name": "honest", "check": "in_sync_honesty", "parameters": {}}


class Silent:
    """A backend that leads nowhere."""

    def keeping(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def connect(self) -> Any:
        raise AgentError("no agent answers")

    async def logs(self, node: str, **_: Any) -> AsyncIterator[bytes]:
        raise AgentError("no agent answers")
        yield b""


class Screen:
    """One that breaks, or shows nothing."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def phase(self, name: str, seconds: float) -> None:
        """Nothing is shown."""

    async def watch(self, view: View) -> None:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()


def short(observe_s: float = 0.1, checks: Sequence[dict[str, Any]] = ()) -> Scenario:
    one = some_scenario()
    settling = replace(one.settling, baseline_s=0.0)
    timeline = Timeline((), 0.1, observe_s)
    return replace(one, settling=settling, timeline=timeline, checks=tuple(checks), capture_bytes=0)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net does as it should."""

    async def settle(*_: Any) -> None:
        """At once."""

    async def look_at_links(_: Any) -> LinksStatus:
        return LinksStatus((), "", "", 0, {})

    for double in (settle, look_at_links):
        monkeypatch.setattr(phases, double.__name__, double)
    monkeypatch.setattr(watch, "_FETCH_S", 1000.0)  # samples are asked for at the end only


def lived(
    path: Path,
    scenario: Scenario,
    screen: Screen | None = None,
    progress: Progress | None = None,
    beside: Callable[[asyncio.Task[None]], Any] | None = None,
) -> list[dict[str, Any]]:
    """Go through all phases, and return what was noted."""

    async def main() -> None:
        with closing(RunJournal(path / "journal.jsonl")) as journal:
            run = live(scenario, Silent(), path, journal, screen or Screen(), progress)  # type: ignore[arg-type]
            doing = asyncio.create_task(run)
            if beside:
                await beside(doing)
            await doing

    before = len(read_journal(path / "journal.jsonl"))
    asyncio.run(main())
    return read_journal(path / "journal.jsonl")[before:]


def words(events: Sequence[dict[str, Any]]) -> list[str]:
    return [event.get("phase", event["event"]) for event in events if event["event"] not in _LOST]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The folder of a record that has nothing but what was asked."""
    path = make_record(tmp_path, until=0)
    (path / "journal.jsonl").write_text("")
    return path


ALL = ["settle", "control", "baseline", "timeline", "observe", "over", "samples not fetched", "collected"]


def test_what_goes_on_beside_a_run_is_stopped_at_its_end_without_a_word(path: Path) -> None:
    assert words(lived(path, short(checks=[HONEST]))) == ALL


def test_what_has_broken_off_beside_a_run_is_said_at_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run itself goes on; else nobody would learn why there is no evidence, or no answer."""

    async def breaks(*_: Any) -> None:
        raise KeyError("height")

    monkeypatch.setattr(answers, "keep_asking", breaks)
    monkeypatch.setattr(watch.Watch, "run", breaks)
    events = lived(path, short(checks=[HONEST]), Screen(OSError(5, "the terminal is gone")))
    assert words(events) == [*ALL[:5], *["broke off"] * 3, *ALL[5:]]
    found = {one["what"]: one["why"] for one in events if one["event"] == "broke off"}
    assert found == {
        "watch": "KeyError('height')",
        "screen": "OSError(5, 'the terminal is gone')",
        "answers": "KeyError('height')",
    }


@pytest.mark.parametrize("times", [1, 3])
def test_who_is_told_to_stop_completes_the_record(path: Path, times: int) -> None:
    """However often."""

    async def tell(doing: asyncio.Task[None]) -> None:
        while "observe" not in words(read_journal(path / "journal.jsonl")):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)
        for _ in range(times):
            doing.cancel()
            await asyncio.sleep(0)

    events = lived(path, short(observe_s=60.0), beside=tell)
    assert words(events) == [*ALL[:5], "stopped", *ALL[5:]]
    assert next(one["why"] for one in events if one["event"] == "stopped") == "interrupted"


@pytest.mark.parametrize("before", [True, False])
def test_a_run_that_goes_on_gathers_no_evidence_again(tmp_path: Path, before: bool) -> None:
    """Its journal says of which checks there is some; a breach without any may have been cut short."""
    event = "evidence" if before else "breach"
    noted = {"time": BEGUN + 40, "event": event, "check": "stuck", "files": []}
    path = make_record(tmp_path, until=59, stuck=["us-1"], more=[noted])
    events = lived(path, short(checks=[STUCK]), progress=Progress("observe", 39.0))
    assert words(events) == [
        *("over", "samples not fetched", *(() if before else ("breach", "evidence")), "collected")
    ]
