"""A soak goes on until its time is up, whatever becomes of the net or of who does it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from soaking import BEGUN, AtOnce, Trial, small_scenario

from stressnet.engine.soak import checkpoint, thin
from stressnet.engine.soak.amount import Amount
from stressnet.engine.soak.folder import (
    LINES,
    STATE,
    SUMMARY,
    kept_rounds,
    new_round,
    round_folder,
    unfinished,
)
from stressnet.engine.soak.rounds import Tally, read_rounds
from stressnet.errors import EnvironmentProblem, StageError
from stressnet.record import runs
from stressnet.record.record import Record


def rounds(trial: Trial) -> list[Any]:
    return list(read_rounds(trial.folder / LINES))


def test_rounds_are_done_until_the_time_is_up(tmp_path: Path) -> None:
    """The round that is being done then is done to its end; the net comes up once and goes at last."""
    trial = Trial(tmp_path)
    amount = trial.run()
    assert amount.outcome == "pass"
    assert [one.number for one in rounds(trial)] == list(range(1, 11))
    assert trial.place.done == ["make", "fresh", *["calm", "again"] * 9, "remove"]
    assert checkpoint.load(trial.folder).ended == "time"
    assert json.loads((trial.folder / runs.VERDICT).read_text())["rounds"]["pass"] == 10


def test_each_round_has_draws_of_its_own(tmp_path: Path) -> None:
    """Its record says so: seed, timeline, and the command that does the same round alone."""
    trial = Trial(tmp_path)
    trial.run()
    assert len({one.seed for one in rounds(trial)}) == 10
    for number in kept_rounds(trial.folder):
        record = Record(round_folder(trial.folder, number))
        alone = small_scenario().of_round(number)
        timeline = json.loads((record.path / runs.TIMELINE).read_text())
        assert record.run["seed"] == alone.seed
        assert timeline["steps"][0]["for_s"] == alone.timeline.steps[0].for_s
        assert record.run["command"][-2:] == ["--round", str(number)]
        assert record.run["command"][:3] == ["stressnet", "run", "small.yaml"]


def test_a_round_of_another_seed_is_another_round() -> None:
    """Rounds of one seed differ from each other, and from those of another seed; the net's own seed stays."""
    one = small_scenario()
    other = replace(one, plan=replace(one.plan, seed=one.plan.seed + 1))
    seeds = {scenario.of_round(number).seed for scenario in (one, other) for number in range(1, 50)}
    assert len(seeds) == 98
    assert one.of_round(3).seed == small_scenario().of_round(3).seed
    assert one.of_round(3).plan == one.plan


def test_one_round_that_fails_makes_the_soak_fail(tmp_path: Path) -> None:
    """It goes on all the same, and the first failure is told with the command that does its round again."""
    trial = Trial(tmp_path, bad=lambda number: "fail" if number in (4, 7) else "")
    amount = trial.run()
    assert (amount.outcome, amount.exit_code) == ("fail", 1)
    text = (trial.folder / SUMMARY).read_text()
    assert "\n2 of 10 rounds failed.\n" in text
    assert "**First failure**: round 4, check `height`" in text
    assert amount.reason.startswith("2 of 10 rounds failed, first round 4: height: ")
    assert "stressnet run small.yaml --seed 7 --round 4" in text
    assert "`height`" in text
    assert (round_folder(trial.folder, 4) / runs.LOGS).is_dir()


