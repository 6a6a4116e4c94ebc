"""A run around its net: what is left of it when something fails at the end, and when its controller was killed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from unit.run.some_scenario import some_scenario

from stressnet import state
from stressnet.backends.base import FoundNet
from stressnet.engine.faults import Standing
from stressnet.engine.run import stages
from stressnet.engine.run.resume import Progress
from stressnet.engine.run.scenario import Scenario
from stressnet.engine.run.stages import Asked, Ended, resume, run, write_down
from stressnet.errors import StageError, UsageError
from stressnet.faultplan.timeline import When
from stressnet.faults.fault import Fault
from stressnet.plan import Plan
from stressnet.record.journal import RunJournal, read_journal
from stressnet.record.record import Record

NET = some_scenario().plan.net


class Screen:
    def begun(self, scenario: Scenario, path: Path) -> None:
        """Nothing is shown."""


class Net:
    """A net that is only registered, and takes a while to be removed."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.ending = asyncio.Event()
        self.gone = False
        self.lived: list[tuple[Scenario, Progress | None]] = []
        self.lines = asyncio.Event()
        """Set when all is in the record, and lines to the agent are closed."""

    async def destroy(self, *, data: bool) -> None:
        self.ending.set()
        for _ in range(5):
            await asyncio.sleep(0.02)
        if self.error is not None:
            raise self.error
        assert state.nets() == [NET], "it is forgotten when it is gone"
        self.gone = True


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Net:
    """A net that comes up, and lives without anything being done to it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    net = Net()

    async def up(plan: Plan, *_: Any) -> None:
        state.write_plan(plan)

    async def live(
        scenario: Scenario, _: Any, path: Path, journal: RunJournal, __: Any, progress: Progress | None = None
    ) -> None:
        net.lived.append((scenario, progress))
        for phase in ("settle", "baseline", "timeline", "observe", "over"):
            journal.note("phase", phase=phase)
        net.lines.set()
        await asyncio.sleep(0.05)

    monkeypatch.setattr(stages, "backend_for", lambda *_: net)
    monkeypatch.setattr(stages, "up", up)
    monkeypatch.setattr(stages, "live", live)
    return net


def do(folder: Path, beside: Callable[[asyncio.Task[Ended]], Any] | None = None, **more: Any) -> Ended:
    """Do a run, and something else with its task meanwhile."""

    async def main() -> Ended:
        doing = asyncio.create_task(run(some_scenario(), Asked(folder, ("again",), **more), Screen()))  # type: ignore[arg-type]
        if beside:
            await beside(doing)
        return await doing

    return asyncio.run(main())


def events(path: Path) -> list[str]:
    return [event.get("phase", event["event"]) for event in read_journal(path / "journal.jsonl")]


def test_a_run_takes_its_net_down_and_is_judged(tmp_path: Path, net: Net) -> None:
    done = do(tmp_path)
    assert (net.gone, state.nets(), done.left) == (True, [], None)
    assert json.loads((done.path / "verdict.json").read_text())["reason"] == done.verdict.reason
    assert events(done.path)[-2:] == ["over", "down"]


def test_a_net_that_is_kept_stays(tmp_path: Path, net: Net) -> None:
    done = do(tmp_path, keep=True)
    assert (net.gone, state.nets(), done.left) == (False, [NET], None)
    assert events(done.path)[-1] == "over"


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("error", [StageError("it does not go", hints=("look",)), OSError("no room")])
def test_a_net_that_cannot_be_taken_down_costs_no_verdict(
    tmp_path: Path, net: Net, error: Exception, times: int
) -> None:
    """Nor does being told to stop meanwhile hide that it is still there."""
    net.error = error
    done = do(tmp_path, told(net, times))
    assert done.verdict.outcome in ("pass", "fail", "inconclusive")
    assert json.loads((done.path / "verdict.json").read_text())["outcome"] == done.verdict.outcome
    assert (done.path / "report.html").exists()
    assert done.left is not None
    assert done.left.message == f"net {NET!r} was not taken down: {error}"
    assert f"`stressnet down {NET}` removes what is left" in done.left.hints
    assert state.nets() == [NET]
    (noted,) = (one for one in read_journal(done.path / "journal.jsonl") if one["event"] == "not taken down")
    assert noted["why"] == str(error)
    assert "down" not in events(done.path)


def told(net: Net, times: int, lines: bool = False) -> Callable[[asyncio.Task[Ended]], Any]:
    """Return what tells a run so often to stop while its net is removed, or its lines are closed before."""

    async def tell(doing: asyncio.Task[Ended]) -> None:
        await (net.lines if lines else net.ending).wait()
        for _ in range(times):
            doing.cancel()
            await asyncio.sleep(0.01)

    return tell


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("lines", [False, True])
def test_being_told_to_stop_when_the_record_is_whole_changes_nothing(
    tmp_path: Path, net: Net, times: int, lines: bool
) -> None:
    """However often."""
    done = do(tmp_path, told(net, times, lines))
    assert not Record(done.path).incomplete
    assert (net.gone, state.nets(), done.left) == (True, [], None)
    assert (done.path / "verdict.json").exists()
    assert events(done.path)[-1] == "down"


def test_a_net_whose_removal_was_cut_short_is_not_forgotten(tmp_path: Path, net: Net) -> None:
    """Else nobody could find it any more."""
    net.error = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        do(tmp_path)
    assert state.nets() == [NET]
    assert "down" not in events(next(tmp_path.glob("some/2*")))


# A run whose controller was killed.


def killed(folder: Path, *more: Mapping[str, Any]) -> Path:
    """Return the record of a run that was killed 20 s into its timeline, with these events of it."""
    path = folder / "some" / "killed"
    path.mkdir(parents=True)
    write_down(path, some_scenario(), Asked(folder, ("again",)))
    phases = [
        {"time": 1e9 + at, "event": "phase", "phase": phase}
        for at, phase in enumerate(("settle", "baseline", "timeline"))
    ]
    lines = [*phases, *more, {"time": 1e9 + 22, "event": "samples lost", "why": ""}]
    (path / "journal.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def go_on(path: Path) -> Ended:
    return asyncio.run(resume(path, Screen(), keep=False))  # type: ignore[arg-type]


def found(monkeypatch: pytest.MonkeyPatch, *, complete: bool = True, lives_s: float = 1000.0) -> None:
    """Let there be a net that lives for so long, 0: for ever."""
    expires_at = time.time() + lives_s if lives_s else 0.0
    net = FoundNet(NET, "netns", 9, complete, 0.0, expires_at, False)
    monkeypatch.setattr(stages, "nets_called", lambda *_: [net])


@pytest.mark.parametrize(
    ("net_found", "said"),
    [
        ({"complete": False}, "is gone, so it cannot go on"),
        ({"lives_s": 60.0}, "of this run lives for 1m more, and the rest may take 70s"),
    ],
)
def test_a_net_that_is_not_there_long_enough_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Net, net_found: dict[str, Any], said: str
) -> None:
    """Forty seconds of the timeline are left, and thirty of watching; the record stays as it is."""
    found(monkeypatch, **net_found)
    path = killed(tmp_path)
    before = events(path)
    with pytest.raises(UsageError) as refused:
        go_on(path)
    assert said in refused.value.message
    assert f"`stressnet check {path}` judges what there is" in refused.value.hints
    assert events(path) == before
    assert not net.lived


@pytest.mark.parametrize("lives_s", [0.0, 80.0])
def test_what_was_on_is_healed_and_put_on_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Net, lives_s: float
) -> None:
    """What the agent has ended since was over then; what a step was about to heal has ended as planned."""
    found(monkeypatch, lives_s=lives_s)
    state.write_plan(some_scenario().plan)
    healed: list[str] = []

    def put_on(at: float, number: int, step: str) -> dict[str, Any]:
        fault = {"id": f"f{number}", "kind": "pause", "parameters": {}, "links": [], "nodes": ["us-1"]}
        return {
            "time": 1e9 + at, "event": "fault on", "id": f"f{number}", "step": step, "layer": "node", "notes": [],
            "fault": {**fault, "ends_at": 0.0, "asked": "pause"},
        }  # fmt: skip

    async def standing(_: Any) -> list[Standing]:
        faults = [Fault(f"f{number}", "pause", {}, (), ("us-1",), 0.0, "pause") for number in (1, 2, 3, 9)]
        states = ["on", "ended", "on", "on"]
        return [
            Standing(fault, "healed", 0.0, 1e9 + 50, {}, 0, {"missing": []})
            if fault.id in healed
            else Standing(fault, how, 0.0, 1e9 + 30, {}, 0)
            for fault, how in zip(faults, states, strict=True)
        ]

    async def heal(_: Any, ids: Sequence[str], *, everything: bool) -> None:
        assert not everything
        healed.extend(ids)

    monkeypatch.setattr(stages, "standing", standing)
    monkeypatch.setattr(stages, "heal", heal)
    about = {"time": 1e9 + 20, "event": "step", "step": "heal", "action": "heal", "heals": ["f1"]}
    about |= {"asked_s": 18.0, "drift_s": 0.0}
    path = killed(tmp_path, put_on(6, 1, "one"), put_on(7, 2, "two"), put_on(19, 3, "nap"), about)
    done = go_on(path)
    assert healed == ["f1", "f3"], "and not f9, which somebody else has put on"
    noted = read_journal(path / "journal.jsonl")
    resumed = next(one for one in noted if one["event"] == "resumed")
    assert (resumed["phase"], resumed["elapsed_s"]) == ("timeline", 20.0)
    overs = [(one["id"], one["by"], one["at"]) for one in noted if one["event"] == "fault over"]
    assert overs == [("f1", "plan", 1e9 + 50), ("f2", "kill", 1e9 + 30), ("f3", "kill", 1e9 + 50)]
    ((scenario, progress),) = net.lived
    assert progress is not None
    assert (progress.phase, progress.elapsed_s, progress.done) == ("timeline", 20.0, {"one", "heal"})
    (nap,) = scenario.timeline.steps
    assert (nap.when, nap.for_s) == (When(time_s=20.0), 2.0)
    assert (net.gone, state.nets(), done.left) == (True, [], None)


def test_a_run_that_somebody_does_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, net: Net
) -> None:
    """Whoever does it holds its journal."""
    found(monkeypatch)
    path = killed(tmp_path)
    with closing(RunJournal(path / "journal.jsonl")), pytest.raises(UsageError, match="another command"):
        go_on(path)
    assert not net.lived
    assert Record(path).incomplete
