"""A disk that is full for a while costs a soak no round, and one that stays full no verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from soaking import Trial
from test_soak_rounds import killed_in, rounds

from stressnet.engine.soak import checkpoint
from stressnet.engine.soak import soak as soaks
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.budget import Budget
from stressnet.engine.soak.folder import LINES, SUMMARY, round_folder
from stressnet.engine.soak.rounds import tally_of
from stressnet.record import runs

BEGINS = ("its room", "its folder", "its record", "that it is being done")
CLOSES = ("that it was stopped", "its verdict", "its line", "that it is over", "what need not be whole")
_PLACES: dict[str, tuple[Any, str]] = {
    "its room": (Budget, "begin"),
    "its folder": (soaks, "new_round"),
    "its record": (soaks, "write_down"),
    "that it is being done": (checkpoint, "save"),
    "that it was stopped": (soaks, "_stop"),
    "its verdict": (runs, "write_json"),
    "its line": (soaks, "append"),
    "that it is over": (checkpoint, "save"),
    "what need not be whole": (Budget, "settle"),
}


class FullDisk:
    """From the end of the third round on it has no room for some of what a soak writes, so many times."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, trial: Trial, *writes: str, times: int = 1000
    ) -> None:
        self.left = times
        self.said = 0
        self.felt = asyncio.Event()
        self._trial = trial
        for what in writes:
            place, name = _PLACES[what]
            monkeypatch.setattr(place, name, self._once_full(what, getattr(place, name)))

    def _once_full(self, what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any) -> Any:
            if self._trial.place.steps >= 3 and self.left and self._concerns(what, arguments):
                self.left -= 1
                self.said += 1
                self.felt.set()
                raise OSError(28, "No space left on device")
            return real(*arguments)

        return write

    def _concerns(self, what: str, arguments: tuple[Any, ...]) -> bool:
        if what == "that it is being done":
            return bool(arguments[1].begun_at)
        if what == "that it is over":
            return not arguments[1].begun_at
        return True


def a_trial(root: Path, what: str) -> Trial:
    """Return one in which something breaks in the third round, where that has to be written."""
    if what != "that it was stopped":
        return Trial(root)
    trial = Trial(root, bad=lambda number: "broken" if number == 3 else "")
    trial.for_s = 1200.0
    return trial


@pytest.mark.parametrize("what", BEGINS + CLOSES)
def test_what_cannot_be_written_of_a_round_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Two minutes without room cost no round, and none is counted twice."""
    trial = a_trial(tmp_path, what)
    disk = FullDisk(monkeypatch, trial, what, times=2)
    amount = trial.run()
    assert disk.said == 2
    assert amount.outcome == "pass"
    numbers = [one.number for one in rounds(trial)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert amount.checkpoint.tally == tally_of(trial.folder / LINES)
    assert sum(words.startswith("round 3  ") for words in trial.said) == 1
    later = f"round {4 if what in BEGINS else 3} is written later: [Errno 28] No space left on device"
    assert [later in note for note in amount.checkpoint.notes] == [True, True]


@pytest.mark.parametrize("what", BEGINS + CLOSES)
def test_what_can_never_be_written_of_a_round_ends_the_soak_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The net is taken down, what can be written says what it came to, and the soak can be gone on with."""
    trial = a_trial(tmp_path, what)
    FullDisk(monkeypatch, trial, what)
    amount = trial.run()
    assert (amount.outcome, amount.checkpoint.ended) == ("inconclusive", "disk")
    number = 4 if what in BEGINS else 3
    given_up = f"given up: round {number} could not be written: [Errno 28] No space left on device"
    assert any(given_up in note for note in amount.checkpoint.notes)
    assert trial.place.done[-1] == "remove"
    if what != "its verdict":
        assert (trial.folder / SUMMARY).read_text().startswith("## Soak of small: INCONCLUSIVE\n")
        assert given_up in (trial.folder / SUMMARY).read_text()
    assert amount.checkpoint.tally.total == (2 if what in ("its verdict", "its line") else 3)
    monkeypatch.undo()
    trial.begun_at += 1200.0
    amount = trial.run()
    assert amount.checkpoint.ended == "time"
    assert [one.number for one in rounds(trial)] == list(range(1, amount.checkpoint.tally.total + 1))


@pytest.mark.parametrize(("second", "outcome"), [("", "inconclusive"), ("fail", "fail")])
def test_a_disk_that_stays_full_leaves_a_verdict_to_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, second: str, outcome: str
) -> None:
    """Nothing can be written any more; on the disk the soak goes on, so that it can be gone on with."""
    trial = Trial(tmp_path, bad=lambda number: second if number == 2 else "")
    FullDisk(monkeypatch, trial, *BEGINS, *CLOSES)
    amount = trial.run()
    assert (amount.outcome, amount.checkpoint.ended) == (outcome, "disk")
    assert "what it amounts to could not be written: [Errno 28]" in amount.checkpoint.notes[-1]
    assert trial.place.done[-1] == "remove"
    assert checkpoint.load(trial.folder).ended == ""