def test_a_net_that_is_gone_is_made_anew(tmp_path: Path) -> None:
    """The round in which it went says nothing, and it is noted."""
    trial = Trial(tmp_path, bad=lambda number: "gone" if number == 3 else "")
    amount = trial.run()
    assert [one for one in trial.place.done if one != "calm"][:6] == [
        *("make", "fresh", "again", "again"),
        *("make", "fresh"),
    ]
    assert [one.net for one in rounds(trial)][:4] == [1, 1, 1, 2]
    assert rounds(trial)[2].outcome == "inconclusive"
    assert amount.checkpoint.notes == (
        "2001-09-09 01:48:40 UTC: the net was gone after round 3; a new one was made",
    )
    assert amount.outcome == "pass"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("the agent is gone"),
        StageError("the agent refuses"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_round_in_which_something_breaks_says_nothing(tmp_path: Path, error: Exception) -> None:
    """The night goes on."""
    trial = Trial(tmp_path, bad=lambda number: "broken" if number == 3 else "")
    trial.place.breaks = error
    amount = trial.run()
    assert rounds(trial)[2].outcome == "inconclusive"
    assert str(error) in rounds(trial)[2].reason
    assert amount.outcome == "pass"


def test_a_net_that_never_comes_up_is_an_error_at_once(tmp_path: Path) -> None:
    """Nobody waits until morning to learn that a topology does not work."""
    trial = Trial(tmp_path)
    trial.place.refuses = 1
    with pytest.raises(StageError):
        trial.run()
    assert not rounds(trial)


@pytest.mark.parametrize(
    "refusal", [StageError("it does not come up"), OSError(28, "No space left on device")]
)
def test_a_net_that_does_not_come_up_again_is_tried_again(tmp_path: Path, refusal: Exception) -> None:
    """Twice a minute's pause; the third time it is given up, and the soak can be gone on with."""
    for refusals, ended in ((2, "time"), (3, "net")):
        trial = Trial(tmp_path, bad=lambda number: "gone" if number == 2 else "")
        trial.place.refusal = refusal

        async def refuse(_: Any, trial: Trial = trial, refusals: int = refusals) -> None:
            await asyncio.sleep(30)
            trial.place.refuses = refusals

        amount = trial.run(refuse)
        assert amount.checkpoint.ended == ended
        assert amount.outcome == "inconclusive"
        assert sum("did not come up" in note for note in amount.checkpoint.notes) == refusals


def test_who_is_too_busy_to_say_whether_the_net_is_up_is_asked_again(tmp_path: Path) -> None:
    """The net is not made anew meanwhile; where nobody ever answers the soak ends, and can be gone on with."""
    for silences, ended in ((2, "time"), (3, "net")):
        trial = Trial(tmp_path)

        async def fall_silent(_: Any, trial: Trial = trial, silences: int = silences) -> None:
            await asyncio.sleep(30)
            trial.place.unknown = silences

        amount = trial.run(fall_silent)
        assert amount.checkpoint.ended == ended
        assert amount.outcome == ("pass" if ended == "time" else "inconclusive")
        assert trial.place.done.count("make") == 1
        assert any("the engine does not answer" in note for note in amount.checkpoint.notes)


def test_without_anybody_who_knows_of_nets_no_soak_begins(tmp_path: Path) -> None:
    """It is an error at once, as everywhere."""
    trial = Trial(tmp_path)
    trial.place.unknown = 1
    with pytest.raises(EnvironmentProblem):
        trial.run()


def test_a_net_that_cannot_be_taken_down_costs_no_verdict(tmp_path: Path) -> None:
    """The summary says what is left and how it is removed."""
    trial = Trial(tmp_path)
    trial.place.stays = True
    assert trial.run().outcome == "pass"
    text = (trial.folder / SUMMARY).read_text()
    assert f"`stressnet down {trial.scenario.plan.net}` does it: it does not go" in text


def test_being_told_to_stop_ends_it_in_order(tmp_path: Path) -> None:
    """The round is judged as it is, the net taken down, and it can be gone on with; it is inconclusive."""
    trial = Trial(tmp_path)

    async def stop(task: asyncio.Task[Amount]) -> None:
        await asyncio.sleep(150)
        task.cancel()

    amount = trial.run(stop)
    assert (amount.outcome, amount.exit_code) == ("inconclusive", 2)
    assert trial.place.done[-1] == "remove"
    assert [one.outcome for one in rounds(trial)] == ["pass", "pass", "inconclusive"]
    assert rounds(trial)[-1].cut_short
    assert amount.checkpoint.ended == "interrupted"
    amount = trial.run()
    assert amount.outcome == "pass"
    assert len(rounds(trial)) == 11


def killed_in(trial: Trial, seconds: float) -> None:
    """Let a soak go on for so long, and then end as by kill -9: nothing more is written."""

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        task = asyncio.create_task(trial.soak().run())
        await asyncio.sleep(seconds)
        before = {
            path: path.read_bytes()
            for path in trial.folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
        net, trial.place.net = trial.place.net, None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        trial.place.net = net
        for path in trial.folder.rglob("*"):
            if path.is_file() and path not in before:
                path.unlink()
        for path, content in before.items():
            path.write_bytes(content)

    from stressnet.testing import run_virtual

    run_virtual(main)
    trial.place.done.clear()
    trial.begun_at += seconds + 100.0


def test_the_death_of_the_controller_costs_one_round(tmp_path: Path) -> None:
    """Its successor finds the net, heals it, calls the round inconclusive, and counts the time that was soaked."""
    trial = Trial(tmp_path)
    killed_in(trial, 150.0)
    amount = trial.run()
    assert trial.place.done[:2] == ["calm", "again"]
    lines = rounds(trial)
    assert [one.outcome for one in lines[:4]] == ["pass", "pass", "inconclusive", "pass"]
    assert "its controller died" in lines[2].reason
    assert lines[2].cut_short
    assert amount.checkpoint.notes[0].endswith(": round 3 was cut short by the death of its controller")
    assert amount.outcome == "pass"
    assert 590 < amount.checkpoint.soaked_s < 700
    assert len(lines) in (10, 11, 12)


@pytest.mark.parametrize(("how", "outcome"), [("", "pass"), ("fail", "fail")])
def test_a_round_that_was_whole_is_judged(how: str, outcome: str, tmp_path: Path) -> None:
    """The controller died between the end of its record and its line."""
    trial = Trial(tmp_path, bad=lambda number: how if number == 3 else "")
    trial.for_s = 180.0
    trial.run()
    begun_at = rounds(trial)[-1].begun_at
    lines = (trial.folder / LINES).read_bytes().splitlines(keepends=True)
    (trial.folder / LINES).write_bytes(b"".join(lines[:-1]))
    state = replace(checkpoint.load(trial.folder), begun_at=begun_at, ended="", tally=Tally())
    for one in rounds(trial):
        state = replace(state, tally=state.tally.with_round(one))
    checkpoint.save(trial.folder, state, BEGUN)
    amount = trial.run()
    assert [one.outcome for one in rounds(trial)] == ["pass", "pass", outcome]
    assert not rounds(trial)[2].cut_short
    assert amount.checkpoint.notes[0].endswith(": round 3 was whole at the death of its controller")
    assert amount.outcome == outcome


def test_a_round_that_had_hardly_begun_is_a_line_at_least(tmp_path: Path) -> None:
    """Killed before its record was there."""
    trial = Trial(tmp_path)
    trial.for_s = 120.0
    trial.run()
    state = replace(checkpoint.load(trial.folder), number=3, begun_at=BEGUN + 200, ended="")
    checkpoint.save(trial.folder, state, BEGUN)
    trial.for_s = 180.0
    trial.run()
    assert [one.outcome for one in rounds(trial)] == ["pass", "pass", "inconclusive", "pass"]


def test_a_checkpoint_that_is_torn_is_made_anew_from_the_lines(tmp_path: Path) -> None:
    """Rounds are counted, also the one that was being done, and the time."""
    trial = Trial(tmp_path)
    trial.run()
    good = checkpoint.load(trial.folder)
    (trial.folder / STATE).write_text('{"soaked_s": 12, "tal')
    found = checkpoint.load(trial.folder)
    assert found.tally == good.tally
    assert (found.number, found.nets, found.begun_at) == (10, 1, 0.0)
    assert found.soaked_s == pytest.approx(600.0, abs=5.0)
    path = new_round(trial.folder, 11)
    (path / runs.RUN).write_text('{"begun_at": 77.0, "seed": 5}')
    found = checkpoint.load(trial.folder)
    assert (found.number, found.begun_at, found.seed) == (11, 77.0, 5)


def test_a_line_that_was_written_last_is_not_written_twice(tmp_path: Path) -> None:
    """Killed between the line of a round and the checkpoint: the round is over."""
    trial = Trial(tmp_path)
    trial.run()
    good = checkpoint.load(trial.folder)
    behind = replace(
        good, begun_at=BEGUN + 540, tally=replace(good.tally, counts={**good.tally.counts, "pass": 9})
    )
    checkpoint.save(trial.folder, behind, BEGUN)
    found = checkpoint.load(trial.folder)
    assert found.begun_at == 0.0
    assert found.tally.counts["pass"] == 10


def test_passes_whose_lines_had_to_go_count_after_a_kill(tmp_path: Path) -> None:
    """To the tally of the checkpoint comes the round whose line it had not seen, and no other."""
    trial = Trial(tmp_path, bad=lambda number: "fail" if number == 4 else "")
    trial.run()
    good = checkpoint.load(trial.folder)
    before = Tally()
    for one in rounds(trial)[:-1]:
        before = before.with_round(one)
    checkpoint.save(trial.folder, replace(good, begun_at=BEGUN + 540, tally=before), BEGUN)
    thin.trim_lines(trial.folder / LINES)
    assert len(rounds(trial)) < 10
    found = checkpoint.load(trial.folder)
    assert found.tally == good.tally
    assert found.begun_at == 0.0


def test_a_checkpoint_of_an_earlier_version_lacks_what_was_not_known(tmp_path: Path) -> None:
    """What it has counts."""
    trial = Trial(tmp_path)
    trial.run()
    raw = json.loads((trial.folder / STATE).read_text())
    del raw["notes"], raw["nets"]
    (trial.folder / STATE).write_text(json.dumps({**raw, "version": 0}))
    found = checkpoint.load(trial.folder)
    assert (found.nets, found.notes, found.tally.total) == (0, (), 10)


def test_a_checkpoint_of_a_later_version_is_refused(tmp_path: Path) -> None:
    """Nobody knows what it means."""
    from stressnet.errors import UsageError

    trial = Trial(tmp_path)
    trial.run()
    raw = json.loads((trial.folder / STATE).read_text())
    (trial.folder / STATE).write_text(json.dumps({**raw, "version": checkpoint.VERSION + 1}))
    with pytest.raises(UsageError, match="later version"):
        checkpoint.load(trial.folder)


def test_only_what_is_not_finished_and_not_old_is_gone_on_with(tmp_path: Path) -> None:
    """Also what was interrupted; not what came to its end, and not what was silent for half a day."""
    trial = Trial(tmp_path)
    now = (trial.folder / "soak.json").stat().st_mtime
    assert unfinished(tmp_path, "small", "", now) == trial.folder
    assert unfinished(tmp_path, "small", "other", now) is None
    assert unfinished(tmp_path, "small", "", now + 13 * 3600) is None
    checkpoint.save(trial.folder, checkpoint.Checkpoint(ended="interrupted"), now)
    assert unfinished(tmp_path, "small", "", now + 60) == trial.folder
    checkpoint.save(trial.folder, checkpoint.Checkpoint(ended="time"), now)
    assert unfinished(tmp_path, "small", "", now + 60) is None


def test_notes_are_few_however_much_happens() -> None:
    """The first and the last stay."""
    found = checkpoint.Checkpoint()
    for number in range(200):
        found = found.noting(str(number))
    assert len(found.notes) == 30
    assert found.notes[0] == "0"
    assert found.notes[-1] == "199"