def when_the_net_is_down(
    monkeypatch: pytest.MonkeyPatch, trial: Trial, disk: FullDisk, *, full: bool
) -> None:
    """Let the disk be full from then on, or have room."""
    removes = trial.place.remove

    async def remove() -> None:
        await removes()
        disk.left = 1000 if full else 0

    monkeypatch.setattr(trial.place, "remove", remove)


def test_a_soak_whose_time_is_up_has_not_passed_where_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It passes when it is gone on with."""
    trial = Trial(tmp_path)
    trial.for_s = 240.0
    disk = FullDisk(monkeypatch, trial, *CLOSES, times=0)
    when_the_net_is_down(monkeypatch, trial, disk, full=True)
    amount = trial.run()
    assert (amount.outcome, amount.checkpoint.tally.counts["pass"]) == ("inconclusive", 4)
    monkeypatch.undo()
    trial.begun_at += 240.0
    assert trial.run().outcome == "pass"
    assert len(rounds(trial)) == 4


def test_a_round_that_was_given_up_is_closed_where_the_net_has_left_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has failed, and that is not lost."""
    trial = Trial(tmp_path, bad=lambda number: "fail" if number == 3 else "")
    disk = FullDisk(monkeypatch, trial, *CLOSES)
    when_the_net_is_down(monkeypatch, trial, disk, full=False)
    amount = trial.run()
    assert amount.outcome == "fail"
    assert amount.checkpoint.tally.counts == {"pass": 2, "fail": 1, "inconclusive": 0}
    assert (trial.folder / SUMMARY).read_text().startswith("## Soak of small: FAIL\n")
    assert checkpoint.load(trial.folder).ended == "disk"


@pytest.mark.parametrize(
    ("writes", "again", "counts"),
    [(BEGINS, True, 3), (BEGINS, False, 3), (CLOSES, True, 3), (CLOSES, False, 2)],
)
def test_who_is_told_to_stop_waits_for_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: tuple[str, ...], again: bool, counts: int
) -> None:
    """Whether there is room `again` by then or not; a round that was done to its end was not cut short."""
    trial = Trial(tmp_path)
    disk = FullDisk(monkeypatch, trial, *writes)
    stopped_at: list[float] = []

    async def stop(task: asyncio.Task[Amount]) -> None:
        await disk.felt.wait()
        await asyncio.sleep(1)
        if again:
            disk.left = 0
        task.cancel()
        stopped_at.append(asyncio.get_running_loop().time())
        await asyncio.wait([task])
        stopped_at.append(asyncio.get_running_loop().time())

    amount = trial.run(stop)
    assert stopped_at[1] - stopped_at[0] < 1
    assert amount.outcome == "inconclusive"
    assert trial.place.done[-1] == "remove"
    assert amount.checkpoint.tally.total == counts
    assert amount.checkpoint.tally.cut_short == 0
    if again or writes == BEGINS:
        assert checkpoint.load(trial.folder).ended == "interrupted"
        assert (trial.folder / SUMMARY).read_text().startswith("## Soak of small: INCONCLUSIVE\n")


def test_who_is_told_to_stop_while_the_end_is_written_later_has_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = Trial(tmp_path, bad=lambda number: "fail" if number == 2 else "")
    trial.for_s = 180.0
    disk = FullDisk(monkeypatch, trial, "that it is over", times=0)
    when_the_net_is_down(monkeypatch, trial, disk, full=True)

    async def stop(task: asyncio.Task[Amount]) -> None:
        await disk.felt.wait()
        await asyncio.sleep(1)
        task.cancel()

    amount = trial.run(stop)
    assert disk.said == 1
    assert (amount.outcome, amount.exit_code) == ("fail", 1)


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ("whole", "that it was stopped"),
        *((record, what) for record in ("whole", "torn") for what in ("its line", "that it is over")),
    ],
)
@pytest.mark.parametrize("times", [2, 1000])
def test_a_soak_is_taken_up_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str, what: str, times: int
) -> None:
    """The round that was being done is counted once; where there is never room the net does not stay."""
    trial = Trial(tmp_path)
    killed_in(trial, 150.0)
    if record == "torn":
        (round_folder(trial.folder, 3) / runs.RUN).write_text('{"name":')
    FullDisk(monkeypatch, trial, what, times=times)
    amount = trial.run()
    if times == 2:
        assert amount.outcome == "pass"
        assert [one.outcome for one in rounds(trial)][:4] == ["pass", "pass", "inconclusive", "pass"]
        assert amount.checkpoint.tally == tally_of(trial.folder / LINES)
    else:
        assert (amount.outcome, amount.checkpoint.ended) == ("inconclusive", "disk")
        assert trial.place.done == ["remove"]
